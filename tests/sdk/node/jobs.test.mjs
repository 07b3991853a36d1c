// OpenAI's SDK for Node with sound, and with batches and their files: to providers of its own wires, to one of another, and run by the gateway.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { GATEWAY, KEY, NARROW_KEY, TEXT, load, model, rejection } from './case.mjs';

const { default: OpenAI, toFile } = load('openai');
const client = (apiKey = KEY) => new OpenAI({ baseURL: `${GATEWAY}/v1`, apiKey, maxRetries: 0, timeout: 20_000 });
const { audio, batches, files } = client();

// What the provider says, and what it is told (`fake/audio.py`).
const SOUND = Buffer.concat(Array.from({ length: 40 }, () => Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))));
const SAID = 'The sun was setting.';
const recording = () => toFile(Buffer.from('RIFF of a recording'), 'tone.wav');

describe('openai.audio.SameWire', () => {
  const say = (more) => audio.speech.create({ model: 'oai/tts', input: 'Hello', voice: 'alloy', ...more });
  const write = async (more) => audio.transcriptions.create({ model: 'oai/stt', file: await recording(), ...more });

  it('speech in every format', async () => {
    for (const format of ['mp3', 'opus', 'aac', 'flac', 'wav', 'pcm']) {
      const answer = await say({ response_format: format });
      assert.deepEqual(Buffer.from(await answer.arrayBuffer()), SOUND, format);
      assert.equal(answer.headers.get('content-type'), `audio/${format === 'mp3' ? 'mpeg' : format}`);
    }
  });

  it('speech streams', async () => {
    const pieces = [];
    for await (const piece of (await say({ instructions: 'softly' })).body) pieces.push(piece);
    assert.deepEqual(Buffer.concat(pieces), SOUND);
    let text = '';
    for await (const piece of (await say({ stream_format: 'sse' })).body) text += Buffer.from(piece);
    const events = text.split('\n').filter((line) => line.startsWith('data: ')).map((line) => JSON.parse(line.slice(6)));
    const last = events.pop();
    assert.deepEqual([last.type, last.usage.total_tokens], ['speech.audio.done', 44]);
    assert.deepEqual(Buffer.concat(events.map((event) => Buffer.from(event.audio, 'base64'))), SOUND);
  });

  it('transcriptions in every format', async () => {
    const plain = await write({ language: 'en', prompt: 'a sunset' });
    assert.deepEqual([plain.text, plain.usage.total_tokens], [SAID, 70]);
    assert.equal((await write({ response_format: 'text' })).trim(), SAID);
    assert.match(await write({ response_format: 'srt' }), /00:00:00,000 --> 00:00:01,500/);
    assert.match(await write({ response_format: 'vtt' }), /^WEBVTT/);
    const verbose = await write({ response_format: 'verbose_json', timestamp_granularities: ['word', 'segment'] });
    assert.deepEqual([verbose.duration, verbose.segments[0].text, verbose.words[1].word], [1.5, SAID, 'sun']);
    const diarized = await write({ response_format: 'diarized_json', chunking_strategy: 'auto' });
    assert.equal(diarized.segments[0].speaker, 'A');
    assert.equal((await audio.translations.create({ model: 'oai/stt', file: await recording() })).text, SAID);
  });

  it('a transcription streams', async () => {
    const events = [];
    for await (const event of await write({ stream: true })) events.push(event);
    assert.equal(events.map((event) => event.delta ?? '').join(''), SAID);
    assert.deepEqual([events.at(-1).type, events.at(-1).text], ['transcript.text.done', SAID]);
  });

  it('errors', async () => {
    const none = await toFile(Buffer.from('no sound'), 'a.wav');
    const error = await rejection(audio.transcriptions.create({ model: 'oai/stt', file: none }), OpenAI.BadRequestError);
    assert.match(error.message, /Invalid file format/);
  });
});

const NAMES = ['ask-0', 'ask-1', 'ask-2'];

// The requests of a batch, as the lines of a file.
function lines(name) {
  const body = { model: name, max_tokens: 20, messages: [{ role: 'user', content: 'Say hello.' }] };
  return NAMES.map((custom_id) => JSON.stringify({ custom_id, method: 'POST', url: '/v1/chat/completions', body })).join('\n');
}

async function ended(batch) {
  const until = Date.now() + 20_000;
  while (!['completed', 'failed', 'expired', 'cancelled'].includes(batch.status)) {
    assert.ok(Date.now() < until, 'it does not end');
    batch = await batches.retrieve(batch.id);
  }
  assert.deepEqual([batch.status, batch.request_counts.completed], ['completed', NAMES.length]);
  return batch;
}

// What the answers in a file of results say, by the names of their requests.
async function said(file) {
  const results = (await (await files.content(file)).text()).trim().split('\n').map((line) => JSON.parse(line));
  return Object.fromEntries(results.map((line) => [line.custom_id, line.response.body.choices[0].message.content]));
}

const all = (text) => Object.fromEntries(NAMES.map((name) => [name, text]));

for (const [group, named, text] of [
  ['ByFiles', () => model('oai', 'text'), TEXT],
  ['Across', () => model('ant', 'text'), TEXT],
  ['RunHere', () => 'demo', 'Say hello.'],
]) {
  describe(`openai.batches.${group}`, () => {
    it('a file of requests', async () => {
      const file = await files.create({ file: await toFile(Buffer.from(lines(named())), 'asks.jsonl'), purpose: 'batch' });
      assert.deepEqual([file.object, file.purpose], ['file', 'batch']);
      const made = await batches.create({ input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' });
      // A provider that keeps no files knows of none.
      assert.equal(made.input_file_id, group === 'Across' ? null : file.id);
      const batch = await ended(made);
      assert.deepEqual(await said(batch.output_file_id), all(text));
      const listed = [];
      for await (const known of batches.list({ limit: 100 })) listed.push(known.id);
      // Anthropic keeps no marks: whose a batch in its list is, nobody knows where there are several callers.
      assert.equal(listed.includes(batch.id), group !== 'Across');
      assert.equal((await files.retrieve(file.id)).id, file.id);
      assert.equal((await batches.cancel(batch.id)).id, batch.id);
      await rejection(client(NARROW_KEY).batches.retrieve(batch.id), OpenAI.NotFoundError);
      assert.equal((await files.delete(file.id)).deleted, true);
    });
  });
}

describe('openai.batches.ByFiles errors', () => {
  it('what is wrong is told by line', async () => {
    const twice = lines(model('oai', 'text')).replace('ask-2', 'ask-0');
    const asked = files.create({ file: await toFile(Buffer.from(twice), 'asks.jsonl'), purpose: 'batch' });
    const error = await rejection(asked, OpenAI.BadRequestError);
    assert.match(error.message, /line 3/);
  });
});
