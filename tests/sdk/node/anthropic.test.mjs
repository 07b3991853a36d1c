// Anthropic's SDK for Node through the gateway: to a provider of its own wire, of the other wire, and to echo.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  BEGINNING, GATEWAY, KEY, NARROW_KEY, OSLO, PARIS, PDF, PDF_BYTES, PNG, PNG_BYTES, ROUTES, SIGNATURE, TEXT, WEATHER,
  arrived, assertHungUp, load, model, rejection, seen,
} from './case.mjs';

const Anthropic = load('@anthropic-ai/sdk').default;
const { zodOutputFormat } = load('@anthropic-ai/sdk/helpers/zod');
const { betaTool } = load('@anthropic-ai/sdk/helpers/beta/json-schema');
const { z } = load('zod');

const HI = [{ role: 'user', content: 'Say hello.' }];
const TOOLS = [{ name: 'get_weather', description: 'Weather.', input_schema: WEATHER }];
const THINKING = { type: 'enabled', budget_tokens: 2000 };
const Person = z.object({ name: z.string(), age: z.number() });

const client = (more = {}) => new Anthropic({ baseURL: GATEWAY, apiKey: KEY, maxRetries: 0, timeout: 20_000, ...more });
const one = client();
const textOf = (message) => message.content.filter((block) => block.type === 'text').map((block) => block.text).join('');
const callsOf = (message) =>
  message.content.filter((block) => block.type === 'tool_use').map((block) => [block.name, block.input]);

for (const [name, provider] of ROUTES('ant', 'oai')) {
  describe(`anthropic.${name}`, () => {
    const body = (scenario, more) => ({ model: model(provider, scenario), messages: HI, max_tokens: 4000, ...more });
    const ask = (scenario, more = {}, options = {}) => one.messages.create(body(scenario, more), options);

    it('unary', async () => {
      const answer = await ask('text');
      assert.equal(textOf(answer), TEXT);
      assert.equal(answer.stop_reason, 'end_turn');
      assert.deepEqual([answer.usage.input_tokens, answer.usage.output_tokens], [11, 7]);
      assert.ok(answer._request_id);
    });

    it('stream helper', async () => {
      const stream = one.messages.stream(body('text'));
      let text = '';
      stream.on('text', (delta) => {
        text += delta;
      });
      const final = await stream.finalMessage();
      assert.equal(text, TEXT);
      assert.equal(textOf(final), TEXT);
      assert.deepEqual([final.usage.input_tokens, final.usage.output_tokens], [11, 7]);
    });

    for (const scenario of ['parallel', 'interleaved']) {
      it(`streamed calls ${scenario}`, async () => {
        const final = await one.messages.stream(body(scenario, { tools: TOOLS })).finalMessage();
        assert.equal(final.stop_reason, 'tool_use');
        assert.deepEqual(callsOf(final), [PARIS, OSLO]);
      });
    }

    for (const stream of [false, true]) {
      it(`tool loop of the SDK ${stream ? 'streamed' : 'whole'}`, async () => {
        const cities = [];
        const tool = betaTool({
          name: 'get_weather',
          description: 'Weather.',
          inputSchema: WEATHER,
          run: ({ city }) => {
            cities.push(city);
            return `${city}: 21`;
          },
        });
        const runner = one.beta.messages.toolRunner(body('parallel', { tools: [tool], stream }));
        if (stream) {
          for await (const turn of runner) await turn.finalMessage();
        }
        const final = await runner.runUntilDone();
        assert.equal(textOf(final), 'The tools said: Paris: 21, Oslo: 21.');
        assert.deepEqual(cities, ['Paris', 'Oslo']);
      });
    }

    it('parse helper', async () => {
      const answer = await one.messages.parse(body('json', { output_config: { format: zodOutputFormat(Person) } }));
      assert.deepEqual(answer.parsed_output, { name: 'Ada', age: 36 });
    });

    it('images and a PDF', async () => {
      const content = [
        { type: 'image', source: { type: 'base64', media_type: 'image/png', data: PNG } },
        { type: 'document', source: { type: 'base64', media_type: 'application/pdf', data: PDF } },
        { type: 'text', text: 'What is this?' },
      ];
      const answer = await ask('media', { messages: [{ role: 'user', content }] });
      const wanted = `I see: image/png of ${PNG_BYTES} bytes; application/pdf of ${PDF_BYTES} bytes`;
      assert.equal(textOf(answer), wanted);
    });

    it('a batch', async () => {
      const params = body('text');
      let batch = await one.messages.batches.create({ requests: ['one', 'two'].map((custom_id) => ({ custom_id, params })) });
      assert.equal(batch.type, 'message_batch');
      const until = Date.now() + 20_000;
      while (batch.processing_status !== 'ended') {
        assert.ok(Date.now() < until, 'it does not end');
        batch = await one.messages.batches.retrieve(batch.id);
      }
      assert.equal(batch.request_counts.succeeded, 2);
      const said = {};
      for await (const line of await one.messages.batches.results(batch.id)) said[line.custom_id] = textOf(line.result.message);
      assert.deepEqual(said, { one: TEXT, two: TEXT });
      assert.equal((await one.messages.batches.cancel(batch.id)).id, batch.id);
      await rejection(client({ apiKey: NARROW_KEY }).messages.batches.retrieve(batch.id), Anthropic.NotFoundError);
    });

    it('count tokens', async () => {
      const { input_tokens: count } = await one.messages.countTokens({ model: model(provider, 'text'), messages: HI });
      assert.ok(provider === 'ant' ? count === 1234 : count > 0);
    });

    it('rate limit', async () => {
      const error = await rejection(ask('refuse-429', { stream: true }), Anthropic.RateLimitError);
      assert.equal(error.headers.get('retry-after'), '7');
      assert.equal(error.error.error.type, 'rate_limit_error');
      assert.equal(error.requestID, error.error.request_id);
    });

    it('rate limit, then an answer', async () => {
      const request = body('flaky');
      assert.equal(textOf(await client({ maxRetries: 2 }).messages.create(request)), TEXT);
      assert.equal((await seen(request.model)).length, 2);
    });

    it('bad request', async () => {
      const error = await rejection(ask('refuse-400'), Anthropic.BadRequestError);
      assert.equal(error.error.error.type, 'invalid_request_error');
    });

    it('model unknown upstream', async () => {
      await rejection(ask('no-such-scenario'), Anthropic.NotFoundError);
    });

    for (const scenario of ['refuse-401', 'refuse-500', 'refuse-503', 'cut']) {
      it(`server error ${scenario}`, async () => {
        const error = await rejection(ask(scenario), Anthropic.APIError);
        assert.ok(error.status >= 500);
        assert.match(error.error.error.type, /^(api|overloaded)_error$/);
      });
    }

    for (const scenario of ['mid-error', 'truncate', 'cut']) {
      it(`broken stream ${scenario}`, async () => {
        let text = '';
        const read = async () => {
          for await (const event of await ask(scenario, { stream: true })) {
            assert.ok(!['message_delta', 'message_stop'].includes(event.type));
            if (event.type === 'content_block_delta') text += event.delta.text;
          }
        };
        const error = await rejection(read(), Anthropic.APIError);
        assert.ok(!(error instanceof Anthropic.APIConnectionError), error.message);
        assert.equal(text, BEGINNING);
      });
    }

    it('early break hangs up', async () => {
      const request = body('endless', { stream: true });
      for await (const event of await one.messages.create(request)) {
        if (event.type === 'content_block_delta') break;
      }
      await assertHungUp(request.model);
    });

    it('abort before the answer hangs up', async () => {
      const request = body('silent');
      const abort = new AbortController();
      const refused = rejection(one.messages.create(request, { signal: abort.signal }), Anthropic.APIUserAbortError);
      await arrived(request.model);
      abort.abort();
      await refused;
      await assertHungUp(request.model);
    });
  });
}

