import './wall-clock.ts';
import express from 'express';
import { authErrorHandler, hybridAuth, jwtAuth, localKeys, redisStore, sessionAuth, tokenIssuer } from 'portcullis';
import { createClient } from 'redis';
import { serve } from '../support/http-server.ts';
import { serveCalls } from '../support/processes.ts';

// All three modes over one Redis, in a process whose wall clock may be off.
const { REDIS_URL: url = '', SECRET: secret = '', GRACE: grace = '10s' } = process.env;
const client = createClient({ url, disableOfflineQueue: true });
client.on('error', () => {});
await client.connect();

const store = redisStore(client as never, { timeout: '2s' });
await store.ready();
const keys = localKeys([{ kid: 'k', alg: 'HS256', key: secret }]);
const ours = { issuer: 'https://auth.example', audience: 'https://api.example', keys };
const common = { store, secret: `${secret}, and more` };
let reuses = 0;
const hybrid = hybridAuth({
  ...common,
  ...ours,
  transport: 'body',
  grace: grace as '10s',
  audit({ type }) {
    if (type === 'refresh_reused') reuses += 1;
  },
});
const session = sessionAuth({ ...common, cookie: { secure: false } });
const jwt = jwtAuth({ store, ...ours, leeway: '30s' });
const issue = tokenIssuer({ ...ours, lifetime: '5m', store });

const app = express();
app.post('/login/hybrid/:subject', (req, res, next) => {
  hybrid.login(req, res, { subject: req.params.subject }).then((receipt) => res.json(receipt), next);
});
app.post('/login/session/:subject', (req, res, next) => {
  session.login(req, res, { subject: req.params.subject }).then(() => res.json({}), next);
});
app.use('/auth', hybrid.routes());
app.get('/hybrid', hybrid, (req, res) => void res.json(req.auth));
app.get('/jwt', jwt, (req, res) => void res.json(req.auth));
app.get('/session', session, (req, res) => void res.json(req.auth));
app.use(authErrorHandler());
const server = await serve(app);

serveCalls({
  port: () => server.port,
  now: () => Date.now(),
  issue: (subject: string) => issue({ subject }),
  revokeSubject: (subject: string, options?: { except?: string }) => store.revokeSubject(subject, options),
  revokeLogin: (login: { subject: string; sid: string }) => store.revokeLogin(login),
  // Dates made elsewhere are none of this process's.
  revokeToken: ({ expiresAt, ...token }: any) => store.revokeToken({ ...token, expiresAt: new Date(expiresAt) }),
  revokeKey: (kid: string) => store.revokeKey({ issuer: ours.issuer, kid }),
  reuses: () => reuses,
});
