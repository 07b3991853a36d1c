// OpenAI's SDK for Node through the gateway: to a provider of its own wire, of the other wire, and to echo.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  BEGINNING, GATEWAY, KEY, NARROW_KEY, OSLO, PARIS, PDF, PDF_BYTES, PNG, PNG_BYTES, ROUTES, TEXT, WEATHER,
  arrived, assertHungUp, load, model, rejection, seen,
} from './case.mjs';

const OpenAI = load('openai').default;
const { zodResponseFormat } = load('openai/helpers/zod');
const { z } = load('zod');

const HI = [{ role: 'user', content: 'Say hello.' }];
const TOOLS = [{ type: 'function', function: { name: 'get_weather', description: 'Weather.', parameters: WEATHER } }];
const Person = z.object({ name: z.string(), age: z.number() });

const client = (more = {}) => new OpenAI({ baseURL: `${GATEWAY}/v1`, apiKey: KEY, maxRetries: 0, timeout: 20_000, ...more });
const chat = client().chat.completions;
const callsOf = (message) => message.tool_calls.map((call) => [call.function.name, JSON.parse(call.function.arguments)]);

async function texts(stream) {
  let text = '';
  for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
  return text;
}

for (const [name, provider] of ROUTES('oai', 'ant')) {
  describe(`openai.${name}`, () => {
    const ask = (scenario, more = {}, options = {}) =>
      chat.create({ model: model(provider, scenario), messages: HI, ...more }, options);

    it('unary', async () => {
      const answer = await ask('text');
      assert.equal(answer.choices[0].message.content, TEXT);
      assert.equal(answer.choices[0].finish_reason, 'stop');
      assert.equal(answer.usage.total_tokens, 18);
      assert.ok(answer._request_id);
    });

    it('stream', async () => {
      assert.equal(await texts(await ask('text', { stream: true })), TEXT);
    });

    it('stream helper with usage', async () => {
      const stream = chat.stream({ model: model(provider, 'text'), messages: HI, stream_options: { include_usage: true } });
      const final = await stream.finalChatCompletion();
      assert.equal(final.choices[0].message.content, TEXT);
      assert.equal((await stream.totalUsage()).total_tokens, 18);
    });

    for (const scenario of ['parallel', 'interleaved']) {
      it(`streamed calls ${scenario}`, async () => {
        const stream = chat.stream({ model: model(provider, scenario), messages: HI, tools: TOOLS });
        const final = await stream.finalChatCompletion();
        assert.equal(final.choices[0].finish_reason, 'tool_calls');
        assert.deepEqual(callsOf(final.choices[0].message), [PARIS, OSLO]);
      });
    }

    for (const stream of [false, true]) {
      it(`tool loop of the SDK ${stream ? 'streamed' : 'whole'}`, async () => {
        const cities = [];
        const play = ({ city }) => {
          cities.push(city);
          return `${city}: 21`;
        };
        const tools = [{ type: 'function', function: { ...TOOLS[0].function, function: play, parse: JSON.parse } }];
        const runner = chat.runTools({ model: model(provider, 'parallel'), messages: HI, tools, stream });
        assert.equal(await runner.finalContent(), 'The tools said: Paris: 21, Oslo: 21.');
        assert.deepEqual(cities, ['Paris', 'Oslo']);
      });
    }

    it('parse helper', async () => {
      const response_format = zodResponseFormat(Person, 'person');
      const answer = await chat.parse({ model: model(provider, 'json'), messages: HI, response_format });
      assert.deepEqual(answer.choices[0].message.parsed, { name: 'Ada', age: 36 });
    });

    it('images and a PDF', async () => {
      const content = [
        { type: 'text', text: 'What is this?' },
        { type: 'image_url', image_url: { url: `data:image/png;base64,${PNG}` } },
        { type: 'file', file: { filename: 'paper.pdf', file_data: `data:application/pdf;base64,${PDF}` } },
      ];
      const answer = await ask('media', { messages: [{ role: 'user', content }] });
      const wanted = `I see: image/png of ${PNG_BYTES} bytes; application/pdf of ${PDF_BYTES} bytes`;
      assert.equal(answer.choices[0].message.content, wanted);
    });

    it('rate limit', async () => {
      const error = await rejection(ask('refuse-429', { stream: true }), OpenAI.RateLimitError);
      assert.equal(error.headers.get('retry-after'), '7');
      assert.equal(error.code, 'rate_limit_exceeded');
      assert.ok(error.requestID);
    });

    it('rate limit, then an answer', async () => {
      const name = model(provider, 'flaky');
      const answer = await client({ maxRetries: 2 }).chat.completions.create({ model: name, messages: HI });
      assert.equal(answer.choices[0].message.content, TEXT);
      assert.equal((await seen(name)).length, 2);
    });

    it('bad request', async () => {
      const error = await rejection(ask('refuse-400'), OpenAI.BadRequestError);
      assert.equal(error.type, 'invalid_request_error');
    });

    it('model unknown upstream', async () => {
      await rejection(ask('no-such-scenario'), OpenAI.NotFoundError);
    });

    for (const scenario of ['refuse-401', 'refuse-500', 'refuse-503', 'cut']) {
      it(`server error ${scenario}`, async () => {
        const error = await rejection(ask(scenario), OpenAI.InternalServerError);
        assert.ok(error.status >= 500);
      });
    }

    for (const scenario of ['mid-error', 'truncate', 'cut']) {
      it(`broken stream ${scenario}`, async () => {
        let text = '';
        const read = async () => {
          for await (const chunk of await ask(scenario, { stream: true })) {
            assert.equal(chunk.choices[0].finish_reason, null);
            text += chunk.choices[0].delta.content ?? '';
          }
        };
        const error = await rejection(read(), OpenAI.APIError);
        assert.ok(!(error instanceof OpenAI.APIConnectionError), error.message);
        assert.equal(text, BEGINNING);
      });
    }

    it('early break hangs up', async () => {
      const name = model(provider, 'endless');
      for await (const chunk of await chat.create({ model: name, messages: HI, stream: true })) {
        if (chunk.choices[0].delta.content) break;
      }
      await assertHungUp(name);
    });

    it('abort before the answer hangs up', async () => {
      const name = model(provider, 'silent');
      const abort = new AbortController();
      const call = chat.create({ model: name, messages: HI }, { signal: abort.signal });
      const refused = rejection(call, OpenAI.APIUserAbortError);
      await arrived(name);
      abort.abort();
      await refused;
      await assertHungUp(name);
    });
  });
}

