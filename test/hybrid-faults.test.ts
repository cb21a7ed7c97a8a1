import { setTimeout as sleep } from 'node:timers/promises';
import { type AuthStore, jwtAuth, localKeys, redisStore } from 'portcullis';
import { createClient } from 'redis';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  ACCESS,
  AUDIENCE,
  bearer,
  type HybridApp,
  type HybridAppOptions,
  hybridApp,
  ISSUER,
  logIn,
  REFRESH,
  signingKey,
} from './hybrid/app.ts';
import type { Answer } from './support/browser.ts';
import { type RedisServer, startRedis } from './support/redis-server.ts';

const MAX_STALENESS = 2_000;

let redis: RedisServer;
const clean: (() => unknown)[] = [];
beforeEach(async () => {
  redis = await startRedis();
});
afterEach(async () => {
  for (const end of clean.splice(0).reverse()) await end();
  await redis.stop();
});

async function open(options: Partial<HybridAppOptions> = {}): Promise<HybridApp & { readonly store: AuthStore }> {
  const client = createClient({ url: redis.url, disableOfflineQueue: true, socket: { reconnectStrategy: () => 50 } });
  client.on('error', () => {});
  client.connect().catch(() => {});
  clean.push(() => client.destroy());
  const store = redisStore(client as never, { maxStaleness: `${MAX_STALENESS}ms`, timeout: '250ms' });
  clean.push(() => store.close());
  const keys = localKeys([signingKey()]);
  const app = await hybridApp({
    store,
    keys,
    before(express) {
      const jwt = jwtAuth({ store, keys, issuer: ISSUER, audience: AUDIENCE });
      express.get('/jwt', jwt, (_req, res) => void res.json('in'));
      express.get(
        '/jwt-maybe',
        jwtAuth({ store, keys, issuer: ISSUER, audience: AUDIENCE, required: false }),
        (_req, res) => void res.json('in'),
      );
    },
    ...options,
  });
  clean.push(() => app.server.close());
  return Object.assign(app, { store });
}

function expectUnavailable(answer: Answer): void {
  expect([answer.status, answer.json, answer.headers['retry-after']]).toEqual([
    503,
    { error: 'store_unavailable', error_description: 'the login store cannot be reached, try again shortly' },
    '1',
  ]);
  expect(answer.cookies).toEqual([]);
  expect(answer.headers).not.toHaveProperty('www-authenticate');
  expect(answer.text).not.toMatch(/127\.0\.0\.1|ECONN|redis/i);
}

/** Redis answers this process again, and it knows what was taken back. */
async function untilBack(store: AuthStore): Promise<void> {
  const answers = () =>
    store.logins('nobody').then(
      () => true,
      () => false,
    );
  while (!(await answers()) || !store.health().fresh) await sleep(20);
}

const faults: [name: string, begin: () => unknown, end: () => unknown][] = [
  ['frozen (SIGSTOP)', () => redis.freeze(), () => redis.thaw()],
  ['killed (SIGKILL), and another empty one in its place', () => redis.kill(), () => redis.restart()],
];

