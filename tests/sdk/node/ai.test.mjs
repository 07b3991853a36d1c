// The AI SDK with its providers for OpenAI (both wires), compatible services, Anthropic, Google and Mistral, each to providers of the
// chat, the messages and the responses wire.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BEGINNING, GATEWAY, KEY, PNG, PNG_BYTES, TEXT, WEATHER, assertHungUp, bring, model, rejection, seen } from './case.mjs';

const { APICallError, Output, generateText, jsonSchema, stepCountIs, streamText, tool } = await bring('ai');
const { createOpenAI } = await bring('@ai-sdk/openai');
const { createOpenAICompatible } = await bring('@ai-sdk/openai-compatible');
const { createAnthropic } = await bring('@ai-sdk/anthropic');
const { createGoogleGenerativeAI } = await bring('@ai-sdk/google');
const { createMistral } = await bring('@ai-sdk/mistral');
const { z } = await bring('zod');

const Person = z.object({ name: z.string(), age: z.number() });
const v1 = (apiKey) => ({ baseURL: `${GATEWAY}/v1`, apiKey });
const SURFACES = {
  'ai-openai.responses': (name, key = KEY) => createOpenAI(v1(key))(name),
  'ai-openai.chat': (name, key = KEY) => createOpenAI(v1(key)).chat(name),
  'ai-compatible.chat': (name, key = KEY) => createOpenAICompatible({ name: 'leaf', includeUsage: true, supportsStructuredOutputs: true, ...v1(key) })(name),
  'ai-anthropic.messages': (name, key = KEY) => createAnthropic(v1(key))(name),
  'ai-google.gemini': (name, key = KEY) => createGoogleGenerativeAI({ baseURL: `${GATEWAY}/v1beta`, apiKey: key })(name),
  'ai-mistral.chat': (name, key = KEY) => createMistral({ baseURL: `${GATEWAY}/mistral/v1`, apiKey: key })(name),
};

// Its answer to a streamed request; what went wrong is a part of the stream.
async function parts(result) {
  const all = [];
  for await (const part of result.fullStream) all.push(part);
  return all;
}
const textOf = (all) => all.filter((part) => part.type === 'text-delta').map((part) => part.text ?? part.textDelta ?? part.delta).join('');

for (const [surface, make] of Object.entries(SURFACES)) {
  for (const [wire, provider] of [['chat', 'oai'], ['messages', 'ant'], ['responses', 'res']]) {
    describe(`${surface}.over ${wire}`, () => {
      const asked = (name, more = {}, key = KEY) => ({
        model: make(name, key), system: 'Be brief.', prompt: 'Say hello.', maxRetries: 0, onError() {}, ...more,
      });
      const whole = (scenario, more) => generateText(asked(model(provider, scenario), more));
      const stream = (scenario, more) => parts(streamText(asked(model(provider, scenario), more)));

      it('whole', async () => {
        const name = model(provider, 'text');
        const answer = await generateText(asked(name, { temperature: 0.5, maxOutputTokens: 50 }));
        assert.deepEqual([answer.text, answer.finishReason], [TEXT, 'stop']);
        assert.deepEqual([answer.usage.inputTokens, answer.usage.outputTokens], [11, 7]);
        const [request] = await seen(name);
        assert.equal(request.rejected, undefined);
        assert.equal(request.body.temperature, 0.5);
        assert.ok(request.text.includes('Be brief.'));
      });

      it('stream', async () => {
        const all = await stream('text');
        assert.equal(textOf(all), TEXT);
        const last = all.findLast((part) => part.type === 'finish');
        assert.equal(last.finishReason, 'stop');
        assert.equal(last.totalUsage.outputTokens, 7);
      });

      for (const streamed of [false, true]) {
        it(`tool loop ${streamed ? 'streamed' : 'whole'}`, async () => {
          const cities = [];
          const execute = ({ city }) => {
            cities.push(city);
            return `${city}: 21`;
          };
          const tools = { get_weather: tool({ description: 'Weather.', inputSchema: jsonSchema(WEATHER), execute }) };
          const more = { tools, stopWhen: stepCountIs(3) };
          const text = streamed ? textOf(await stream('parallel', more)) : (await whole('parallel', more)).text;
          // Gemini takes no bare text as a result: it is put into an object.
          const bare = text.replaceAll(/\{"name":"get_weather","content":"([^"]*)"\}/g, '$1');
          assert.equal(bare, 'The tools said: Paris: 21, Oslo: 21.');
          assert.deepEqual(cities.sort(), ['Oslo', 'Paris']);
        });
      }

      it('structured output', async () => {
        const output = Output.object({ schema: Person });
        // By their names it takes these models for old ones.
        const providerOptions = { anthropic: { structuredOutputMode: 'outputFormat' } };
        assert.deepEqual((await whole('json', { output, providerOptions })).output, { name: 'Ada', age: 36 });
      });

      it('image', async () => {
        const content = [{ type: 'text', text: 'What is this?' }, { type: 'image', image: Buffer.from(PNG, 'base64') }];
        const answer = await whole('media', { prompt: undefined, messages: [{ role: 'user', content }] });
        assert.equal(answer.text, `I see: image/png of ${PNG_BYTES} bytes`);
      });

      it('errors', async () => {
        for (const [scenario, status] of [['refuse-400', 400], ['no-such-scenario', 404], ['refuse-429', 429], ['refuse-500', 502]]) {
          const error = await rejection(whole(scenario), Error);
          assert.ok(APICallError.isInstance(error), error.stack);
          assert.equal(error.statusCode, status);
          assert.equal(error.isRetryable, status >= 429);
          if (status === 429) assert.equal(error.responseHeaders['retry-after'], '7');
        }
        const refused = await rejection(generateText(asked(model(provider, 'text'), {}, 'sdk:wrong')), Error);
        assert.equal(refused.statusCode, 401);
      });

      it('its own second try', async () => {
        const name = model(provider, 'flaky');
        assert.equal((await generateText(asked(name, { maxRetries: 2 }))).text, TEXT);
        assert.equal((await seen(name)).length, 2);
      });

      for (const scenario of ['mid-error', 'truncate', 'cut']) {
        it(`broken stream ${scenario}`, async () => {
          let all = [];
          try {
            all = await stream(scenario);
          } catch (error) {
            all.push({ type: 'error', error });
          }
          assert.ok(BEGINNING.startsWith(textOf(all)));
          assert.ok(all.some((part) => part.type === 'error'), JSON.stringify(all.slice(-2)));
        });
      }

      it('abort hangs up', async () => {
        const name = model(provider, 'endless');
        const abort = new AbortController();
        const result = streamText(asked(name, { abortSignal: abort.signal }));
        for await (const part of result.fullStream) {
          if (part.type === 'text-delta') abort.abort();
        }
        await assertHungUp(name);
      });
    });
  }
}
