// OpenAI's SDK for Node in realtime sessions: as a server opens them, and as a page in a browser does.
import assert from 'node:assert/strict';
import net from 'node:net';
import { describe, it } from 'node:test';
import { GATEWAY, KEY, load } from './case.mjs';

const OpenAI = load('openai').default;
const { OpenAIRealtimeWS } = load('openai/realtime/ws');
const { OpenAIRealtimeWebSocket } = load('openai/realtime/websocket');
// Node 20 has none of its own.
globalThis.WebSocket = load('ws').WebSocket;

const client = (apiKey = KEY) => new OpenAI({ baseURL: `${GATEWAY}/v1`, apiKey, maxRetries: 0, timeout: 20_000, dangerouslyAllowBrowser: true });
// The SDK asks for TLS whatever its base URL says; the gateway under test has none.
const plainly = (url) => { url.protocol = 'ws:'; };
const options = { createConnection: ({ host, port }) => net.connect({ host, port }) };
// The letters that a sub-protocol may have.
const PLAIN = Buffer.from(KEY).toString('base64url');

// Asks for an answer in text, and waits for the last event.
function ask(session) {
  return new Promise((resolve, reject) => {
    let text = '';
    session.on('error', reject);
    session.on('session.created', () => {
      session.send({ type: 'session.update', session: { type: 'realtime', output_modalities: ['text'] } });
      session.send({ type: 'conversation.item.create', item: { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'hello' }] } });
      session.send({ type: 'response.create' });
    });
    session.on('response.output_text.delta', (event) => { text += event.delta; });
    session.on('response.done', (event) => resolve({ text, response: event.response }));
  });
}

for (const [name, model] of [['relayed', 'oai/gpt-realtime'], ['bridged', 'demo']]) {
  describe(`openai.realtime ${name}`, () => {
    it('a server', async () => {
      const session = new OpenAIRealtimeWS({ model, options }, client());
      const { text, response } = await ask(session);
      assert.equal(text, 'hello');
      assert.equal(response.status, 'completed');
      session.close();
    });

    it('a page with a key', async () => {
      const session = new OpenAIRealtimeWebSocket({ model, onURL: plainly }, client(PLAIN));
      assert.equal((await ask(session)).text, 'hello');
      assert.equal(session.socket.protocol, 'realtime');
      session.close();
    });

    it('a page with a secret', async () => {
      const secret = await client().realtime.clientSecrets.create({ session: { type: 'realtime', model } });
      const session = new OpenAIRealtimeWebSocket({ model, onURL: plainly }, client(secret.value));
      assert.equal((await ask(session)).text, 'hello');
      session.close();
    });
  });
}
