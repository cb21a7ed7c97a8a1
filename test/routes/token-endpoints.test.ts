import { randomBytes } from 'node:crypto';
import express, { type Express } from 'express';
import {
  type AuditEvent,
  type AuthStore,
  getAuth,
  type HybridAuth,
  hybridAuth,
  type Introspection,
  introspectionHandler,
  jwtAuth,
  type LoginMode,
  localKeys,
  memoryStore,
  redisStore,
  requireScope,
  revocationHandler,
  sessionAuth,
  tokenIssuer,
} from 'portcullis';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { loginsOf } from '../store/new-login.ts';
import { type HttpServer, serve } from '../support/http-server.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';
import { keyFor } from '../token/key-material.ts';
import { goodClaims, issuerKey } from '../token/key-server.ts';

const ISSUER = 'https://auth.example';
const AUDIENCE = 'https://api.example';
const secret = randomBytes(32).toString('base64url');
const keys = localKeys([{ kid: 'k1', alg: 'ES256', key: keyFor('ES256') }]);
const issue = tokenIssuer({ keys, issuer: ISSUER, audience: AUDIENCE, lifetime: '5m' });
const service = issue({ subject: 'service-b', scopes: ['introspect'] });
const ann = { subject: 'ann', scopes: ['read', 'write'], roles: ['admin'], claims: { tenant: 7 } };

/** What a service without the store sends, with its credentials. */
type Ask = (path: string, token: string, init?: RequestInit) => Promise<Response>;

interface Place {
  readonly app: Express;
  readonly store: AuthStore;
  readonly session: LoginMode<unknown>;
  readonly hybrid: HybridAuth;
  readonly audit: AuditEvent[];
  readonly server: HttpServer;
  readonly ask: Ask;
  introspect(token: string): Promise<any>;
  revoke(token: string): Promise<number>;
  /** A login of Ann's in session mode: the cookie's value, as it was set. */
  logIn(): Promise<string>;
  logInHybrid(): Promise<{ access_token: string; refresh_token: string }>;
  refresh(token: string): Promise<Response>;
}

async function placeWith(store: AuthStore, grace: '0ms' | '10s' = '10s'): Promise<Place> {
  const audit: AuditEvent[] = [];
  const options = { store, secret, audit: (event: AuditEvent) => void audit.push(event), required: false };
  const session = sessionAuth({ ...options, cookie: { secure: false, name: 'id' } });
  const hybrid = hybridAuth({ ...options, keys, issuer: ISSUER, audience: AUDIENCE, transport: 'body', grace });
  const foreign = {
    issuer: 'https://other.example',
    audience: AUDIENCE,
    keys: localKeys([{ kid: 'f', alg: 'ES256', key: foreignKey }]),
  };
  const jwt = jwtAuth({ ...foreign, store });
  const modes = [session, hybrid, jwt];
  const app = express();
  app.post('/login', (req, res, next) => void session.login(req, res, ann).then(() => res.end(), next));
  app.post('/hybrid', (req, res, next) => void hybrid.login(req, res, ann).then((receipt) => res.json(receipt), next));
  app.use('/auth', hybrid.routes());
  app.get('/me', session, hybrid, jwt, (req, res) => void res.json(getAuth(req)));
  const authorize = (req: express.Request) => getAuth(req).scopes.includes('introspect');
  app.use('/introspect', hybrid, introspectionHandler({ modes, authorize }));
  app.use('/guarded', hybrid, requireScope('introspect'), introspectionHandler({ modes, authorize: () => true }));
  app.use(
    '/parsed',
    express.urlencoded({ extended: true }),
    express.json(),
    introspectionHandler({ modes, authorize: () => true }),
  );
  app.use('/revoke', revocationHandler({ modes }));
  app.use(
    '/revoke-own',
    hybrid,
    revocationHandler({ modes, authorize: (req, token) => getAuth(req).subject === token?.sub }),
  );
  app.use('/revoke-nothing', hybrid, revocationHandler({ modes, authorize: () => false }));
  const server = await serve(app);
  const ask: Ask = (path, token, init = {}) =>
    fetch(server.url + path, {
      method: 'POST',
      headers: { Authorization: `Bearer ${service}` },
      body: new URLSearchParams({ token }),
      ...init,
    });
  return {
    app,
    store,
    session,
    hybrid,
    audit,
    server,
    ask,
    introspect: async (token) => (await ask('/introspect', token)).json(),
    revoke: async (token) => (await ask('/revoke', token)).status,
    async logIn() {
      const response = await fetch(`${server.url}/login`, { method: 'POST' });
      return response.headers.getSetCookie()[0]?.match(/^id=([^;]+)/)?.[1] as string;
    },
    logInHybrid: async () => (await fetch(`${server.url}/hybrid`, { method: 'POST' })).json() as never,
    refresh: (refresh_token) =>
      fetch(`${server.url}/auth/refresh`, { method: 'POST', body: new URLSearchParams({ refresh_token }) }),
  };
}

