import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { jwtAuth, localKeys, memoryStore, tokenIssuer } from 'portcullis';
import { afterEach, describe, expect, test } from 'vitest';
import {
  AUDIENCE,
  bearer,
  claimsOf,
  type HybridApp,
  type HybridAppOptions,
  hybridApp,
  ISSUER,
  logIn,
  SECRET,
  signingKey,
} from './app.ts';
import { everyStore } from './stores.ts';

const opened: HybridApp[] = [];
afterEach(async () => {
  for (const app of opened.splice(0)) {
    await app.server.close();
    await app.options.store.close();
  }
});

const FORM = { 'content-type': 'application/x-www-form-urlencoded' };
const INVALID_GRANT = { error: 'invalid_grant', error_description: 'the refresh token is not valid' };

describe.each(everyStore())('with tokens in the body, in %s,', (_name, makeStore) => {
  const open = async (options: Partial<HybridAppOptions> = {}) => {
    const app = await hybridApp({ store: await makeStore(), transport: 'body', ...options });
    opened.push(app);
    return app;
  };

  test('H14: a token response is that of RFC 6749, 5.1, and never cached', async () => {
    const app = await open();
    const client = app.browser();
    const { status, json, headers, cookies } = await client.post('/login', { scopes: ['read', 'write'] });
    expect(status).toBe(200);
    expect(json).toEqual({
      token_type: 'Bearer',
      expires_in: 600,
      access_token: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/),
      refresh_token: expect.stringMatching(/^[\w-]{43}\.0\.[\w-]{43}$/),
      scope: 'read write',
    });
    expect(headers).toMatchObject({ 'cache-control': 'no-store', 'content-type': expect.stringContaining('json') });
    expect(cookies).toEqual([]);
    const refreshed = await client.post('/auth/refresh', { refresh_token: json.refresh_token });
    expect(refreshed).toMatchObject({ status: 200, cookies: [] });
    expect(refreshed.headers['cache-control']).toBe('no-store');
    expect(Object.keys(refreshed.json).sort()).toEqual(Object.keys(json).sort());
    expect(refreshed.json.refresh_token).toMatch(/\.1\./);
  });

  test('T26: access tokens hold what RFC 9068 asks for, and name their login', async () => {
    const app = await open();
    const client = app.browser();
    const { access_token: token } = await logIn(client, { roles: ['editor'], claims: { tenant: 'acme' } });
    const [login] = await app.options.store.logins('ann');
    expect(claimsOf(token)).toEqual({
      iss: ISSUER,
      aud: AUDIENCE,
      sub: 'ann',
      iat: expect.any(Number),
      exp: expect.any(Number),
      auth_time: expect.any(Number),
      jti: expect.stringMatching(/^[\w-]{22}$/),
      roles: ['editor'],
      tenant: 'acme',
      sid: login?.sid,
      gen: 0,
      lat: expect.any(Number),
    });
    const { json } = await client.get('/me', bearer(token));
    expect(json).toMatchObject({ mode: 'hybrid', subject: 'ann', sid: login?.sid, roles: ['editor'], issuer: ISSUER });
    expect(json.claims).toEqual(claimsOf(token));
  });

  test('T27: no two tokens have one jti', async () => {
    const app = await open({ grace: '60s' });
    const client = app.browser();
    const { refresh_token } = await logIn(client);
    const answers = await Promise.all(
      Array.from({ length: 100 }, () => client.post('/auth/refresh', { refresh_token })),
    );
    const jtis = answers.map(({ json }) => claimsOf(json.access_token).jti);
    expect(new Set(jtis).size).toBe(100);
  });

  test('a refresh token is taken as a form too', async () => {
    const app = await open();
    const client = app.browser();
    const { refresh_token } = await logIn(client);
    const form = `grant_type=refresh_token&refresh_token=${refresh_token}`;
    expect((await client.post('/auth/refresh', form, FORM)).json).toMatchObject({ token_type: 'Bearer' });
  });

  test('H15: unknown, expired, reused and ended answer alike; the error and the audit know the reason', async () => {
    const app = await open({ grace: '0ms', idle: '400ms', access: '300ms' });
    const client = app.browser();
    const elsewhere = await open({ issuer: 'https://other.example' });
    const foreign = (await logIn(elsewhere.browser())).refresh_token;
    const expired = (await logIn(client)).refresh_token;
    await sleep(500);
    const reused = (await logIn(client)).refresh_token;
    for (let token = reused, n = 0; n < 2; n++) {
      const { json } = await client.post('/auth/refresh', { refresh_token: token });
      expect((await client.get('/me', bearer(json.access_token))).status).toBe(200);
      token = json.refresh_token;
    }
    const ended = (await logIn(client)).refresh_token;
    await client.post('/auth/logout', { refresh_token: ended });
    const tries = {
      garbage: 'x',
      forged: expired.replace(/.$/, (last: string) => (last === 'A' ? 'E' : 'A')),
      foreign,
      expired,
      reused,
      ended,
    };
    const answers = [];
    for (const [name, refresh_token] of Object.entries(tries)) {
      app.audit.length = 0;
      const { status, json, headers } = await client.post('/auth/refresh', { refresh_token });
      const refused = await app.heard('refused');
      const [{ error } = {} as any] = refused as any[];
      expect([name, refused.length]).toEqual([name, 1]);
      answers.push([name, error?.reason]);
      expect([name, status, json, headers['cache-control']]).toEqual([name, 400, INVALID_GRANT, 'no-store']);
    }
    expect(answers).toEqual([
      ['garbage', 'unknown'],
      ['forged', 'unknown'],
      ['foreign', 'unknown'],
      ['expired', 'expired'],
      ['reused', 'reused'],
      ['ended', 'unknown'],
    ]);
  });

  test('A-H13: guesses at families are refused without asking anything of the store', async () => {
    const app = await open();
    const client = app.browser();
    const guesses = [
      'fam:*',
      'fam}{',
      '..',
      'a.0.b',
      `${'a'.repeat(43)}.0.${'a'.repeat(43)}`,
      'a\u0000b',
      'x'.repeat(4_000),
    ];
    for (const refresh_token of guesses) {
      expect((await client.post('/auth/refresh', { refresh_token })).json).toEqual(INVALID_GRANT);
    }
    const tooLong = await client.post('/auth/refresh', { refresh_token: 'x'.repeat(10_000) });
    expect(tooLong).toMatchObject({ status: 400, json: { error: 'invalid_request' } });
  });

  test('A-H22, X08: refresh and logout are POST only, the list GET only', async () => {
    const app = await open();
    const client = app.browser();
    const wrong: [string, string, string][] = [
      ['GET', '/auth/refresh', 'POST'],
      ['PUT', '/auth/refresh', 'POST'],
      ['GET', '/auth/logout', 'POST'],
      ['POST', '/auth/logins', 'GET, HEAD'],
      ['GET', '/auth/logins/x', 'DELETE'],
    ];
    for (const [method, path, allow] of wrong) {
      const { status, headers, json } = await client.send(method, path);
      expect([method, path, status, headers.allow, json.error]).toEqual([method, path, 405, allow, 'invalid_request']);
      expect(headers['cache-control']).toBe('no-store');
    }
  });

  test('a body that cannot be read, or holds no token, is invalid_request as JSON', async () => {
    const app = await open();
    const client = app.browser();
    const json = { 'content-type': 'application/json' };
    const bodies: [string, Record<string, string>][] = [
      ['{"refresh_token":', json],
      ['[]', json],
      ['{}', json],
      ['null', json],
      ['{"refresh_token":null}', json],
      ['{"refresh_token":["a"]}', json],
      ['{"refresh_token":{"a":1}}', json],
      ['{"refresh_token":7}', json],
      ['{"refresh_token":""}', json],
      ['{"__proto__":{"refresh_token":"a"}}', json],
      ['refresh_token=a&refresh_token=b', FORM],
      ['refresh_token[a]=b', FORM],
      ['', FORM],
      ['{"refresh_token":"a"}', { 'content-type': 'text/plain' }],
      ['{}', { 'content-type': 'application/json; charset=latin-9' }],
      ['{}', { ...json, 'content-encoding': 'nonsense' }],
      ['x', { ...json, 'content-encoding': 'gzip' }],
    ];
    for (const [body, headers] of bodies) {
      const answer = await client.post('/auth/refresh', body, headers);
      expect([body, answer.status, answer.json?.error]).toEqual([body, 400, 'invalid_request']);
      expect(answer.headers['cache-control']).toBe('no-store');
    }
    expect(await app.heard('refused')).toHaveLength(bodies.length);
  });

  test('H11, A-H11: a refresh token is no bearer, an access token no refresh token, cookies are not looked at', async () => {
    const app = await open();
    const client = app.browser();
    const { access_token, refresh_token } = await logIn(client);
    expect(await client.get('/me', bearer(refresh_token))).toMatchObject({
      status: 401,
      json: { error: 'invalid_token' },
    });
    const asRefresh = await client.post('/auth/refresh', { refresh_token: access_token });
    expect(asRefresh).toMatchObject({ status: 400, json: INVALID_GRANT });
    const { sid } = claimsOf(access_token);
    for (const token of [sid, `${sid}.0.${'a'.repeat(43)}`]) {
      expect((await client.post('/auth/refresh', { refresh_token: token })).json).toEqual(INVALID_GRANT);
    }
    const cookie = `__Host-access=${access_token}; __Host-refresh=${refresh_token}; access=${access_token}`;
    expect((await client.get('/me', { headers: { cookie } })).status).toBe(401);
  });

  test('A-H21: asking for more scopes at refresh gives no more', async () => {
    const app = await open();
    const client = app.browser();
    const { refresh_token } = await logIn(client, { scopes: ['read'] });
    const { json } = await client.post('/auth/refresh', { refresh_token, scope: 'read admin *' });
    expect(json.scope).toBe('read');
    expect(claimsOf(json.access_token).scope).toBe('read');
  });

  test('T22, T21, A-H12: tokens of another audience, issuer, key or secret are refused, access and refresh alike', async () => {
    const keys = localKeys([signingKey()]);
    const store = await makeStore();
    const here = await open({ store, keys });
    const others = [
      await open({ store, keys, audience: 'https://other.example' }),
      await open({ store, keys, issuer: 'https://other.example' }),
      await open({ store, keys, secret: randomBytes(32).toString('base64url') }),
      await open({ store }),
    ];
    const client = here.browser();
    const accepted = [];
    for (const other of others) {
      const { access_token, refresh_token } = await logIn(other.browser());
      const access = (await client.get('/me', bearer(access_token))).status;
      const refresh = (await client.post('/auth/refresh', { refresh_token })).status;
      accepted.push([access, refresh]);
    }
    // The secret makes refresh tokens only, the keys access tokens only.
    expect(accepted).toEqual([
      [401, 400],
      [401, 400],
      [200, 400],
      [401, 200],
    ]);
  });

  test('K12: a new secret in front signs, the old one behind it still verifies, and a dropped one does not', async () => {
    const [store, keys, fresh] = [await makeStore(), localKeys([signingKey()]), randomBytes(32).toString('base64url')];
    const before = await open({ store, keys });
    const during = await open({ store, keys, secret: [fresh, SECRET] });
    const after = await open({ store, keys, secret: fresh });
    const old = (await logIn(before.browser())).refresh_token;
    expect((await after.browser().post('/auth/refresh', { refresh_token: old })).json).toEqual(INVALID_GRANT);
    const { refresh_token } = (await during.browser().post('/auth/refresh', { refresh_token: old })).json;
    expect((await after.browser().post('/auth/refresh', { refresh_token })).status).toBe(200);
  });

  test('H07: a login unused for its idle time ends, one that is used does not', async () => {
    const app = await open({ idle: '600ms', access: '500ms', grace: '0ms' });
    const client = app.browser();
    let { refresh_token } = await logIn(client);
    const idle = (await logIn(client, { subject: 'bob' })).refresh_token;
    for (let n = 0; n < 4; n++) {
      await sleep(300);
      const { status, json } = await client.post('/auth/refresh', { refresh_token });
      expect(status).toBe(200);
      refresh_token = json.refresh_token ?? refresh_token;
    }
    expect((await client.post('/auth/refresh', { refresh_token: idle })).json).toEqual(INVALID_GRANT);
  });

  test('H07, A-H17: its absolute lifetime ends a login however busy, and its access tokens with it', async () => {
    const app = await open({ absolute: '1500ms', grace: '0ms' });
    const client = app.browser();
    let { refresh_token, access_token } = await logIn(client);
    const begun = Date.now();
    while (Date.now() - begun < 1_200) {
      await sleep(200);
      const { json, status } = await client.post('/auth/refresh', { refresh_token });
      if (status === 200) ({ refresh_token, access_token } = json);
      expect(claimsOf(access_token).exp * 1000).toBeLessThanOrEqual(begun + 1_500 + 50);
    }
    await sleep(500);
    expect((await client.post('/auth/refresh', { refresh_token })).json).toEqual(INVALID_GRANT);
    const { status, json, headers } = await client.get('/me', bearer(access_token));
    expect([status, json.error_description]).toEqual([401, 'the token has expired']);
    expect(headers['www-authenticate']).toBe('Bearer error="invalid_token", error_description="the token has expired"');
  });

  test('H22: when the person proved who they are is carried over unchanged by refreshing', async () => {
    const renew = () => ({ subject: 'ann', authenticatedAt: new Date() });
    const app = await open({ renew, grace: '0ms' });
    const client = app.browser();
    const authenticatedAt = new Date(Date.now() - 3_600_000);
    let tokens = await logIn(client, { authenticatedAt });
    for (let n = 0; n < 3; n++) {
      expect(claimsOf(tokens.access_token).auth_time).toBe(Math.floor(authenticatedAt.getTime() / 1000));
      tokens = (await client.post('/auth/refresh', { refresh_token: tokens.refresh_token })).json;
    }
    expect(claimsOf(tokens.access_token).auth_time).toBe(Math.floor(authenticatedAt.getTime() / 1000));
  });

  test('renew: the user’s roles and scopes of today are in the new token, and are asked for each time', async () => {
    let today: { roles: string[]; scopes: string[] } = { roles: ['reader'], scopes: ['a'] };
    const asked: unknown[] = [];
    const renew = (login: any) => {
      asked.push([login.subject, login.mode, login.createdAt instanceof Date, 'identity' in login]);
      return { subject: login.subject, ...today };
    };
    const app = await open({ renew, grace: '0ms' });
    const client = app.browser();
    const first = await logIn(client, { roles: ['owner'] });
    expect(claimsOf(first.access_token).roles).toEqual(['owner']);
    const second = (await client.post('/auth/refresh', { refresh_token: first.refresh_token })).json;
    expect(claimsOf(second.access_token)).toMatchObject({ roles: ['reader'], scope: 'a' });
    today = { roles: [], scopes: ['a', 'b'] };
    const third = (await client.post('/auth/refresh', { refresh_token: second.refresh_token })).json;
    expect(claimsOf(third.access_token)).not.toHaveProperty('roles');
    expect(third.scope).toBe('a b');
    expect(asked).toEqual(Array(2).fill(['ann', 'hybrid', true, false]));
  });

  test('A-H23: renew that knows the user no more ends the login, its access tokens and its cookies’ worth', async () => {
    let disabled = false;
    const app = await open({ renew: async (login) => (disabled ? undefined : { subject: login.subject }) });
    const client = app.browser();
    const { access_token, refresh_token } = await logIn(client);
    disabled = true;
    expect((await client.post('/auth/refresh', { refresh_token })).json).toEqual(INVALID_GRANT);
    disabled = false;
    expect((await client.get('/me', bearer(access_token))).status).toBe(401);
    expect((await client.post('/auth/refresh', { refresh_token })).json).toEqual(INVALID_GRANT);
    expect(await app.options.store.logins('ann')).toEqual([]);
  });

  test.each([
    [
      'throws',
      () => {
        throw new Error('postgres://admin:hunter2@db');
      },
    ],
    [
      'rejects',
      async () => {
        throw new Error('postgres://admin:hunter2@db');
      },
    ],
    ['gives another subject', () => ({ subject: 'eve' })],
    ['gives what is no identity', () => ({ subject: 'ann', roles: 'admin' }) as never],
  ])('renew that %s is 503, tells nothing of why, and the login stays', async (_how, renew) => {
    let broken = true;
    const app = await open({ renew: (login) => (broken ? renew() : { subject: login.subject }), grace: '0ms' });
    const client = app.browser();
    const { access_token, refresh_token } = await logIn(client);
    for (let n = 0; n < 2; n++) {
      const { status, json, headers, text } = await client.post('/auth/refresh', { refresh_token });
      expect([status, json.error, headers['retry-after']]).toEqual([503, 'store_unavailable', '1']);
      expect(text).not.toMatch(/hunter2|eve|roles/);
    }
    expect((await client.get('/me', bearer(access_token))).status).toBe(200);
    broken = false;
    expect((await client.post('/auth/refresh', { refresh_token })).status).toBe(200);
  });

  test('maxLogins: in all modes together, the oldest makes room', async () => {
    const app = await open({ maxLogins: 2 });
    const client = app.browser();
    const tokens = [];
    for (let n = 0; n < 4; n++) {
      tokens.push((await logIn(client)).access_token);
      await sleep(3);
    }
    const statuses = [];
    for (const token of tokens) statuses.push((await client.get('/me', bearer(token))).status);
    expect(statuses).toEqual([401, 401, 200, 200]);
    expect(await app.options.store.logins('ann')).toHaveLength(2);
  });

  test('tokens of tokenIssuer are taken by hybridAuth and jwtAuth, and can be taken back', async () => {
    const app = await open();
    const { store, keys } = app.options;
    await store.ready();
    const client = app.browser();
    const issue = tokenIssuer({ keys, issuer: ISSUER, audience: AUDIENCE, lifetime: '5m', store });
    const jwt = jwtAuth({ store, keys, issuer: ISSUER, audience: AUDIENCE });
    const token = issue({ subject: 'service', scopes: ['jobs'] });
    const { json } = await client.get('/me', bearer(token));
    expect(json).toMatchObject({ mode: 'hybrid', subject: 'service', scopes: ['jobs'] });
    expect(json).not.toHaveProperty('sid');
    expect(json).not.toHaveProperty('authenticatedAt');
    const outside = await jwt.authenticate({ headers: { authorization: `Bearer ${token}` }, rawHeaders: [] } as never);
    expect(outside).toMatchObject({ mode: 'jwt', subject: 'service' });
    await store.revokeToken({ issuer: ISSUER, jti: json.jti, expiresAt: new Date(json.expiresAt) });
    expect((await client.get('/me', bearer(token))).status).toBe(401);
    const [before, after] = [
      issue({ subject: 'service' }),
      await store.revokeSubject('service').then(() => issue({ subject: 'service' })),
    ];
    expect((await client.get('/me', bearer(before))).status).toBe(401);
    expect((await client.get('/me', bearer(after))).status).toBe(200);
  });

  test('a token meant to live longer than cut-offs are kept is refused', async () => {
    const app = await open();
    const issue = tokenIssuer({ keys: app.options.keys, issuer: ISSUER, audience: AUDIENCE, lifetime: '25h' });
    expect((await app.browser().get('/me', bearer(issue({ subject: 'service' })))).status).toBe(401);
  });
});

test('on Express 4: refresh by JSON and form, GET 405, a body that cannot be read 400', async () => {
  const app = await hybridApp({ store: memoryStore(), transport: 'body', express: 4 });
  opened.push(app);
  const client = app.browser();
  const { refresh_token } = await logIn(client);
  expect((await client.post('/auth/refresh', { refresh_token })).status).toBe(200);
  expect((await client.post('/auth/refresh', `refresh_token=${refresh_token}`, FORM)).status).toBe(200);
  expect((await client.get('/auth/refresh')).status).toBe(405);
  const bad = await client.post('/auth/refresh', '{', { 'content-type': 'application/json' });
  expect(bad).toMatchObject({ status: 400, json: { error: 'invalid_request' } });
  expect((await client.post('/auth/refresh')).json.error).toBe('invalid_request');
  expect((await client.send('DELETE', '/auth/logins/%E0%A4%A')).json.error).toBe('invalid_request');
});
