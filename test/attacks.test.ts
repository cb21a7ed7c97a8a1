import { randomBytes } from 'node:crypto';
import express, { type Express } from 'express';
import request from 'supertest';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  type AuthStore,
  authErrorHandler,
  getAuth,
  hybridAuth,
  jwtAuth,
  localKeys,
  redisStore,
  requireAuth,
  sessionAuth,
  tokenIssuer,
} from '../lib/index.ts';
import { type RedisServer, startRedis } from './support/redis-server.ts';

const secret = randomBytes(32).toString('base64url');
const keyOf = (kid: string) => localKeys([{ kid, alg: 'HS256', key: randomBytes(32).toString('base64url') }]);
const bearer = { type: 'bearer' } as const;

let redis: RedisServer;
let store: AuthStore;

beforeAll(async () => {
  redis = await startRedis();
  store = redisStore(await redis.client());
  await store.ready();
});

afterAll(async () => {
  await store.close();
  await redis.stop();
});

function hybridApp(
  options: object,
  handle: express.RequestHandler,
): { app: Express; mode: ReturnType<typeof hybridAuth> } {
  const mode = hybridAuth({
    ...{ store, secret, keys: keyOf('own'), issuer: 'https://own.example', audience: 'web', transport: 'cookie' },
    cookie: { secure: false },
    ...options,
  });
  const app = express();
  app.post('/login', async (req, res) => void res.json(await mode.login(req, res, { subject: 'ann' })));
  app.get('/', mode, handle);
  app.use(authErrorHandler());
  return { app, mode };
}

test("a foreign issuer's token opens no logins of ours, though it knows a sid", async () => {
  const foreign = keyOf('foreign');
  const session = sessionAuth({ store, secret, cookie: { secure: false } });
  const app = express();
  app.post('/login', async (req, res) => void res.json(await session.login(req, res, { subject: 'ann' })));
  app.get('/me', session, (req, res) => void res.json(getAuth(req).subject));
  app.use(jwtAuth({ store, keys: foreign, issuer: 'https://foreign.example', audience: 'web', required: false }));
  app.use('/auth', session.routes());
  const browser = request.agent(app);
  const { body } = await browser.post('/login').expect(200);
  const mint = tokenIssuer({ keys: foreign, issuer: 'https://foreign.example', audience: 'web', lifetime: '5m' });
  const token = mint({ subject: 'ann' });
  await request(app).get('/auth/logins').auth(token, bearer).expect(401);
  await request(app).delete(`/auth/logins/${body.sid}`).auth(token, bearer).expect(401);
  await browser.get('/me').expect(200);
});

test('C14, B12: a response with a cookie of ours is never cached, whatever the handler says', async () => {
  for (const say of [
    (res: express.Response) => void res.set('Cache-Control', 'public, max-age=600').json({}),
    (res: express.Response) => void res.writeHead(200, { 'Cache-Control': 'public, max-age=600' }).end('{}'),
  ]) {
    const { app } = hybridApp({ access: '500ms' }, (_req, res) => say(res));
    const browser = request.agent(app);
    await browser.post('/login').expect(200);
    await new Promise((resolve) => setTimeout(resolve, 600));
    const { headers } = await browser.get('/').expect(200);
    expect(headers['set-cookie']).toHaveLength(2);
    expect(headers['cache-control']).toBe('no-store');
  }
});

test('N04: a handler that changes the dates of a caller changes them for nobody else', async () => {
  const keys = keyOf('dates');
  const options = { keys, issuer: 'https://dates.example', audience: 'api' };
  const app = express().use(jwtAuth({ store, ...options }));
  app.get('/slip', (req, res) => {
    getAuth(req).authenticatedAt?.setFullYear(2100);
    getAuth(req).expiresAt.setFullYear(2100);
    res.end();
  });
  app.get('/sensitive', requireAuth({ within: '5m' }), (_req, res) => void res.end());
  app.use(authErrorHandler());
  const mint = tokenIssuer({ ...options, lifetime: '5m' });
  const token = mint({ subject: 'ann', authenticatedAt: new Date(Date.now() - 3_600_000) });
  await request(app).get('/slip').auth(token, bearer).expect(200);
  await request(app).get('/sensitive').auth(token, bearer).expect(401);
});

test('a revoked signing key is no 500 where nobody is required', async () => {
  const issuer = 'https://leaked.example';
  const { app } = hybridApp(
    { issuer, keys: keyOf('leaked'), required: false },
    (req, res) => void res.json(req.auth ?? null),
  );
  const browser = request.agent(app);
  await browser.post('/login').expect(200);
  await store.revokeKey({ issuer, kid: 'leaked' });
  const { body } = await browser.get('/').expect(200);
  expect(body).toBeNull();
});

test('H01: an old refresh cookie beside the current one accuses nobody', async () => {
  const { app } = hybridApp({ access: '500ms', grace: '0ms' }, (_req, res) => void res.json({}));
  const cookieOf = (response: request.Response, name: string) =>
    String([response.headers['set-cookie']].flat().find((line) => String(line).startsWith(`${name}=`))).split(';')[0];
  const first = await request(app).post('/login').expect(200);
  const old = cookieOf(first, 'refresh');
  const second = await request(app).get('/').set('Cookie', `${old}`).expect(200);
  const current = cookieOf(second, 'refresh');
  await request(app).get('/').set('Cookie', `${old}; ${current}`).expect(200);
});

test('D13: a login that Redis has lost is taken back with its access tokens all the same', async () => {
  const { app } = hybridApp({ transport: 'body', cookie: undefined }, (req, res) => void res.json(getAuth(req).sid));
  const { body } = await request(app).post('/login').expect(200);
  const { body: sid } = await request(app).get('/').auth(body.access_token, bearer).expect(200);
  await redis.cli('FLUSHALL');
  await expect.poll(() => store.health().fresh).toBe(true);
  await store.revokeLogin({ subject: 'ann', sid });
  await request(app).get('/').auth(body.access_token, bearer).expect(401);
});

test('what is misspelt when something is taken back is said, and takes nothing back', async () => {
  await expect(store.revokeSubject('ann', { exept: 'x' } as never)).rejects.toThrow('did you mean "except"');
  await expect(store.revokeToken({ jti: 'x', expiresAt: new Date() })).rejects.toThrow('"issuer" must be given');
});
