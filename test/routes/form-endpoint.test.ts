import { randomBytes } from 'node:crypto';
import type { RequestListener } from 'node:http';
import { runInNewContext } from 'node:vm';
import express, { type RequestHandler } from 'express';
import express4 from 'express4';
import {
  hybridAuth,
  introspectionHandler,
  jwtAuth,
  localKeys,
  memoryStore,
  revocationHandler,
  sessionAuth,
  tokenIssuer,
} from 'portcullis';
import { describe, expect, onTestFinished, test } from 'vitest';
import { serve } from '../support/http-server.ts';
import { keyFor } from '../token/key-material.ts';

const names = { issuer: 'https://auth.example', audience: 'https://api.example' };
const keys = localKeys([{ kid: 'k1', alg: 'ES256', key: keyFor('ES256') }]);
const token = tokenIssuer({ ...names, keys, lifetime: '5m' })({ subject: 'ann' });
const foreign = { ...names, issuer: 'https://other.example', keys: { find: keys.find } };
const mode = jwtAuth({ ...names, keys, store: 'none' });
const endpoint = introspectionHandler({ modes: [mode], authorize: () => true });

const frameworks = [
  ['Express 5', express],
  ['Express 4', express4 as unknown as typeof express],
] as const;

type Framework = typeof express;
type Parser = (framework: Framework) => RequestHandler;

const json: Parser = (framework) => framework.json();
const simpleForm: Parser = (framework) => framework.urlencoded({ extended: false });
const richForm: Parser = (framework) => framework.urlencoded({ extended: true });
const text: Parser = (framework) => framework.text({ type: '*/*' });
const raw: Parser = (framework) => framework.raw({ type: '*/*' });
const slow: Parser = () => (_req, _res, next) => void setTimeout(next, 20);

const parsers: readonly (readonly [string, readonly Parser[]])[] = [
  ['no parser', []],
  ['express.json()', [json]],
  ['express.json() twice, and something slow', [json, json, slow]],
  ['express.urlencoded()', [simpleForm]],
  ['express.urlencoded({ extended: true })', [richForm]],
  ['express.json(), then express.urlencoded()', [json, richForm]],
  ['express.urlencoded(), then express.json()', [simpleForm, json]],
  ['express.text() for everything', [text]],
  ['express.raw() for everything', [raw]],
  ['express.json(), then express.raw() for everything', [json, raw]],
];

/** The address of this listener, until the test is over. */
async function at(listener: RequestListener): Promise<string> {
  const server = await serve(listener);
  onTestFinished(() => server.close());
  return server.url;
}

async function post(url: string, body: string, headers: object = {}): Promise<readonly [number, any]> {
  const type = { 'Content-Type': 'application/x-www-form-urlencoded' };
  const response = await fetch(url, { method: 'POST', body, headers: { ...type, ...headers } });
  return [response.status, await response.json()];
}

const ACTIVE = [200, expect.objectContaining({ active: true, sub: 'ann' })];
const WITHOUT_TOKEN = [400, { error: 'invalid_request', error_description: 'the form must hold a token' }];
const INVALID = [400, expect.objectContaining({ error: 'invalid_request' })];

describe.each(frameworks)('%s', (_version, framework) => {
  test.each(parsers)('behind %s a form is read, and a poor one refused', async (_what, before) => {
    const app = framework();
    for (const parser of before) app.use(parser(framework));
    const url = await at(app.use(endpoint) as RequestListener);
    expect(await post(url, `token=${token}`)).toEqual(ACTIVE);
    expect(await post(url, `token_type_hint=access_token&token=${token}`)).toEqual(ACTIVE);
    expect(await post(url, 'token=x')).toEqual([200, { active: false }]);
    for (const poor of ['', '&', 'token=', 'toke=x']) expect(await post(url, poor)).toEqual(WITHOUT_TOKEN);
    for (const poor of [`token=${token}&token=${token}`, `token=${'x'.repeat(9_000)}&token=`]) {
      expect(await post(url, poor)).toEqual(INVALID);
    }
    expect(await post(url, `{"token":"${token}"}`, { 'Content-Type': 'application/json' })).toEqual(INVALID);
  });

  test('what somebody made of the body themselves is believed, though they left the stream alone', async () => {
    const app = framework();
    app.use((req, _res, next) => {
      req.body = { token };
      next();
    });
    expect(await post(await at(app.use(endpoint) as RequestListener), 'token=x')).toEqual(ACTIVE);
  });

  test.each([json, text, raw])('a form too long is refused behind a parser too', async (parser) => {
    const app = framework();
    app.use(parser(framework));
    const url = await at(app.use(endpoint) as RequestListener);
    expect(await post(url, `token=${token}&more=${'x'.repeat(20_000)}`)).toEqual(INVALID);
  });

  test.each([
    ['text', ''],
    ['bytes', Buffer.alloc(0)],
  ])('the form is read where empty %s stands for a body that nobody read', async (_what, body) => {
    const app = framework();
    app.use((req, _res, next) => {
      req.body = body;
      next();
    });
    expect(await post(await at(app.use(endpoint) as RequestListener), `token=${token}`)).toEqual(ACTIVE);
  });

  test.each([
    ['a Uint8Array', Uint8Array],
    ['one of another realm', runInNewContext('Uint8Array') as typeof Uint8Array],
  ])('a form that stands there as %s is read', async (_what, Bytes) => {
    const app = framework();
    app.use((req, _res, next) => {
      req.body = Bytes.from(Buffer.from(`x=%C3%A9&token=${token}`));
      next();
    });
    expect(await post(await at(app.use(endpoint) as RequestListener), 'token=x')).toEqual(ACTIVE);
  });

  test('T39: a token of any characters at all is no credential, and no error', async () => {
    const store = memoryStore();
    const secret = randomBytes(32).toString('base64');
    const own = { store, secret };
    const session = sessionAuth(own);
    const modes = [session, hybridAuth({ ...own, ...names, keys, transport: 'body' }), jwtAuth({ ...foreign, store })];
    const app = framework();
    app.use(framework.json({ type: () => true }));
    app.use('/introspect', introspectionHandler({ modes, authorize: () => true }));
    app.use('/revoke', revocationHandler({ modes, authorize: () => false }));
    const url = await at(app as RequestListener);
    const odd = [
      's:\ud800',
      `s:\udc00${'a'.repeat(43)}`,
      '\ud800',
      's:',
      's:%',
      's:%00',
      's:\0',
      'a.\ud800.c',
      '\ud800.a.b',
    ];
    for (const each of odd) {
      const body = JSON.stringify({ token: each });
      expect(await post(`${url}/introspect`, body), body).toEqual([200, { active: false }]);
      expect((await post(`${url}/revoke`, body))[0], body).toBe(401);
    }
  });
});

describe('on node:http', () => {
  test('a form is read, and a poor one refused', async () => {
    const url = await at((req, res) => endpoint(req, res, () => res.writeHead(500).end('{}')));
    expect(await post(url, `token=${token}`)).toEqual(ACTIVE);
    expect(await post(url, '')).toEqual(INVALID);
  });

  test.each(frameworks)("behind %s's parser of JSON a form is read", async (_version, framework) => {
    const parse = framework.json() as unknown as typeof endpoint;
    const url = await at((req, res) => {
      const fail = () => void res.writeHead(500).end('{}');
      parse(req, res, () => endpoint(req, res, fail));
    });
    expect(await post(url, `token=${token}`)).toEqual(ACTIVE);
    expect(await post(url, 'token=')).toEqual(INVALID);
  });
});
