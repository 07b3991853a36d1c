// Mistral's SDK for Node, to providers of the chat, the messages and the responses wire.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BEGINNING, GATEWAY, KEY, OSLO, PARIS, PNG, PNG_BYTES, TEXT, WEATHER, bring, model, rejection } from './case.mjs';

const { Mistral } = await bring('@mistralai/mistralai');
const HI = [{ role: 'system', content: 'Be brief.' }, { role: 'user', content: 'Say hello.' }];
const TOOLS = [{ type: 'function', function: { name: 'get_weather', description: 'Weather.', parameters: WEATHER } }];
const client = (apiKey = KEY) => new Mistral({ serverURL: `${GATEWAY}/mistral`, apiKey, timeoutMs: 20_000 });
const callsOf = (calls) => calls.map((call) => [call.function.name, JSON.parse(call.function.arguments)]);

for (const [wire, provider] of [['chat', 'oai'], ['messages', 'ant'], ['responses', 'res']]) {
  describe(`mistral.over ${wire}`, () => {
    const ask = (scenario, more = {}) => client().chat.complete({ model: model(provider, scenario), messages: HI, ...more });
    const stream = async (scenario, more = {}, chunks = []) => {
      const events = await client().chat.stream({ model: model(provider, scenario), messages: HI, ...more });
      for await (const event of events) chunks.push(event.data);
      return chunks;
    };
    const text = (chunks) => chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('');

    it('whole', async () => {
      const answer = await ask('text', { maxTokens: 50, randomSeed: 7 });
      assert.deepEqual([answer.choices[0].message.content, answer.choices[0].finishReason], [TEXT, 'stop']);
      assert.deepEqual([answer.usage.promptTokens, answer.usage.completionTokens], [11, 7]);
    });

    it('stream', async () => {
      const chunks = await stream('text');
      assert.equal(text(chunks), TEXT);
      assert.equal(chunks.at(-1).usage.completionTokens, 7);
    });

    for (const streamed of [false, true]) {
      it(`tool loop ${streamed ? 'streamed' : 'whole'}`, async () => {
        const messages = [{ role: 'user', content: 'Weather?' }];
        let calls;
        if (streamed) {
          const chunks = await stream('interleaved', { messages, tools: TOOLS });
          calls = chunks.flatMap((chunk) => chunk.choices[0]?.delta.toolCalls ?? []);
          messages.push({ role: 'assistant', content: '', toolCalls: calls });
        } else {
          const { message } = (await ask('interleaved', { messages, tools: TOOLS, toolChoice: 'any' })).choices[0];
          calls = message.toolCalls;
          messages.push(message);
        }
        assert.deepEqual(callsOf(calls), [PARIS, OSLO]);
        for (const call of calls) {
          const content = `${JSON.parse(call.function.arguments).city}: 21`;
          messages.push({ role: 'tool', name: 'get_weather', toolCallId: call.id, content });
        }
        const answer = await ask('interleaved', { messages, tools: TOOLS });
        assert.equal(answer.choices[0].message.content, 'The tools said: Paris: 21, Oslo: 21.');
      });
    }

    it('image', async () => {
      const content = [{ type: 'text', text: 'What is this?' }, { type: 'image_url', imageUrl: `data:image/png;base64,${PNG}` }];
      const answer = await ask('media', { messages: [{ role: 'user', content }] });
      assert.equal(answer.choices[0].message.content, `I see: image/png of ${PNG_BYTES} bytes`);
    });

    it('errors', async () => {
      for (const [scenario, status] of [['refuse-400', 400], ['no-such-scenario', 404], ['refuse-429', 429], ['refuse-500', 502]]) {
        const error = await rejection(ask(scenario), Error);
        assert.equal(error.statusCode, status, error.message);
        if (status === 429) assert.equal(error.headers.get('retry-after'), '7');
      }
      const refused = await rejection(client('sdk:wrong').chat.complete({ model: model(provider, 'text'), messages: HI }), Error);
      assert.equal(refused.statusCode, 401);
    });

    for (const scenario of ['mid-error', 'truncate', 'cut']) {
      it(`broken stream ${scenario}`, async () => {
        const chunks = [];
        await rejection(stream(scenario, {}, chunks), Error);
        assert.equal(text(chunks), BEGINNING);
      });
    }
  });
}
