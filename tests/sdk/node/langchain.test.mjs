// LangChain's chat models for OpenAI (both wires), Anthropic and Google, each to providers of the chat, the messages and the responses wire.
import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { BEGINNING, GATEWAY, KEY, PNG, PNG_BYTES, TEXT, WEATHER, load, model, rejection, seen } from './case.mjs';

// Required and not imported: all of its packages then share one core.
const { HumanMessage, SystemMessage, ToolMessage } = load('@langchain/core/messages');
const { tool } = load('@langchain/core/tools');
const { ChatOpenAI } = load('@langchain/openai');
const { ChatAnthropic } = load('@langchain/anthropic');
const { ChatGoogleGenerativeAI } = load('@langchain/google-genai');
const { z } = load('zod');

const Person = z.object({ name: z.string(), age: z.number() });
const HI = [new SystemMessage('Be brief.'), new HumanMessage('Say hello.')];
const once = { maxRetries: 0 };
const openai = (name, apiKey, more) => new ChatOpenAI({ model: name, apiKey, configuration: { baseURL: `${GATEWAY}/v1` }, ...once, ...more });
const SURFACES = {
  'langchain-openai.chat': (name, key, more) => openai(name, key, { useResponsesApi: false, ...more }),
  'langchain-openai.responses': (name, key, more) => openai(name, key, { useResponsesApi: true, ...more }),
  'langchain-anthropic.messages': (name, key, more) =>
    new ChatAnthropic({ model: name, apiKey: key, anthropicApiUrl: GATEWAY, maxTokens: 2048, ...once, ...more }),
  'langchain-google.gemini': (name, key, more) => new ChatGoogleGenerativeAI({ model: name, apiKey: key, baseUrl: GATEWAY, ...once, ...more }),
};
const weather = tool(({ city }) => `${city}: 21`, { name: 'get_weather', description: 'Weather.', schema: WEATHER });

// Google's client rejects a promise of the whole answer too, which its model here never looks at.
before(() => {
  const runners = process.listeners('unhandledRejection');
  process.removeAllListeners('unhandledRejection');
  process.on('unhandledRejection', (error, promise) => {
    if (!error?.message?.includes('GoogleGenerativeAI')) runners.forEach((runner) => runner(error, promise));
  });
});

async function collected(stream) {
  let whole;
  for await (const chunk of await stream) whole = whole ? whole.concat(chunk) : chunk;
  return whole;
}

for (const [surface, make] of Object.entries(SURFACES)) {
  for (const [wire, provider] of [['chat', 'oai'], ['messages', 'ant'], ['responses', 'res']]) {
    describe(`${surface}.over ${wire}`, () => {
      const chat = (scenario, more) => make(model(provider, scenario), KEY, more);

      it('whole', async () => {
        const name = model(provider, 'text');
        const answer = await make(name, KEY).invoke(HI);
        assert.equal(answer.text, TEXT);
        assert.deepEqual([answer.usage_metadata.input_tokens, answer.usage_metadata.output_tokens], [11, 7]);
        const [request] = await seen(name);
        assert.equal(request.rejected, undefined);
        assert.ok(request.text.includes('Be brief.'));
      });

      it('stream', async () => {
        const answer = await collected(chat('text').stream(HI));
        assert.equal(answer.text, TEXT);
        // Its model for Anthropic adds what a stream's begin tells of the output (1 there) to what its end tells of it.
        assert.ok([7, surface === 'langchain-anthropic.messages' ? 8 : 7].includes(answer.usage_metadata.output_tokens));
      });

      for (const streamed of [false, true]) {
        it(`tool loop ${streamed ? 'streamed' : 'whole'}`, async () => {
          const bound = chat('parallel').bindTools([weather]);
          const turns = [new HumanMessage('Weather?')];
          const message = await (streamed ? collected(bound.stream(turns)) : bound.invoke(turns));
          assert.deepEqual(message.tool_calls.map((call) => call.args), [{ city: 'Paris' }, { city: 'Oslo' }]);
          turns.push(message);
          for (const call of message.tool_calls) turns.push(await weather.invoke(call));
          assert.ok(turns.at(-1) instanceof ToolMessage);
          // Gemini takes no bare text as a result: it is put into an object.
          const bare = (await bound.invoke(turns)).text.replaceAll(/\{"result":"([^"]*)"\}/g, '$1');
          assert.equal(bare, 'The tools said: Paris: 21, Oslo: 21.');
        });
      }

      it('structured output', async () => {
        const bound = chat('json').withStructuredOutput(Person, { method: 'jsonSchema' });
        assert.deepEqual(await bound.invoke(HI), { name: 'Ada', age: 36 });
      });

      it('image', async () => {
        const url = `data:image/png;base64,${PNG}`;
        const content = [{ type: 'text', text: 'What is this?' }, { type: 'image_url', image_url: { url } }];
        // By its name Google's model tells whether it sees.
        const answer = await chat('media--vision').invoke([new HumanMessage({ content })]);
        assert.equal(answer.text, `I see: image/png of ${PNG_BYTES} bytes`);
      });

      it('errors', async () => {
        const status = (error) => error.status ?? error.statusCode ?? error.cause?.status;
        for (const [scenario, wanted] of [['refuse-400', 400], ['no-such-scenario', 404], ['refuse-429', 429], ['refuse-500', 502]]) {
          const error = await rejection(chat(scenario).invoke(HI), Error);
          assert.equal(status(error), wanted, error.stack);
        }
        const refused = await rejection(make(model(provider, 'text'), 'sdk:wrong').invoke(HI), Error);
        assert.equal(status(refused), 401);
      });

      for (const scenario of ['mid-error', 'truncate', 'cut']) {
        it(`broken stream ${scenario}`, async () => {
          let text = '';
          const read = async () => {
            for await (const chunk of await chat(scenario).stream(HI)) text += chunk.text;
          };
          await rejection(read(), Error);
          assert.ok(BEGINNING.startsWith(text), text);
        });
      }
    });
  }
}
