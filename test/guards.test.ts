import { setTimeout as sleep } from 'node:timers/promises';
import express from 'express';
import {
  type AuditEvent,
  authErrorHandler,
  hybridAuth,
  jwtAuth,
  localKeys,
  type Middleware,
  memoryStore,
  requireAuth,
  requireRole,
  requireScope,
  sessionAuth,
  tokenIssuer,
} from 'portcullis';
import { afterEach, describe, expect, test } from 'vitest';
import { type Answer, browser } from './support/browser.ts';
import { type HttpServer, serve } from './support/http-server.ts';
import { keyFor } from './token/key-material.ts';
import { makeToken } from './token/make-token.ts';

const SECRET = 'vGxRgYm2k1DqkPz0Qw8nRy3Lb7HcTf5SJuEaXoWi4d';
const secret = keyFor('HS256');
const keys = localKeys([{ kid: 'k', alg: 'HS256', key: secret }]);
const ours = { issuer: 'https://app.example', audience: 'app', keys };
const issue = tokenIssuer({ ...ours, lifetime: '1h' });

const servers: HttpServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});

async function guarded(guard: Middleware, mode: 'jwt' | 'none' = 'jwt') {
  const audit: AuditEvent[] = [];
  const app = express();
  const hear = (event: AuditEvent) => void audit.push(event);
  if (mode === 'jwt') app.use(jwtAuth({ ...ours, store: 'none', required: false, audit: hear }));
  app.get('/', guard, (_req, res) => void res.json('in'));
  app.use(authErrorHandler());
  const server = await serve(app);
  servers.push(server);
  return {
    audit,
    ask: (token?: string) =>
      browser(server.url).get('/', token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } }),
  };
}
const short = ({ status, json }: Answer) => [status, json?.error ?? json];

test('T29: requireScope lets through who holds all, and tells the others which', async () => {
  const { ask } = await guarded(requireScope('read', 'write'));
  expect(short(await ask(issue({ subject: 'a', scopes: ['write', 'read', 'more'] })))).toEqual([200, 'in']);
  for (const scopes of [['read'], [], ['readwrite'], ['READ', 'write']]) {
    const answer = await ask(issue({ subject: 'a', scopes }));
    expect(short(answer)).toEqual([403, 'insufficient_scope']);
    expect(answer.headers['www-authenticate']).toContain('scope="read write"');
  }
  expect(short(await ask())).toEqual([401, 'unauthenticated']);
});

test('T29: a malformed scope claim is no scope', async () => {
  const { ask } = await guarded(requireScope('read'));
  for (const scope of [null, 1, {}, { 0: 'read' }, ['read', 1], [['read']], 'read"', true]) {
    const iat = Math.floor(Date.now() / 1000);
    const claims = { iss: ours.issuer, aud: 'app', sub: 'a', iat, exp: iat + 60, scope };
    expect([scope, ...short(await ask(makeToken('HS256', secret, { alg: 'HS256', kid: 'k' }, claims)))]).toEqual([
      scope,
      403,
      'insufficient_scope',
    ]);
  }
});

test('requireRole lets through who has any', async () => {
  const { ask, audit } = await guarded(requireRole('admin', 'editor'));
  expect(short(await ask(issue({ subject: 'a', roles: ['editor'] })))).toEqual([200, 'in']);
  const answer = await ask(issue({ subject: 'a', roles: ['reader'] }));
  expect(short(answer)).toEqual([403, 'insufficient_role']);
  expect(answer.headers).not.toHaveProperty('www-authenticate');
  expect(answer.text).not.toContain('admin');
  expect(short(await ask())).toEqual([401, 'unauthenticated']);
  await sleep(10);
  expect(audit.map(({ type }) => type)).toEqual(['refused', 'refused']);
  expect(audit[0]).toMatchObject({ error: { required: ['admin', 'editor'] } });
});

test('a guard gives the real reason for which an ambient credential counted as absent', async () => {
  const app = express();
  app.use(jwtAuth({ ...ours, store: 'none', required: false, cookie: 'token' }));
  app.use(requireAuth(), (_req, res) => void res.json('in'));
  app.use(authErrorHandler());
  const server = await serve(app);
  servers.push(server);
  const iat = Math.floor(Date.now() / 1000) - 600;
  const claims = { iss: ours.issuer, aud: 'app', sub: 'a', iat, exp: iat + 60 };
  const expired = makeToken('HS256', secret, { alg: 'HS256', kid: 'k' }, claims);
  const { status, json, headers } = await browser(server.url, [['token', expired]]).get('/');
  expect([status, json.error_description]).toEqual([401, 'the token has expired']);
  expect(headers['www-authenticate']).toBe('Bearer error="invalid_token", error_description="the token has expired"');
});

