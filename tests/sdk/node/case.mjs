// What the Node suites share: where the gateway is, the SDKs, and what the provider saw.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

export const GATEWAY = process.env.LLMLEAF_URL;
const UPSTREAM = process.env.UPSTREAM_URL;
// May use every model; the other one `demo` only.
export const KEY = 'sdk:s3cret';
export const NARROW_KEY = 'narrow:s3cret';

// The SDKs live outside of the repository.
export const load = createRequire(join(process.env.SDK_NODE_MODULES, 'anything.js'));

// One that is a module only: what its package names for importing.
export async function bring(name) {
  const folder = join(process.env.SDK_NODE_MODULES, ...name.split('/'));
  const about = load(join(folder, 'package.json'));
  let entry = about.exports?.['.'] ?? about.exports ?? about.module ?? about.main;
  while (typeof entry === 'object') entry = entry.import ?? entry.node ?? entry.default;
  return import(pathToFileURL(join(folder, entry)));
}

// What the provider's scripts say (`fake/scripts.py`).
export const TEXT = 'Hello from the provider: äöü 🍃.';
export const BEGINNING = 'Hello from the provider: ';
export const SIGNATURE = 'c2lnbmF0dXJlLW9mLXRoZS1mYWtlLXByb3ZpZGVy';
export const PARIS = ['get_weather', { city: 'Paris' }];
export const OSLO = ['get_weather', { city: 'Oslo' }];

export const PNG =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==';
export const PNG_BYTES = Buffer.from(PNG, 'base64').length;
const paper = Buffer.from('%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n');
export const PDF = paper.toString('base64');
export const PDF_BYTES = paper.length;

export const WEATHER = {
  type: 'object',
  properties: { city: { type: 'string' } },
  required: ['city'],
  additionalProperties: false,
};

// A name that chooses the scenario and that no other case uses.
let number = 0;
export function model(provider, scenario) {
  number += 1;
  return `${provider}/${scenario}--node.${process.pid}.${number}`;
}

async function asked(kind, name) {
  const own = encodeURIComponent(name.slice(name.indexOf('/') + 1));
  const response = await fetch(`${UPSTREAM}/-/${kind}?model=${own}`);
  return response.json();
}

// The requests that the provider had for this model.
export const seen = (name) => asked('seen', name);

// The gateway closed the provider's connection, and did not wait for its patience to end.
export async function assertHungUp(name) {
  const requests = await asked('ended', name);
  assert.deepEqual(requests.map((request) => request.ended), ['hung up']);
}

// Waits until the provider has the request.
export async function arrived(name) {
  while ((await seen(name)).length === 0);
}

// What the promise is rejected with, which must be of this class.
export async function rejection(promise, kind) {
  let error;
  try {
    await promise;
  } catch (caught) {
    error = caught;
  }
  assert.ok(error, 'nothing was thrown');
  assert.ok(error instanceof kind, `${error.constructor.name}: ${error.message}`);
  return error;
}

// Both wires that a provider can speak, the SDK's own one first.
export const ROUTES = (own, other) => [['SameWire', own], ['OtherWire', other]];
