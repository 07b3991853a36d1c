// OpenAI's SDK for Node on the Responses wire, to providers of the chat and of the messages wire.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BEGINNING, GATEWAY, KEY, OSLO, PARIS, TEXT, WEATHER, load, model } from './case.mjs';

const OpenAI = load('openai').default;
const { zodTextFormat } = load('openai/helpers/zod');
const { z } = load('zod');

const TOOLS = [{ type: 'function', name: 'get_weather', description: 'Weather.', parameters: WEATHER, strict: false }];
const Person = z.object({ name: z.string(), age: z.number() });

const responses = new OpenAI({ baseURL: `${GATEWAY}/v1`, apiKey: KEY, maxRetries: 0, timeout: 20_000 }).responses;
const callsOf = (response) =>
  response.output.filter((item) => item.type === 'function_call').map((item) => [item.name, JSON.parse(item.arguments)]);

for (const [name, provider] of [['responses over chat', 'oai'], ['responses over messages', 'ant']]) {
  describe(`openai.${name}`, () => {
    const ask = (scenario, more = {}) => responses.create({ model: model(provider, scenario), input: 'Say hello.', ...more });

    it('unary', async () => {
      const answer = await ask('text');
      assert.equal(answer.output_text, TEXT);
      assert.equal(answer.status, 'completed');
      assert.equal(answer.usage.total_tokens, 18);
    });

    it('stream', async () => {
      let text = '';
      let number = 0;
      for await (const event of await ask('text', { stream: true })) {
        assert.equal(event.sequence_number, number);
        number += 1;
        if (event.type === 'response.output_text.delta') text += event.delta;
      }
      assert.equal(text, TEXT);
    });

    for (const scenario of ['parallel', 'interleaved']) {
      it(`tool loop ${scenario}`, async () => {
        const input = [{ role: 'user', content: 'Weather?' }];
        const stream = responses.stream({ model: model(provider, scenario), input, tools: TOOLS });
        const answer = await stream.finalResponse();
        assert.deepEqual(callsOf(answer), [PARIS, OSLO]);
        for (const { parsed_arguments, ...item } of answer.output) input.push(item);
        for (const item of answer.output) {
          input.push({ type: 'function_call_output', call_id: item.call_id, output: `${JSON.parse(item.arguments).city}: 21 degrees` });
        }
        const last = await ask(scenario, { input, tools: TOOLS });
        assert.equal(last.output_text, 'The tools said: Paris: 21 degrees, Oslo: 21 degrees.');
      });
    }

    it('structured output', async () => {
      const answer = await responses.parse({
        model: model(provider, 'json'), input: 'Who?', text: { format: zodTextFormat(Person, 'person') },
      });
      assert.deepEqual(answer.output_parsed, { name: 'Ada', age: 36 });
    });

    it('errors', async () => {
      for (const stream of [false, true]) {
        await assert.rejects(ask('refuse-429', { stream }), OpenAI.RateLimitError);
        await assert.rejects(ask('refuse-400', { stream }), OpenAI.BadRequestError);
        await assert.rejects(ask('refuse-500', { stream }), OpenAI.InternalServerError);
      }
    });

    for (const scenario of ['mid-error', 'truncate', 'cut']) {
      it(`broken stream ${scenario}`, async () => {
        let text = '';
        const read = async () => {
          for await (const event of await ask(scenario, { stream: true })) {
            assert.notEqual(event.type, 'response.completed');
            if (event.type === 'response.output_text.delta') text += event.delta;
          }
        };
        await assert.rejects(read(), OpenAI.APIError);
        assert.equal(text, BEGINNING);
      });
    }
  });
}