test('N04, T30: within asks when the person proved who they are, in every mode, and never takes iat for it', async () => {
  const store = memoryStore();
  const app = express();
  const session = sessionAuth({ store, secret: SECRET, cookie: { secure: false }, required: false });
  const hybrid = hybridAuth({ ...ours, store, secret: SECRET, transport: 'body' });
  const login = (mode: any) => (req: any, res: any, next: any) => {
    const { ago, subject } = req.body;
    const authenticatedAt = ago === undefined ? {} : { authenticatedAt: new Date(Date.now() - ago) };
    mode.login(req, res, { subject, ...authenticatedAt }).then((receipt: any) => res.json(receipt), next);
  };
  app.post('/session', express.json(), login(session));
  app.post('/hybrid', express.json(), login(hybrid));
  app.use(session);
  app.get('/fresh', hybridOrSession(), requireAuth({ within: '5m' }), (_req, res) => void res.json('in'));
  app.use(authErrorHandler());
  function hybridOrSession() {
    return hybridAuth({ ...ours, store, secret: SECRET, transport: 'body', required: false });
  }
  const server = await serve(app);
  servers.push(server);
  const client = browser(server.url);
  const hour = 3_600_000;
  for (const [ago, status] of [
    [undefined, 200],
    [60_000, 200],
    [hour, 401],
  ] as const) {
    const body = { subject: 'ann', ...(ago === undefined ? {} : { ago }) };
    await client.post('/session', body);
    const bySession = await client.get('/fresh');
    const { access_token } = (await browser(server.url).post('/hybrid', body)).json;
    const byToken = await browser(server.url).get('/fresh', { headers: { authorization: `Bearer ${access_token}` } });
    for (const answer of [bySession, byToken]) {
      expect([ago, answer.status]).toEqual([ago, status]);
      if (status === 401) {
        expect(answer.headers['www-authenticate']).toBe(
          'Bearer error="insufficient_user_authentication", error_description="a more recent authentication is required", max_age="300"',
        );
      }
    }
  }
  const silent = await browser(server.url).get('/fresh', {
    headers: { authorization: `Bearer ${issue({ subject: 'ann' })}` },
  });
  expect(short(silent)).toEqual([401, 'insufficient_user_authentication']);
  // Step-up is logging in again.
  await client.post('/session', { subject: 'ann' });
  expect((await client.get('/fresh')).status).toBe(200);
});

test('mode demands that one of these modes recognised the caller', async () => {
  for (const [mode, status] of [
    ['jwt', 200],
    [['session', 'jwt'], 200],
    ['session', 401],
    [['session', 'hybrid'], 401],
  ] as const) {
    const { ask } = await guarded(requireAuth({ mode }));
    expect([mode, (await ask(issue({ subject: 'a' }))).status]).toEqual([mode, status]);
    expect((await ask()).status).toBe(401);
  }
});

test('a guard with no mode in front lets nobody in', async () => {
  const { ask } = await guarded(requireAuth(), 'none');
  expect(short(await ask(issue({ subject: 'a' })))).toEqual([401, 'unauthenticated']);
});

describe('mistakes are sentences', () => {
  const request = { headers: {}, method: 'GET', url: '/' } as never;
  test.each([
    [
      'within that is no duration',
      () => requireAuth({ within: 300 } as never),
      'requireAuth: "within" must be a duration',
    ],
    [
      'an unknown mode',
      () => requireAuth({ mode: 'cookie' } as never),
      `requireAuth: "mode" must be 'session', 'jwt', 'hybrid'`,
    ],
    ['no mode', () => requireAuth({ mode: [] }), 'requireAuth: "mode" must be'],
    ['an unknown option', () => requireAuth({ maxAge: '5m' } as never), 'requireAuth: unknown option "maxAge"'],
    ['requireAuth passed on uncalled', () => requireAuth(request), 'requireAuth: call it'],
    ['requireScope passed on uncalled', () => requireScope(request), 'requireScope: call it'],
    ['requireRole passed on uncalled', () => requireRole(request), 'requireRole: call it'],
    ['no scope', () => requireScope(), 'requireScope: name at least one scope'],
    ['no role', () => requireRole(), 'requireRole: name at least one role'],
    [
      'a scope of two',
      () => requireScope('read write'),
      'requireScope: name at least one scope, each a string without blanks',
    ],
    ['a quote in a scope', () => requireScope('a"b'), 'requireScope: name at least one scope'],
    ['a list', () => requireRole(['admin'] as never), 'requireRole: '],
  ])('%s', (_what, make, sentence) => {
    expect(make).toThrow(TypeError);
    expect(make).toThrow(sentence);
  });
});
