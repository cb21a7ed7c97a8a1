import express from 'express';
import { hybridAuth, localKeys, memoryStore, sessionAuth } from 'portcullis';
import { afterEach, expect, test } from 'vitest';
import { browser } from '../support/browser.ts';
import { type HttpServer, serve } from '../support/http-server.ts';
import { keyFor } from '../token/key-material.ts';

const SECRET = 'vGxRgYm2k1DqkPz0Qw8nRy3Lb7HcTf5SJuEaXoWi4d';
const ours = {
  issuer: 'https://app.example',
  audience: 'app',
  keys: localKeys([{ kid: 'k', alg: 'HS256', key: keyFor('HS256') }]),
};

const servers: HttpServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});

async function both() {
  const store = memoryStore();
  const common = { store, secret: SECRET, cookie: { secure: false } };
  const session = sessionAuth({ ...common, required: false });
  const hybrid = hybridAuth({ ...common, ...ours, transport: 'cookie', required: false });
  const app = express();
  app.post('/login', (req, res, next) => {
    session
      .login(req, res, { subject: 'ann' })
      .then(() => hybrid.login(req, res, { subject: 'ann' }))
      .then(() => res.json({}), next);
  });
  app.use(session);
  app.use(hybrid.routes());
  app.get('/cached', (_req, res) => void res.set('Cache-Control', 'public, max-age=60').json(1));
  app.get('/plain', (_req, res) => void res.json(1));
  app.get('/me', hybrid, (req, res) => void res.json(req.auth ?? null));
  app.use(((error, _req, res, _next) => void res.status(500).json(String(error))) as express.ErrorRequestHandler);
  const server = await serve(app);
  servers.push(server);
  return { store, client: browser(server.url) };
}

test('mounted at the root, they leave alone what is not theirs', async () => {
  const { client } = await both();
  expect((await client.get('/plain')).headers).not.toHaveProperty('cache-control');
  expect((await client.get('/cached')).headers['cache-control']).toBe('public, max-age=60');
  expect((await client.post('/plain', '{', { 'content-type': 'application/json' })).status).toBe(404);
});

test('whoever is known by a session may see and end logins of both modes, and ends the one that is named', async () => {
  const { client, store } = await both();
  await client.post('/login');
  const list = (await client.get('/logins')).json;
  expect(list.map(({ mode, current }: any) => [mode, current]).sort()).toEqual([
    ['hybrid', false],
    ['session', true],
  ]);
  const { sid } = list.find(({ current }: any) => current);
  expect((await client.send('DELETE', `/logins/${sid}`)).status).toBe(204);
  expect((await store.logins('ann')).map(({ mode }) => mode)).toEqual(['hybrid']);
  expect((await client.get('/me')).json.mode).toBe('hybrid');
});

test('HEAD of the list answers as GET does; OPTIONS is refused, for a preflight is the CORS layer’s', async () => {
  const { client } = await both();
  await client.post('/login');
  expect((await client.send('HEAD', '/logins')).status).toBe(200);
  expect((await client.send('OPTIONS', '/logins')).status).toBe(405);
});

test('maxLogins counts the logins of all modes, and ends the oldest, whichever mode opened it', async () => {
  const store = memoryStore();
  const common = { store, secret: SECRET, cookie: { secure: false }, maxLogins: 2 };
  const modes = { session: sessionAuth(common), hybrid: hybridAuth({ ...common, ...ours, transport: 'cookie' }) };
  const app = express();
  for (const mode of ['session', 'hybrid'] as const) {
    app.post(`/${mode}`, (req, res, next) => {
      modes[mode].login(req, res, { subject: 'ann' }).then(() => res.json({}), next);
    });
    app.get(`/${mode}`, modes[mode], (_req, res) => void res.json({}));
  }
  const server = await serve(app);
  servers.push(server);
  const order = ['session', 'hybrid', 'session', 'hybrid'] as const;
  const clients = [];
  for (const mode of order) {
    const client = browser(server.url);
    expect((await client.post(`/${mode}`)).status).toBe(200);
    clients.push(client);
    await new Promise((resolve) => setTimeout(resolve, 3));
  }
  const statuses = [];
  for (const [at, mode] of order.entries()) statuses.push((await clients[at]?.get(`/${mode}`))?.status);
  expect(statuses).toEqual([401, 401, 200, 200]);
  expect(await store.logins('ann')).toHaveLength(2);
});
