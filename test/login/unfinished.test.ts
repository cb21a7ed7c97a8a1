import { randomBytes } from 'node:crypto';
import express, { type Express } from 'express';
import request from 'supertest';
import { afterEach, expect, test } from 'vitest';
import { getAuth, hybridAuth, localKeys, redisStore, sessionAuth } from '../../lib/index.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';

const ended: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const end of ended.splice(0).reverse()) await end();
});

async function start(): Promise<{ redis: RedisServer; store: ReturnType<typeof redisStore>; app: Express }> {
  const redis = await startRedis();
  const store = redisStore((await redis.client()) as never, { timeout: '100ms' });
  ended.push(async () => {
    await store.close();
    await redis.stop();
  });
  await store.ready();
  const secret = randomBytes(32).toString('base64url');
  const session = sessionAuth({ store, secret, cookie: { secure: false } });
  const keys = localKeys([{ kid: 'a', alg: 'HS256', key: randomBytes(32).toString('base64url') }]);
  const hybrid = hybridAuth({ store, secret, keys, issuer: 'https://me.example', audience: 'api', transport: 'body' });
  const app = express();
  app.post('/web/login', async (req, res) => {
    res.json(await session.login(req, res, { subject: 'ann' }));
  });
  app.get('/web/me', session, (req, res) => res.json(getAuth(req).subject));
  app.post('/app/login', async (req, res) => {
    res.json(await hybrid.login(req, res, { subject: 'ann' }));
  });
  app.get('/app/me', hybrid, (req, res) => res.json(getAuth(req).subject));
  app.use('/app', hybrid.routes());
  return { redis, store, app };
}

test('what was revoked while Redis stood still is refused then, and done once it is back', async () => {
  const { redis, store, app } = await start();
  const browser = request.agent(app);
  const { body: login } = await browser.post('/web/login').expect(200);
  const { body: other } = await request(app).post('/web/login').expect(200);
  await redis.freeze();
  await expect(store.revokeLogin({ subject: 'ann', sid: login.sid })).rejects.toMatchObject({ status: 503 });
  await redis.thaw();
  await expect.poll(async () => (await browser.get('/web/me')).status, { timeout: 10_000 }).toBe(401);
  expect((await store.logins('ann')).map(({ sid }) => sid)).toEqual([other.sid]);
});

test('a subject revoked while Redis stood still loses what it had, and keeps what it began since', async () => {
  const { redis, store, app } = await start();
  const before = request.agent(app);
  await before.post('/web/login').expect(200);
  const { body: tokens } = await request(app).post('/app/login').expect(200);
  await redis.freeze();
  await expect(store.revokeSubject('ann')).rejects.toMatchObject({ status: 503 });
  await redis.thaw();
  const after = request.agent(app);
  await expect.poll(async () => (await after.post('/web/login')).status, { timeout: 10_000, interval: 10 }).toBe(200);
  await expect.poll(async () => (await before.get('/web/me')).status, { timeout: 10_000 }).toBe(401);
  await request(app).get('/app/me').auth(tokens.access_token, { type: 'bearer' }).expect(401);
  await after.get('/web/me').expect(200);
});

test('a logout while Redis stands still is a 503, and here the access token is dead at once', async () => {
  const { redis, app } = await start();
  const { body: tokens } = await request(app).post('/app/login').expect(200);
  const bearer = { type: 'bearer' } as const;
  await request(app).get('/app/me').auth(tokens.access_token, bearer).expect(200);
  await redis.freeze();
  await request(app).post('/app/logout').auth(tokens.access_token, bearer).expect(503);
  await request(app).get('/app/me').auth(tokens.access_token, bearer).expect(401);
  await redis.thaw();
  await expect
    .poll(async () => (await request(app).post('/app/refresh').send({ refresh_token: tokens.refresh_token })).status, {
      timeout: 10_000,
    })
    .toBe(400);
});