describe('anthropic.Surface', () => {
  it('thinking goes round', async () => {
    const request = { model: model('ant', 'thinking-tool'), max_tokens: 4000, thinking: THINKING, tools: TOOLS };
    const first = await one.messages.stream({ ...request, messages: HI }).finalMessage();
    assert.equal(first.content[0].signature, SIGNATURE);
    const result = { type: 'tool_result', tool_use_id: first.content[1].id, content: '21' };
    const messages = [...HI, { role: 'assistant', content: first.content }, { role: 'user', content: [result] }];
    assert.equal(textOf(await one.messages.create({ ...request, messages })), 'Sunny: 21');
  });

  it('echo', async () => {
    const final = await one.messages.stream({ model: 'demo', messages: HI, max_tokens: 9 }).finalMessage();
    assert.equal(textOf(final), 'Say hello.');
  });

  it('wrong key', async () => {
    const call = client({ apiKey: 'sdk:wrong' }).messages.create({ model: 'demo', messages: HI, max_tokens: 9 });
    const error = await rejection(call, Anthropic.AuthenticationError);
    assert.equal(error.error.error.type, 'authentication_error');
  });

  it('model not allowed', async () => {
    const narrow = client({ apiKey: NARROW_KEY }).messages;
    const call = narrow.create({ model: 'ant/text--never', messages: HI, max_tokens: 9 });
    await rejection(call, Anthropic.PermissionDeniedError);
  });

  it('unknown model', async () => {
    await rejection(one.messages.create({ model: 'demmo', messages: HI, max_tokens: 9 }), Anthropic.NotFoundError);
  });

  it('models', async () => {
    const names = [];
    for await (const found of client({ apiKey: NARROW_KEY }).models.list()) names.push(found.id);
    assert.deepEqual(names, ['demo']);
    assert.equal((await one.models.retrieve('demo')).type, 'model');
  });
});