describe.each(faults)('A-R02, A-R03: Redis is %s:', (name, begin, end) => {
  const dataLost = name.startsWith('killed');

  test('access tokens are served from what is known, then 503; nobody is logged out by it', async () => {
    const app = await open();
    await app.store.ready();
    const [client, revoked] = [app.browser(), app.browser()];
    await logIn(client);
    await logIn(revoked, { subject: 'bob' });
    await app.store.revokeSubject('bob');
    const headers = bearer(client.jar.get(ACCESS) as string);
    const dead = bearer(revoked.jar.get(ACCESS) as string);
    await begin();
    const begun = Date.now();
    const known = [await client.get('/me'), await client.get('/jwt', headers), await client.get('/maybe')];
    expect(known.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect((await client.get('/jwt', dead)).status).toBe(401);

    while (app.store.health().staleness <= MAX_STALENESS) await sleep(50);
    expect(Date.now() - begun).toBeLessThan(60_000);
    for (const path of ['/me', '/maybe']) expectUnavailable(await client.get(path));
    for (const path of ['/jwt', '/jwt-maybe']) expectUnavailable(await client.get(path, headers));
    // Who shows nothing is asked nothing.
    expect((await app.browser().get('/maybe')).status).toBe(200);
    expect((await app.browser().get('/jwt')).status).toBe(401);

    await end();
    await untilBack(app.store);
    expect((await client.get('/me')).status).toBe(200);
    expect((await client.get('/jwt', headers)).status).toBe(200);
    expect((await client.get('/jwt', dead)).status).toBe(401);
    expect((await app.heard('stale', 'fresh')).map(({ type }) => type)).toEqual(['stale', 'fresh']);
  });

  test('login, refresh and logout are 503, set and clear nothing, and the refresh token is good afterwards', async () => {
    const app = await open();
    await app.store.ready();
    const client = app.browser();
    await logIn(client);
    const cookies = [...client.jar];
    await begin();
    for (const path of ['/auth/refresh', '/auth/logout', '/login', '/auth/logout', '/auth/refresh']) {
      expectUnavailable(await client.post(path, {}));
    }
    expectUnavailable(await client.get('/auth/logins'));
    expectUnavailable(await app.browser().post('/login', {}));
    expect([...client.jar]).toEqual(cookies);
    await end();
    await untilBack(app.store);
    await sleep(50);
    const answer = await client.post('/auth/refresh');
    if (dataLost) {
      expect(answer).toMatchObject({ status: 400, json: { error: 'invalid_grant' } });
      expect((await client.get('/me')).status).toBe(200);
    } else {
      expect(answer.status).toBe(200);
      expect((await client.get('/me')).status).toBe(200);
      expect((await app.store.logins('ann')).length).toBe(1);
    }
    expect((await client.post('/login', {})).status).toBe(200);
    expect(await app.heard('refresh_reused', 'logout')).toEqual([]);
  });

  test('in line: a cookie near its end is served and left alone, one that is over is 503', async () => {
    const app = await open({ access: '3s' });
    await app.store.ready();
    const [near, over] = [app.browser(), app.browser()];
    await logIn(near);
    await logIn(over);
    over.jar.delete(ACCESS);
    await sleep(2_450);
    await begin();
    expect(await near.get('/me')).toMatchObject({ status: 200, cookies: [] });
    expectUnavailable(await over.get('/me'));
    expectUnavailable(await over.get('/maybe'));
    expect(over.jar.has(REFRESH)).toBe(true);
    await end();
    await untilBack(app.store);
    expect((await over.get('/me')).status).toBe(dataLost ? 401 : 200);
  });

  test('a revocation that failed is still tried, and holds here at once', async () => {
    const app = await open({ transport: 'body' });
    await app.store.ready();
    const client = app.browser();
    const { access_token } = await logIn(client);
    const { jti, expiresAt } = (await client.get('/me', bearer(access_token))).json;
    await begin();
    await expect(app.store.revokeToken({ issuer: ISSUER, jti, expiresAt: new Date(expiresAt) })).rejects.toMatchObject({
      status: 503,
    });
    expect((await client.get('/me', bearer(access_token))).status).toBe(401);
    await end();
    await untilBack(app.store);
    const other = redisStore(await redis.client());
    clean.push(() => other.close());
    await other.ready();
    while (other.health().revocations === 0) await sleep(20);
    expect((await client.get('/me', bearer(access_token))).status).toBe(401);
  });
});

test('H18, A-H19: Redis lost a rotation: the client goes on, and a token before its is reuse', async () => {
  const app = await open({ transport: 'body', grace: '0ms' });
  await app.store.ready();
  const client = app.browser();
  const first = await logIn(client);
  const sid = (await app.store.logins('ann'))[0]?.sid;
  const key = (await redis.cli('KEYS', `*login:{${sid}}`)).trim();
  const { json: second } = await client.post('/auth/refresh', { refresh_token: first.refresh_token });
  const { json: third } = await client.post('/auth/refresh', { refresh_token: second.refresh_token });
  // As a failover to a replica that had not heard of it leaves things.
  await redis.cli('HSET', key, 'g', '1', 'p', '0', 'u', '1');
  const { status, json: fourth } = await client.post('/auth/refresh', { refresh_token: third.refresh_token });
  expect(status).toBe(200);
  expect((await client.post('/auth/refresh', { refresh_token: first.refresh_token })).json.error).toBe('invalid_grant');
  expect((await client.get('/me', bearer(fourth.access_token))).status).toBe(401);
  expect(await app.heard('refresh_reused')).toHaveLength(1);
});

test('A-R01: a process started without Redis answers 503, and heals by itself', async () => {
  await redis.kill();
  const app = await open();
  const client = app.browser();
  expectUnavailable(await client.post('/login', {}));
  client.jar.set(ACCESS, 'x');
  await redis.restart();
  await untilBack(app.store);
  await logIn(client);
  expect((await client.get('/me')).status).toBe(200);
});

test('A-R01: good credentials shown to a process that never reached Redis are 503, not 401', async () => {
  const keys = localKeys([signingKey()]);
  const first = await open({ keys });
  await first.store.ready();
  const client = first.browser();
  await logIn(client);
  const cookies = [...client.jar];
  await redis.kill();
  const second = await open({ keys });
  const there = second.browser();
  for (const [name, value] of cookies) there.jar.set(name, value);
  expectUnavailable(await there.get('/me'));
  expectUnavailable(await there.get('/me', bearer(cookies.find(([name]) => name === ACCESS)?.[1] as string)));
  expectUnavailable(await there.post('/auth/refresh'));
});

test('2, 27: in hybrid and jwt mode a request costs no Redis command, with revocations standing', async () => {
  const app = await open();
  await app.store.ready();
  const client = app.browser();
  await logIn(client);
  // A generation that replaced another is told once that it is in use.
  await client.post('/auth/refresh');
  const headers = bearer(client.jar.get(ACCESS) as string);
  for (const path of ['/me', '/jwt']) await client.get(path, path === '/jwt' ? headers : {});
  await app.store.revokeSubject('bob');
  await sleep(50);
  const before = await commands();
  for (let n = 0; n < 500; n++) {
    expect((await client.get('/me')).status).toBe(200);
    expect((await client.get('/jwt', headers)).status).toBe(200);
    expect((await client.get('/jwt', bearer('a.b.c'))).status).toBe(401);
  }
  // A heartbeat a second takes some ten, inside its script.
  expect((await commands()) - before).toBeLessThan(500);
});

async function commands(): Promise<number> {
  const stats = await redis.cli('INFO', 'commandstats');
  return [...stats.matchAll(/calls=(\d+)/g)].reduce((sum, [, calls]) => sum + Number(calls), 0);
}

test('S15: a forged refresh token, and junk in every cookie, cost no Redis command', async () => {
  const app = await open();
  await app.store.ready();
  const client = app.browser();
  const before = await commands();
  for (let n = 0; n < 300; n++) {
    client.jar.set(ACCESS, `a.b.${n}`).set(REFRESH, `${'a'.repeat(43)}.${n}.${'b'.repeat(43)}`);
    expect((await client.get('/me')).status).toBe(401);
    expect((await client.post('/auth/refresh')).status).toBe(400);
  }
  expect((await commands()) - before).toBeLessThan(200);
});
