import { runInNewContext } from 'node:vm';
import express from 'express';
import { type JwtAuthOptions, jwtAuth, localKeys, memoryStore, requireAuth, tokenIssuer } from 'portcullis';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { tokenVerifier } from '../../lib/token/verifier.ts';
import { serve } from '../support/http-server.ts';
import { keyFor } from './key-material.ts';

const names = { issuer: 'https://auth.example', audience: 'https://api.example' };
const keys = localKeys([{ kid: 'k', alg: 'EdDSA', key: keyFor('EdDSA') }]);
const thief = localKeys([{ kid: 'k', alg: 'EdDSA', key: keyFor('EdDSA') }]);
const tokenOf = (signing: typeof keys) => tokenIssuer({ ...names, keys: signing, lifetime: '5m' })({ subject: 'ann' });
const good = tokenOf(keys);
const forged = tokenOf(thief);

/** All that a thenable has to have: what it gives is another such, and never a promise. */
class Thenable {
  readonly #inner: Promise<any>;
  constructor(inner: Promise<any>) {
    this.#inner = inner;
  }
  // biome-ignore lint/suspicious/noThenProperty: it is what this is about
  then(onValue?: (value: any) => any, onError?: (error: any) => any): Thenable {
    return new Thenable(this.#inner.then(onValue, onError));
  }
}

const ElsewherePromise: PromiseConstructor = runInNewContext('Promise');
// As tracing libraries do: a promise of this realm whose own `then` gives something else.
const patched = (value: unknown) =>
  // biome-ignore lint/suspicious/noThenProperty: it is what this is about
  Object.assign(Promise.resolve(value), { then: (...two: any[]) => new Thenable(Promise.resolve(value)).then(...two) });

const laters: readonly (readonly [string, (value: unknown) => any])[] = [
  ['a thenable', (value) => new Thenable(Promise.resolve(value))],
  ['a promise of another realm', (value) => ElsewherePromise.resolve(value)],
  ['a promise with a then of its own', patched],
  ['a promise', (value) => Promise.resolve(value)],
  ['the value itself', (value) => value],
];
const stores = [
  ['with a store', () => memoryStore()],
  ['without', () => 'none' as const],
] as const;

/** What an API answers whose keys are found like this. */
async function api(find: (header: any) => any, options: Partial<JwtAuthOptions> = {}) {
  const app = express();
  app.use(jwtAuth({ ...names, store: 'none', keys: { find }, ...options } as JwtAuthOptions));
  app.get('/', requireAuth(), (req, res) => void res.json({ subject: req.auth?.subject }));
  const server = await serve(app);
  onTestFinished(() => server.close());
  return async (token: string) => {
    const response = await fetch(server.url, { headers: { Authorization: `Bearer ${token}` } });
    return response.ok ? await response.json() : response.status;
  };
}

describe.each(stores)('T01: a forged token never comes in, %s', (_what, store) => {
  test.each(laters)('where "find" gives %s', async (_how, later) => {
    const ask = await api((header) => later(keys.find(header)), { store: store() });
    expect(await ask(forged)).toBe(401);
    expect(await ask(good)).toEqual({ subject: 'ann' });
    expect(await ask(forged)).toBe(401);
    expect(await ask(good)).toEqual({ subject: 'ann' });
    expect(await ask('a.b.c')).toBe(401);
  });
});

describe('what "find" gives', () => {
  const verifierOf = (find: (header: any) => any) => {
    const issuers = [{ ...names, keys: { find } }];
    return tokenVerifier({ issuers, leeway: 0 });
  };

  test.each(laters.slice(0, 4))(
    '%s becomes a promise of the language, at the first use and later',
    async (_how, later) => {
      const verifier = verifierOf((header) => later(keys.find(header)));
      for (const verify of [verifier.verify, verifier.verify, verifier.verifyExpired]) {
        const verdict = verify(good);
        expect(verdict).toBeInstanceOf(Promise);
        expect(Object.hasOwn(verdict, 'then')).toBe(false);
        expect(await verdict).toMatchObject({ subject: 'ann' });
      }
    },
  );

  const found = keys.current;
  const mistakes: readonly (readonly [string, unknown])[] = [
    ['nothing', undefined],
    ['null', null],
    ['false', false],
    ['zero', 0],
    ['a PEM', '-----BEGIN PUBLIC KEY-----'],
    ['an empty object', {}],
    ['a list of keys', [found]],
    ['a bare KeyObject', found.key],
    ['a JWK', found.key.export({ format: 'jwk' })],
    ['a key whose key is text', { ...found, key: 'text' }],
    ['a key whose key is null', { ...found, key: null }],
    ['a key without a name', { alg: found.alg, key: found.key }],
    ['a key of no algorithm', { kid: 'k', key: found.key }],
    ['a key of an unknown algorithm', { ...found, alg: 'none' }],
  ];

  test.each(mistakes)('is no key where it is %s: 401, at once and later', async (_what, mistake) => {
    for (const [how, later] of laters) expect(await (await api(() => later(mistake)))(good), how).toBe(401);
    const refusal = expect.objectContaining({ reason: 'unknown_key' });
    expect(() => verifierOf(() => mistake).verify(good)).toThrow(refusal);
    // A token known to be good is no different.
    let answer: unknown = found;
    const verifier = verifierOf(() => answer);
    verifier.verify(good);
    answer = mistake;
    expect(() => verifier.verify(good)).toThrow(refusal);
  });

  test('is asked again later where it fails: 503, whatever kind of promise says so', async () => {
    const error = new Error('connect ECONNREFUSED');
    const late = async () => Promise.reject(error);
    for (const find of [late, () => new Thenable(late()), () => ElsewherePromise.reject(error)]) {
      expect(await (await api(find))(good)).toBe(503);
    }
  });
});

describe('an "accepts" that is async', () => {
  test('refuses every token, says once what is wrong, and ends no process', async () => {
    const warnings = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
    onTestFinished(() => warnings.mockRestore());
    const fails = async () => Promise.reject(new Error('boom'));
    for (const [accepts, issuer] of [
      [fails, 'https://a.example'],
      [async () => true, 'https://b.example'],
      [() => new Thenable(fails()), 'https://c.example'],
      [() => ElsewherePromise.reject(new Error('boom')), 'https://d.example'],
    ] as const) {
      const token = tokenIssuer({ ...names, issuer, keys, lifetime: '5m' })({ subject: 'ann' });
      const ask = await api(keys.find, { issuer, accepts: accepts as never });
      for (let round = 0; round < 3; round++) expect(await ask(token)).toBe(401);
      const said = warnings.mock.calls.filter(([message]) => String(message).includes(issuer));
      expect(said).toEqual([[expect.stringMatching(/"accepts".*must not be async/), { code: 'PORTCULLIS_ACCEPTS' }]]);
    }
    // Nobody caught it: test/support/stray-errors.ts would fail this file.
    await new Promise(setImmediate);
  });
});
