// OpenAI's SDK for Node on the Responses wire, to providers of that, the chat and the messages wire.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BEGINNING, GATEWAY, KEY, OSLO, PARIS, TEXT, WEATHER, load, model, rejection } from './case.mjs';

const OpenAI = load('openai').default;
const { zodTextFormat } = load('openai/helpers/zod');
const { z } = load('zod');

const TOOLS = [{ type: 'function', name: 'get_weather', description: 'Weather.', parameters: WEATHER, strict: false }];
const Person = z.object({ name: z.string(), age: z.number() });

const responses = new OpenAI({ baseURL: `${GATEWAY}/v1`, apiKey: KEY, maxRetries: 0, timeout: 20_000 }).responses;
const callsOf = (response) =>
  response.output.filter((item) => item.type === 'function_call').map((item) => [item.name, JSON.parse(item.arguments)]);

for (const [name, provider] of [['responses', 'res'], ['responses over chat', 'oai'], ['responses over messages', 'ant']]) {
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

describe('openai.responses kept', () => {
  const ask = (scenario, more = {}) => responses.create({ model: model('res', scenario), input: 'Say hello.', ...more });
  const gone = (id) => assert.rejects(responses.retrieve(id), OpenAI.NotFoundError);

  it('retrieve and delete', async () => {
    const made = await ask('text');
    const found = await responses.retrieve(made.id);
    assert.deepEqual([found.id, found.output_text, found.output], [made.id, TEXT, made.output]);
    await responses.delete(made.id);
    await gone(made.id);
    await gone((await ask('text', { store: false })).id);
  });

  it('input items by pages', async () => {
    const made = await ask('text', { input: ['one', 'two', 'three'].map((content) => ({ role: 'user', content })) });
    const told = [];
    for await (const item of responses.inputItems.list(made.id, { limit: 1, order: 'asc' })) told.push(item.content[0].text);
    assert.deepEqual(told, ['one', 'two', 'three']);
  });

  it('going on', async () => {
    const first = await ask('parallel', { tools: TOOLS });
    const input = first.output.map((item) => ({
      type: 'function_call_output', call_id: item.call_id, output: `${JSON.parse(item.arguments).city}: 21`,
    }));
    const second = await ask('parallel', { tools: TOOLS, input, previous_response_id: first.id });
    assert.deepEqual([second.output_text, second.previous_response_id], ['The tools said: Paris: 21, Oslo: 21.', first.id]);
    const nothing = ask('text', { previous_response_id: 'resp_1' });
    assert.equal((await rejection(nothing, OpenAI.BadRequestError)).code, 'previous_response_not_found');
  });

  it('in the background', async () => {
    let answer = await ask('text', { background: true });
    const states = [answer.status];
    while (['queued', 'in_progress'].includes(answer.status)) {
      answer = await responses.retrieve(answer.id);
      states.push(answer.status);
    }
    assert.deepEqual([states, answer.output_text], [['queued', 'in_progress', 'completed'], TEXT]);
    const long = await ask('silent', { background: true });
    assert.equal((await responses.cancel(long.id)).status, 'cancelled');
    await assert.rejects(responses.cancel((await ask('text')).id), OpenAI.BadRequestError);
  });

  it('a broken stream is taken up', async () => {
    const seen = [];
    const read = async () => {
      for await (const event of await ask('cut', { stream: true, background: true })) seen.push(event);
    };
    await rejection(read(), OpenAI.APIError);
    const stream = await responses.retrieve(seen[0].response.id, { stream: true, starting_after: seen.at(-1).sequence_number });
    for await (const event of stream) seen.push(event);
    assert.deepEqual(seen.map((event) => event.sequence_number), seen.map((_, index) => index));
    assert.deepEqual([seen.at(-1).type, seen.at(-1).response.output[0].content[0].text], ['response.completed', BEGINNING]);
    const whole = await responses.stream({ response_id: seen[0].response.id }).finalResponse();
    assert.equal(whole.output_text, BEGINNING);
  });
});