describe('openai.Surface', () => {
  it('embeddings', async () => {
    const answer = await client().embeddings.create({ model: 'demo', input: ['hello there', 'you'], dimensions: 8 });
    assert.deepEqual(answer.data.map((one) => one.embedding.length), [8, 8]);
    assert.equal(answer.usage.prompt_tokens, 3);
  });

  it('embeddings of a provider', async () => {
    const texts = ['hello there', 'you'];
    const weigh = (text) => Buffer.from(text).reduce((sum, byte) => sum + byte, 0) % 97;
    const wanted = texts.map((text) => Array.from({ length: 8 }, (_, at) => (weigh(text) - at) / 64));
    const { embeddings } = client();
    // Where the caller names no encoding, this SDK asks for base64 and decodes it.
    for (const more of [{}, { encoding_format: 'float' }]) {
      const answer = await embeddings.create({ model: 'oai/vectors', input: texts, ...more });
      assert.deepEqual(answer.data.map((one) => one.embedding), wanted);
      assert.equal(answer.usage.total_tokens, 3);
    }
    const tokens = await embeddings.create({ model: 'oai/vectors', input: [[1, 2, 3], [4]], dimensions: 4 });
    assert.deepEqual(tokens.data.map((one) => one.embedding.length), [4, 4]);
    await rejection(embeddings.create({ model: 'oai/vectors', input: [''] }), OpenAI.BadRequestError);
  });

  it('images of a provider', async () => {
    const { toFile } = load('openai');
    const { images } = client();
    const picture = (name) => toFile(Buffer.from(PNG, 'base64'), name, { type: 'image/png' });
    const model = 'oai/pictures';
    const answer = await images.generate({ model, prompt: 'a red door', n: 2, size: '1536x1024' });
    assert.deepEqual([answer.data.length, answer.size, answer.usage.output_tokens], [2, '1536x1024', 400]);
    const edit = await images.edit({ model, prompt: 'a hat', image: [await picture('a.png'), await picture('b.png')], mask: await picture('c.png') });
    assert.equal(edit.usage.input_tokens_details.image_tokens, 20);
    assert.equal((await images.createVariation({ model, image: await picture('a.png'), n: 3 })).data.length, 3);
    const kinds = [];
    for await (const event of await images.generate({ model, prompt: 'a door', stream: true, partial_images: 2 })) kinds.push(event.type);
    assert.deepEqual(kinds, ['image_generation.partial_image', 'image_generation.partial_image', 'image_generation.completed']);
    await rejection(images.generate({ model, prompt: 'a door', size: '7x7' }), OpenAI.BadRequestError);
  });

  it('images', async () => {
    const { toFile } = load('openai');
    const { images } = client();
    const head = (b64) => Buffer.from(b64, 'base64').subarray(1, 4).toString();
    const answer = await images.generate({ model: 'demo', prompt: 'a red door', n: 2 });
    assert.deepEqual(answer.data.map((one) => head(one.b64_json)), ['PNG', 'PNG']);
    const file = (name) => toFile(Buffer.from(PNG, 'base64'), name, { type: 'image/png' });
    const edit = await images.edit({ model: 'demo', prompt: 'a hat', image: [await file('a.png'), await file('b.png')] });
    assert.equal(edit.usage.input_tokens_details.image_tokens, 2);
    assert.ok((await images.createVariation({ model: 'demo', image: await file('a.png') })).data[0].b64_json);
    const events = [];
    for await (const event of await images.edit({ model: 'demo', prompt: 'a hat', image: await file('a.png'), stream: true })) events.push(event);
    assert.deepEqual(events.map((event) => [event.type, head(event.b64_json)]), [['image_edit.completed', 'PNG']]);
  });

  it('speech and transcription', async () => {
    const { toFile } = load('openai');
    const spoken = await client().audio.speech.create({ model: 'demo', input: 'Hello you', voice: 'echo', response_format: 'wav' });
    const sound = Buffer.from(await spoken.arrayBuffer());
    assert.equal(sound.subarray(0, 4).toString(), 'RIFF');
    const { transcriptions } = client().audio;
    const file = () => toFile(sound, 'tone.wav');
    assert.equal((await transcriptions.create({ model: 'demo', file: await file() })).text, 'a sound of 450 milliseconds');
    let said = '';
    for await (const event of await transcriptions.create({ file: await file(), model: 'demo', stream: true })) said += event.delta ?? '';
    assert.equal(said, 'a sound of 450 milliseconds');
    // The SDK writes fields in the order of its caller's keys: a long file before or behind what says where it goes.
    const long = () => toFile(Buffer.concat([sound, Buffer.alloc(600_000, 1)]), 'long.wav');
    for (const said of [{ model: 'oai/stt', file: await long() }, { file: await long(), model: 'oai/stt' }]) {
      const own = await transcriptions.create({ ...said, response_format: 'verbose_json' });
      assert.equal(own.segments[0].text, 'The sun was setting.');
    }
  });

  it('echo', async () => {
    assert.equal(await texts(await chat.create({ model: 'demo', messages: HI, stream: true })), 'Say hello.');
  });

  it('wrong key', async () => {
    const error = await rejection(client({ apiKey: 'sdk:wrong' }).models.list(), OpenAI.AuthenticationError);
    assert.equal(error.code, 'invalid_api_key');
  });

  it('model not allowed', async () => {
    const narrow = client({ apiKey: NARROW_KEY }).chat.completions;
    await rejection(narrow.create({ model: 'oai/text--never', messages: HI }), OpenAI.PermissionDeniedError);
  });

  it('unknown model', async () => {
    const error = await rejection(chat.create({ model: 'demmo', messages: HI }), OpenAI.NotFoundError);
    assert.equal(error.code, 'model_not_found');
  });

  it('models', async () => {
    const names = [];
    for await (const found of client({ apiKey: NARROW_KEY }).models.list()) names.push(found.id);
    assert.deepEqual(names, ['demo']);
    assert.equal((await client().models.retrieve('demo')).id, 'demo');
  });
});
