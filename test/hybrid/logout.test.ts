import { setTimeout as sleep } from 'node:timers/promises';
import { type AuthStore, jwtAuth, localKeys, redisStore } from 'portcullis';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type RedisServer, startRedis } from '../support/redis-server.ts';
import { keyFor } from '../token/key-material.ts';
import { makeToken } from '../token/make-token.ts';
import {
  ACCESS,
  AUDIENCE,
  bearer,
  claimsOf,
  type HybridApp,
  type HybridAppOptions,
  hybridApp,
  ISSUER,
  logIn,
  REFRESH,
} from './app.ts';

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());

const opened: HybridApp[] = [];
afterEach(async () => {
  for (const app of opened.splice(0)) {
    await app.server.close();
    await app.options.store.close();
  }
});

const signed = { kid: 'k1', alg: 'HS256' as const, key: keyFor('HS256') };
let prefix = 0;
const newStore = async (): Promise<AuthStore> => redisStore(await redis.client(), { prefix: `l${prefix++}:` });

async function open(options: Partial<HybridAppOptions> = {}): Promise<HybridApp> {
  const app = await hybridApp({ store: await newStore(), keys: localKeys([signed]), ...options });
  opened.push(app);
  return app;
}

async function lives(app: HybridApp, access: string): Promise<boolean> {
  const { status } = await app.browser().get('/me', bearer(access));
  expect([200, 401]).toContain(status);
  return status === 200;
}

describe('logout, by cookies,', () => {
  test('ends the login and its live access token at once, in jwtAuth too, and clears both cookies', async () => {
    const app = await open();
    const { store, keys } = app.options;
    const jwt = jwtAuth({ store, keys, issuer: ISSUER, audience: AUDIENCE });
    const client = app.browser();
    await logIn(client);
    const access = client.jar.get(ACCESS) as string;
    const refresh = client.jar.get(REFRESH) as string;
    const { status, cookies, headers } = await client.post('/auth/logout');
    expect([status, headers['cache-control']]).toEqual([204, 'no-store']);
    // C07: with the attributes they were set with, or a browser keeps them.
    for (const name of [ACCESS, REFRESH]) {
      expect(cookies).toContain(
        `${name}=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/; HttpOnly; Secure; SameSite=Lax`,
      );
    }
    expect(client.jar.size).toBe(0);
    expect(await lives(app, access)).toBe(false);
    const asked = { headers: { authorization: `Bearer ${access}` }, rawHeaders: [] } as never;
    await expect(jwt.authenticate(asked)).rejects.toMatchObject({ reason: 'revoked' });
    const replay = await app.browser().post('/auth/refresh', {}, { cookie: `${REFRESH}=${refresh}` });
    expect(replay).toMatchObject({ status: 400, json: { error: 'invalid_grant' } });
    expect(await store.logins('ann')).toEqual([]);
    expect(await app.heard('logout')).toMatchObject([{ mode: 'hybrid', subject: 'ann' }]);
  });

  test.each([
    ['the access cookie alone', [ACCESS]],
    ['the refresh cookie alone', [REFRESH]],
  ])('works by %s', async (_which, names) => {
    const app = await open();
    const client = app.browser();
    await logIn(client);
    const access = client.jar.get(ACCESS) as string;
    for (const name of [...client.jar.keys()]) if (!names.includes(name)) client.jar.delete(name);
    expect(await client.post('/auth/logout')).toMatchObject({
      status: 204,
      cookies: [expect.any(String), expect.any(String)],
    });
    expect(await lives(app, access)).toBe(false);
  });

  test('works by an access cookie that has expired, and by a refresh token long spent; and never rotates', async () => {
    const app = await open({ access: '300ms', grace: '0ms' });
    const client = app.browser();
    await logIn(client);
    const spent = client.copy();
    for (const _ of [1, 2]) await client.post('/auth/refresh');
    await client.get('/me');
    app.audit.length = 0;
    expect((await spent.post('/auth/logout')).status).toBe(204);
    expect((await client.get('/me')).status).toBe(401);
    expect(await app.options.store.logins('ann')).toEqual([]);

    const other = app.browser();
    await logIn(other);
    const cookie = `${ACCESS}=${other.jar.get(ACCESS)}`;
    await sleep(350);
    expect((await app.browser().post('/auth/logout', undefined, { cookie })).status).toBe(204);
    expect(await app.options.store.logins('ann')).toEqual([]);
    expect(await app.heard('refresh', 'refresh_reused')).toEqual([]);
  });

  test('of nobody resolves, sets nothing and tells nothing', async () => {
    const app = await open();
    expect(await app.browser().post('/auth/logout')).toMatchObject({ status: 204, cookies: [] });
    expect(await app.heard('logout', 'refused')).toEqual([]);
  });

  test('of junk resolves, and takes the junk away', async () => {
    const app = await open();
    const client = app.browser();
    client.jar.set(ACCESS, 'junk').set(REFRESH, 'junk');
    expect((await client.post('/auth/logout')).status).toBe(204);
    expect(client.jar.size).toBe(0);
  });

  test('takes back the access token though Redis has lost the login', async () => {
    const app = await open();
    const client = app.browser();
    await logIn(client);
    const access = client.jar.get(ACCESS) as string;
    await redis.cli('FLUSHALL');
    expect(await lives(app, access)).toBe(true);
    expect((await client.post('/auth/logout')).status).toBe(204);
    expect(await lives(app, access)).toBe(false);
  });

  test('of one login leaves the user’s others alone', async () => {
    const app = await open();
    const [phone, laptop] = [app.browser(), app.browser()];
    await logIn(phone);
    await logIn(laptop);
    await phone.post('/auth/logout');
    expect((await laptop.get('/me')).status).toBe(200);
  });
});

