import { setTimeout as sleep } from 'node:timers/promises';
import express, { type Request } from 'express';
import { authErrorHandler, redisStore, sessionAuth } from 'portcullis';
import { createClient } from 'redis';
import { serve } from '../support/http-server.ts';
import { serveCalls } from '../support/processes.ts';
import { dataOf } from './app.ts';

// One process of an application in session mode. A slow request reads its session, works, changes it, and works on.
const { REDIS_URL: url = '', SECRET: secret = '', MAX_LOGINS: maxLogins } = process.env;
const client = createClient({ url, disableOfflineQueue: true });
client.on('error', () => {});
await client.connect();

const store = redisStore(client as never, { timeout: '5s' });
await store.ready();
const conflicts: (readonly string[])[] = [];
const auth = sessionAuth({
  store,
  secret,
  required: false,
  cookie: { secure: false },
  ...(maxLogins === undefined ? {} : { maxLogins: Number(maxLogins) }),
  audit(event) {
    if (event.type === 'session_conflict') conflicts.push(event.fields);
  },
});

const app = express();
app.use('/auth', auth.routes());
app.use(auth);
app.post('/login/:subject', async (req, res) => {
  await auth.login(req, res, { subject: req.params.subject });
  res.json({ sid: req.auth?.sid });
});
app.get('/slow', async (req, res) => {
  const { name = 'slow', value = 'yes', before = '0', after = '0' } = req.query as Record<string, string>;
  dataOf(req);
  await sleep(Number(before));
  dataOf(req)[name] = value;
  if (Number(after) > 0) res.write(' ');
  await sleep(Number(after));
  dataOf(req).end = value;
  res.end('{}');
});
app.get('/increment/:name', async (req, res) => {
  const data = dataOf(req);
  await sleep(5);
  data[req.params.name] = Number(data[req.params.name] ?? 0) + 1;
  res.json({});
});
app.post('/destroy', (req, res, next) => {
  req.session.destroy((error) => (error ? next(error) : res.json({})));
});
app.get('/me', (req, res) => {
  const { cookie: _, ...data } = { ...dataOf(req) };
  res.json({ subject: (req as Request).auth?.subject ?? null, issuedAt: req.auth?.issuedAt ?? null, data });
});
app.use(authErrorHandler());
const server = await serve(app);

serveCalls({
  port: () => server.port,
  revokeSubject: (subject: string) => store.revokeSubject(subject),
  conflicts: () => conflicts.splice(0),
});