const foreignKey = keyFor('ES256');
const statusOf = (place: Place, token: string) =>
  fetch(`${place.server.url}/me`, { headers: { Authorization: `Bearer ${token}` } }).then(({ status }) => status);
const sessionStatus = (place: Place, cookie: string) =>
  fetch(`${place.server.url}/me`, { headers: { Cookie: `id=${cookie}` } }).then(({ status }) => status);

let redis: RedisServer;
let place: Place;
beforeAll(async () => {
  redis = await startRedis();
  const client = await redis.client();
  const store = redisStore(client);
  await store.ready();
  place = await placeWith(store);
});
afterAll(async () => {
  await place.server.close();
  await place.store.close();
  await redis.stop();
});
beforeEach(() => void place.audit.splice(0));

describe('introspection (RFC 7662)', () => {
  test('a session id, as it stands in the cookie or as a parser read it, is told with all that login was given', async () => {
    const cookie = await place.logIn();
    const told = await place.introspect(cookie);
    expect(told).toMatchObject({
      active: true,
      kind: 'session',
      sub: 'ann',
      scope: 'read write',
      roles: ['admin'],
      tenant: 7,
    });
    expect(told.sid).toMatch(/^[\w-]{43}$/);
    expect(told.exp - told.iat).toBe(30 * 60);
    expect(told.token_type).toBeUndefined();
    expect(await place.introspect(decodeURIComponent(cookie))).toMatchObject({ active: true, sid: told.sid });
    await place.store.revokeLogin({ subject: 'ann', sid: told.sid });
    expect(await place.introspect(cookie)).toEqual({ active: false });
  });

  test('an access token of ours is told with its claims', async () => {
    const { access_token } = await place.logInHybrid();
    const told = await place.introspect(access_token);
    expect(told).toMatchObject({
      active: true,
      kind: 'access_token',
      token_type: 'Bearer',
      sub: 'ann',
      iss: ISSUER,
      aud: AUDIENCE,
      scope: 'read write',
      tenant: 7,
    });
    expect(told.exp - told.iat).toBe(600);
    await place.store.revokeToken({ issuer: told.iss, jti: told.jti, expiresAt: new Date(told.exp * 1_000) });
    expect(await place.introspect(access_token)).toEqual({ active: false });
  });

  test("another issuer's token is told by the mode that knows it", async () => {
    const token = tokenIssuer({
      keys: localKeys([{ kid: 'f', alg: 'ES256', key: foreignKey }]),
      issuer: 'https://other.example',
      audience: AUDIENCE,
      lifetime: '1m',
    })({ subject: 'bob' });
    expect(await place.introspect(token)).toMatchObject({ active: true, sub: 'bob', iss: 'https://other.example' });
  });

  test('a refresh token says that it is none for access, and is told while its login stands', async () => {
    const { refresh_token } = await place.logInHybrid();
    const told = await place.introspect(refresh_token);
    expect(told).toMatchObject({ active: true, kind: 'refresh_token', sub: 'ann', iss: ISSUER });
    expect(told.token_type).toBeUndefined();
    // And it is still good for what it is for.
    expect((await place.refresh(refresh_token)).status).toBe(200);
    await place.store.revokeLogin({ subject: 'ann', sid: told.sid });
    expect(await place.introspect(refresh_token)).toEqual({ active: false });
  });

  test.each<[string, () => Promise<AuthStore>]>([
    ['memoryStore', async () => memoryStore()],
    ['redisStore', async () => redisStore(await redis.client())],
  ])('%s: a spent refresh token is not active, and to ask about it accuses nobody', async (_name, makeStore) => {
    const store = await makeStore();
    const strict = await placeWith(store, '0ms');
    try {
      const first = await strict.logInHybrid();
      expect(await strict.introspect(first.refresh_token)).toMatchObject({ active: true });
      const second = (await (await strict.refresh(first.refresh_token)).json()) as typeof first;
      for (let i = 0; i < 3; i++) expect(await strict.introspect(first.refresh_token)).toEqual({ active: false });
      expect(await strict.introspect(second.refresh_token)).toMatchObject({ active: true, kind: 'refresh_token' });
      expect(strict.audit.map(({ type }) => type)).not.toContain('refresh_reused');
      expect((await strict.refresh(second.refresh_token)).status).toBe(200);
      expect(await strict.introspect(second.refresh_token)).toEqual({ active: false });
    } finally {
      await strict.server.close();
      await store.close();
    }
  });

  test('within grace the spent refresh token is active still, for a refresh would take it; its own parent is not', async () => {
    const first = await place.logInHybrid();
    const second = (await (await place.refresh(first.refresh_token)).json()) as typeof first;
    expect(await place.introspect(first.refresh_token)).toMatchObject({ active: true });
    expect((await place.refresh(first.refresh_token)).status).toBe(200);
    // As it stands once the second was spent too, grace or not.
    const { sid } = await place.introspect(second.refresh_token);
    await loginsOf(place.store).rotate({ sid, generation: 1, grace: 0, soft: false });
    expect(await place.introspect(first.refresh_token)).toEqual({ active: false });
    expect(await place.introspect(second.refresh_token)).toMatchObject({ active: true });
  });

  test('a refresh token whose rotation the store has lost is active: a refresh would take it', async () => {
    const { refresh_token } = await place.logInHybrid();
    const { sid } = await place.introspect(refresh_token);
    const next = (await (await place.refresh(refresh_token)).json()) as { refresh_token: string };
    const client = await redis.client();
    const [record = ''] = (await client.keys(`*${sid}*`)).filter((key) => key.includes('login:'));
    await client.hSet(record, { g: '0', p: '-1' });
    expect(await place.introspect(next.refresh_token)).toMatchObject({ active: true, sid });
  });

  test('what verification did not take from a token is not told as though it had', async () => {
    const issuer = 'https://elsewhere.example';
    const key = issuerKey('e');
    const keys = localKeys([{ kid: 'e', alg: 'ES256', key: key.key }]);
    const trusted = { issuer, audience: AUDIENCE, keys, claims: { scopes: 'permissions', roles: 'groups' } };
    const modes = [jwtAuth({ ...trusted, store: 'none' })];
    const server = await serve(express().use(introspectionHandler({ modes, authorize: () => true })));
    const told = async (claims: object) => {
      const token = key.sign(goodClaims({ iss: issuer, aud: AUDIENCE, ...claims }));
      return (await fetch(server.url, { method: 'POST', body: new URLSearchParams({ token }) })).json();
    };
    try {
      const hostile = {
        ...{ active: false, kind: 'session', token_type: 'DPoP', scope: 'admin', roles: ['root'], jti: 'j' },
        ...{ sid: 'theirs', gen: 3, lat: 48.1, auth_time: Date.now() / 1_000 + 86_400, tenant: 7 },
      };
      const plain = {
        sub: 'ann',
        iss: issuer,
        aud: AUDIENCE,
        active: true,
        kind: 'access_token',
        token_type: 'Bearer',
      };
      const times = { iat: expect.any(Number), exp: expect.any(Number) };
      expect(await told(hostile)).toEqual({ ...plain, ...times, jti: 'j', roles: [], tenant: 7 });
      expect(await told({ ...hostile, permissions: 'read', groups: ['staff'], auth_time: 1_700_000_000.5 })).toEqual({
        ...{ ...plain, ...times, jti: 'j', tenant: 7 },
        ...{ scope: 'read', roles: ['staff'], auth_time: 1_700_000_000, permissions: 'read', groups: ['staff'] },
      });
    } finally {
      await server.close();
    }
  });

  test('no claim of a session makes it an access token', async () => {
    const store = memoryStore();
    const session = sessionAuth({ store, secret, cookie: { secure: false, name: 'id' } });
    const claims = { token_type: 'Bearer', kind: 'access_token', active: false, tenant: 7 };
    const app = express();
    app.post('/login', (req, res, next) => {
      session.login(req, res, { subject: 'ann', claims }).then(() => res.end(), next);
    });
    app.use('/introspect', introspectionHandler({ modes: [session], authorize: () => true }));
    const server = await serve(app);
    try {
      const response = await fetch(`${server.url}/login`, { method: 'POST' });
      const token = response.headers.getSetCookie()[0]?.match(/^id=([^;]+)/)?.[1] as string;
      const body = new URLSearchParams({ token });
      const told = (await (await fetch(`${server.url}/introspect`, { method: 'POST', body })).json()) as object;
      expect(told).toMatchObject({ active: true, kind: 'session', tenant: 7 });
      expect(told).not.toHaveProperty('token_type');
      expect(told).not.toHaveProperty('scope');
    } finally {
      await server.close();
      await store.close();
    }
  });

  test('asking again and again keeps a session alive, as using it does', async () => {
    const store = memoryStore();
    const session = sessionAuth({ store, secret, idle: '1s', cookie: { secure: false, name: 'id' } });
    const app = express();
    app.post('/login', (req, res, next) => void session.login(req, res, ann).then(() => res.end(), next));
    app.use('/introspect', introspectionHandler({ modes: [session], authorize: () => true }));
    const server = await serve(app);
    try {
      const response = await fetch(`${server.url}/login`, { method: 'POST' });
      const token = response.headers.getSetCookie()[0]?.match(/^id=([^;]+)/)?.[1] as string;
      const told = async () =>
        (await fetch(`${server.url}/introspect`, { method: 'POST', body: new URLSearchParams({ token }) })).json();
      for (let i = 0; i < 6; i++) {
        await new Promise((resolve) => setTimeout(resolve, 300));
        expect(await told()).toMatchObject({ active: true });
      }
      await new Promise((resolve) => setTimeout(resolve, 1_100));
      expect(await told()).toEqual({ active: false });
    } finally {
      await server.close();
      await store.close();
    }
  });

  test('whatever is not good is not active, and nothing else is said', async () => {
    const cookie = await place.logIn();
    const { access_token, refresh_token } = await place.logInHybrid();
    const expired = tokenIssuer({ keys, issuer: ISSUER, audience: AUDIENCE, lifetime: '1ms' })({ subject: 'ann' });
    const sid = (await place.introspect(cookie)).sid;
    const hopeless = [
      'x',
      '.',
      '..',
      'a.b.c',
      sid,
      decodeURIComponent(cookie).slice(2, 45),
      `${cookie.slice(0, -3)}AAA`,
      `${access_token.slice(0, -4)}AAAA`,
      `${refresh_token.slice(0, -4)}AAAA`,
      refresh_token.replace('.0.', '.1.'),
      expired,
      `s:${'%'.repeat(40)}`,
      'x'.repeat(9_000),
      '\u0000\ud83d\ude00',
    ];
    for (const token of hopeless) {
      const response = await place.ask('/introspect', token);
      expect([token.slice(0, 20), response.status, await response.json()]).toEqual([
        token.slice(0, 20),
        200,
        { active: false },
      ]);
    }
  });

  test('a caller that may not ask is refused, and learns nothing', async () => {
    const cookie = await place.logIn();
    const body = new URLSearchParams({ token: cookie });
    const stranger = issue({ subject: 'stranger' });
    for (const headers of [{}, { Authorization: `Bearer ${stranger}` }, { Authorization: 'Bearer x' }]) {
      for (const path of ['/introspect', '/guarded']) {
        const response = await fetch(place.server.url + path, {
          method: 'POST',
          body,
          headers: headers as Record<string, string>,
        });
        expect([401, 403]).toContain(response.status);
        expect(await response.text()).not.toContain('ann');
      }
    }
    expect((await place.ask('/guarded', cookie)).status).toBe(200);
    expect(place.audit.filter(({ type }) => type === 'refused').length).toBeGreaterThan(0);
  });

  test.each<[string, RequestInit, number]>([
    ['a GET', { method: 'GET', body: null }, 405],
    ['a PUT', { method: 'PUT' }, 405],
    ['JSON', { body: '{"token":"x"}', headers: { 'Content-Type': 'application/json' } }, 400],
    ['no body', { body: null }, 400],
    ['a form without a token', { body: new URLSearchParams({ tok: 'x' }) }, 400],
    ['an empty token', { body: new URLSearchParams({ token: '' }) }, 400],
    ['two tokens', { body: new URLSearchParams('token=a&token=b') }, 400],
    ['another charset of names', { body: new URLSearchParams('__proto__=x&token=y') }, 200],
  ])('%s is answered clearly, and never cached', async (_what, init, status) => {
    for (const path of ['/parsed', '/revoke']) {
      const response = await place.ask(path, '', { headers: {}, ...init });
      expect([path, response.status]).toEqual([path, status]);
      expect(response.headers.get('cache-control')).toBe('no-store');
      if (status === 405) expect(response.headers.get('allow')).toBe('POST');
      if (status !== 200) expect(await response.json()).toMatchObject({ error: 'invalid_request' });
    }
  });

  test('a form too long is heard out, and refused', async () => {
    expect(await place.revoke('x'.repeat(20_000))).toBe(400);
    expect(await place.revoke('x'.repeat(2_000_000))).toBe(400);
  });

  test('a body parser in front changes nothing', async () => {
    const { access_token } = await place.logInHybrid();
    expect(await (await place.ask('/parsed', access_token)).json()).toMatchObject({ active: true, sub: 'ann' });
  });

  test('a client that hangs up halfway harms nobody', async () => {
    const { connect } = await import('node:net');
    const socket = connect(place.server.port, '127.0.0.1');
    const head =
      'POST /revoke HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 50\r\n\r\ntok';
    socket.write(head);
    await new Promise((resolve) => setTimeout(resolve, 50));
    socket.destroy();
    expect(await place.revoke('x')).toBe(200);
  });

  test.each<[string, () => unknown, RegExp]>([
    ['no modes', () => introspectionHandler({ authorize: () => true } as never), /"modes" must list/],
    ['an empty list', () => introspectionHandler({ modes: [], authorize: () => true }), /"modes" must list/],
    [
      'what is no mode',
      () => introspectionHandler({ modes: [(() => {}) as never], authorize: () => true }),
      /"modes" must/,
    ],
    [
      'nobody who decides',
      () => introspectionHandler({ modes: [place.session] } as never),
      /"authorize" must be given/,
    ],
    [
      'a decision made',
      () => introspectionHandler({ modes: [place.session], authorize: true as never }),
      /must be a function/,
    ],
    [
      'a misspelt option',
      () => revocationHandler({ modes: [place.session], authorise: () => true } as never),
      /did you mean "authorize"/,
    ],
    [
      'a mode without a store',
      () => revocationHandler({ modes: [jwtAuth({ issuer: ISSUER, audience: AUDIENCE, keys, store: 'none' })] }),
      /store: 'none'/,
    ],
  ])('%s is refused when it is made', (_what, make, sentence) => {
    expect(make).toThrow(TypeError);
    expect(make).toThrow(sentence);
  });
});