describe('logout, by tokens,', () => {
  const openBody = (options: Partial<HybridAppOptions> = {}) => open({ transport: 'body', ...options });

  test.each([
    [
      'a bearer',
      (client: any, { access_token }: any) => client.post('/auth/logout', undefined, bearer(access_token).headers),
    ],
    [
      'a refresh token as JSON',
      (client: any, { refresh_token }: any) => client.post('/auth/logout', { refresh_token }),
    ],
    [
      'a refresh token as a form',
      (client: any, { refresh_token }: any) =>
        client.post('/auth/logout', `refresh_token=${refresh_token}`, {
          'content-type': 'application/x-www-form-urlencoded',
        }),
    ],
  ])('works by %s', async (_what, logOut) => {
    const app = await openBody();
    const client = app.browser();
    const tokens = await logIn(client);
    expect(await logOut(client, tokens)).toMatchObject({ status: 204, cookies: [] });
    expect(await lives(app, tokens.access_token)).toBe(false);
    const { json } = await client.post('/auth/refresh', { refresh_token: tokens.refresh_token });
    expect(json.error).toBe('invalid_grant');
  });

  test('works by a bearer that has expired, which is good for nothing else', async () => {
    const app = await openBody({ access: '200ms' });
    const client = app.browser();
    const { access_token, refresh_token } = await logIn(client);
    await sleep(250);
    expect((await client.get('/me', bearer(access_token))).status).toBe(401);
    expect((await client.post('/auth/logout', undefined, bearer(access_token).headers)).status).toBe(204);
    expect((await client.post('/auth/refresh', { refresh_token })).json.error).toBe('invalid_grant');
  });

  test('twice is no error, and is told once', async () => {
    const app = await openBody();
    const client = app.browser();
    const { refresh_token, access_token } = await logIn(client);
    for (const _ of [1, 2]) expect((await client.post('/auth/logout', { refresh_token })).status).toBe(204);
    expect((await client.post('/auth/logout', undefined, bearer(access_token).headers)).status).toBe(204);
    expect(await app.heard('logout')).toHaveLength(1);
  });

  test('by a forged bearer is refused, and ends nothing', async () => {
    const app = await openBody();
    const client = app.browser();
    const { access_token, refresh_token } = await logIn(client);
    const forged = makeToken(
      'HS256',
      keyFor('HS256'),
      { alg: 'HS256', kid: 'k1', typ: 'at+jwt' },
      claimsOf(access_token),
    );
    const { status, json } = await client.post('/auth/logout', undefined, bearer(forged).headers);
    expect([status, json.error]).toEqual([401, 'invalid_token']);
    expect((await client.post('/auth/refresh', { refresh_token })).status).toBe(200);
  });

  test('by a token of a key that was taken back is refused: whoever stole the key logs nobody out', async () => {
    const app = await openBody();
    const client = app.browser();
    const { access_token, refresh_token } = await logIn(client);
    await app.options.store.revokeKey({ issuer: ISSUER, kid: 'k1' });
    expect((await client.post('/auth/logout', undefined, bearer(access_token).headers)).status).toBe(401);
    app.options.keys.replace([{ ...signed, kid: 'k2', key: keyFor('HS256') }]);
    expect((await client.post('/auth/refresh', { refresh_token })).status).toBe(200);
  });

  test('by knowing a sid alone ends nothing', async () => {
    const app = await openBody();
    const client = app.browser();
    const { access_token } = await logIn(client);
    const { sid } = claimsOf(access_token);
    for (const token of [sid, `${sid}.0.${sid}`]) await client.post('/auth/logout', { refresh_token: token });
    expect(await lives(app, access_token)).toBe(true);
  });

  test('a bad bearer keeps nobody from logging in', async () => {
    const app = await openBody();
    const { status } = await app.browser().post('/login', {}, { authorization: 'Bearer a.b.c' });
    expect(status).toBe(200);
  });
});