describe('revocation (RFC 7009)', () => {
  test('D11: a refresh token takes its login and all its access tokens along', async () => {
    const first = await place.logInHybrid();
    const other = await place.logInHybrid();
    const second = (await (await place.refresh(first.refresh_token)).json()) as typeof first;
    expect(await place.revoke(second.refresh_token)).toBe(200);
    for (const token of [first.access_token, second.access_token]) expect(await statusOf(place, token)).toBe(401);
    expect((await place.refresh(second.refresh_token)).status).toBe(400);
    expect(await statusOf(place, other.access_token)).toBe(200);
    expect(place.audit.map(({ type }) => type)).toContain('revoked');
    // Again, and with a hint that is wrong: the wish is granted already.
    const body = new URLSearchParams({ token: second.refresh_token, token_type_hint: 'access_token' });
    expect((await place.ask('/revoke', '', { body })).status).toBe(200);
  });

  test('D11: a spent refresh token takes its login along too: whoever lost the next one can still end it', async () => {
    const first = await place.logInHybrid();
    const second = (await (await place.refresh(first.refresh_token)).json()) as typeof first;
    const third = await loginsOf(place.store).rotate({
      ...{ sid: (await place.introspect(second.refresh_token)).sid, generation: 1 },
      ...{ grace: 0, soft: false },
    });
    expect(third).toMatchObject({ outcome: 'valid', generation: 2 });
    expect(await place.introspect(first.refresh_token)).toEqual({ active: false });
    expect(await place.revoke(first.refresh_token)).toBe(200);
    expect(await statusOf(place, second.access_token)).toBe(401);
    expect(await place.introspect(second.refresh_token)).toEqual({ active: false });
  });

  test('an access token ends alone', async () => {
    const { access_token, refresh_token } = await place.logInHybrid();
    expect(await place.revoke(access_token)).toBe(200);
    expect(await statusOf(place, access_token)).toBe(401);
    const next = (await (await place.refresh(refresh_token)).json()) as { access_token: string };
    expect(await statusOf(place, next.access_token)).toBe(200);
  });

  test('a session id ends its session', async () => {
    const cookie = await place.logIn();
    expect(await sessionStatus(place, cookie)).toBe(200);
    expect(await place.revoke(cookie)).toBe(200);
    expect(await sessionStatus(place, cookie)).toBe(401);
  });

  test('D09: 200 for a token that is unknown, invalid or over, and nothing in the answer', async () => {
    for (const token of ['x', 'a.b.c', `${service.slice(0, -4)}AAAA`]) {
      const response = await place.ask('/revoke', token);
      expect([response.status, await response.text()]).toEqual([200, '']);
    }
  });

  test("D10: another client's token is refused, and not revoked", async () => {
    const { access_token } = await place.logInHybrid();
    const headers = { Authorization: `Bearer ${issue({ subject: 'bob' })}` };
    expect((await place.ask('/revoke-own', access_token, { headers })).status).toBe(401);
    expect(await statusOf(place, access_token)).toBe(200);
    const own = { Authorization: `Bearer ${issue({ subject: 'ann' })}` };
    expect((await place.ask('/revoke-own', access_token, { headers: own })).status).toBe(200);
    expect(await statusOf(place, access_token)).toBe(401);
  });

  test('D10: a caller who may end nothing gets one answer, be the token live or junk, and the audit hears of each', async () => {
    const { access_token, refresh_token } = await place.logInHybrid();
    const cookie = await place.logIn();
    const tokens = [access_token, refresh_token, cookie, 'x', 'a.b.c', `${access_token.slice(0, -4)}AAAA`];
    const answers = await Promise.all(tokens.map((token) => place.ask('/revoke-nothing', token)));
    const heard = await Promise.all(answers.map(async (each) => `${each.status} ${await each.text()}`));
    expect(new Set(heard)).toEqual(new Set([expect.stringMatching(/^401 .*unauthenticated/)]));
    expect(place.audit.filter(({ type }) => type === 'refused')).toHaveLength(tokens.length);
    expect(await statusOf(place, access_token)).toBe(200);
    expect(await sessionStatus(place, cookie)).toBe(200);
    // And who may end only what is their own cannot tell another's from junk.
    const headers = { Authorization: `Bearer ${issue({ subject: 'bob' })}` };
    for (const token of [access_token, 'x']) {
      expect((await place.ask('/revoke-own', token, { headers })).status).toBe(401);
    }
  });

  test('for a token that is not good, the decision is about the caller alone, and 200 if they may', async () => {
    const asked: unknown[] = [];
    const authorize = (_req: express.Request, token: Introspection | undefined) => {
      asked.push(token?.sub);
      return token === undefined;
    };
    const handler = revocationHandler({ modes: [place.session, place.hybrid], authorize });
    const server = await serve(express().use(handler));
    const statusAt = async (token: string) =>
      (await fetch(server.url, { method: 'POST', body: new URLSearchParams({ token }) })).status;
    try {
      const { access_token } = await place.logInHybrid();
      expect([await statusAt('x'), await statusAt(access_token)]).toEqual([200, 401]);
      expect(asked).toEqual([undefined, 'ann']);
      expect(await statusOf(place, access_token)).toBe(200);
    } finally {
      await server.close();
    }
  });

  test('D12: while Redis is away it is 503 and Retry-After, and afterwards the token is still good', async () => {
    const { access_token, refresh_token } = await place.logInHybrid();
    const cookie = await place.logIn();
    redis.freeze();
    try {
      for (const token of [refresh_token, cookie]) {
        const response = await place.ask('/revoke', token);
        expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1']);
        expect(await response.json()).toMatchObject({ error: 'store_unavailable' });
        expect((await place.ask('/parsed', token)).status).toBe(503);
      }
    } finally {
      redis.thaw();
    }
    while ((await sessionStatus(place, cookie)) !== 200) await new Promise((resolve) => setTimeout(resolve, 50));
    while ((await statusOf(place, access_token)) !== 200) await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await place.introspect(refresh_token)).toMatchObject({ active: true });
  });

  test('D12: an access token whose revocation could not be stored is 503 too', async () => {
    const { access_token } = await place.logInHybrid();
    redis.freeze();
    try {
      expect((await place.ask('/revoke', access_token)).status).toBe(503);
    } finally {
      redis.thaw();
    }
  });
});
