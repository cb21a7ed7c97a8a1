import { randomBytes } from 'node:crypto';
import express from 'express';
import {
  getAuth,
  jwksHandler,
  jwtAuth,
  localKeys,
  memoryStore,
  remoteKeys,
  sessionAuth,
  tokenIssuer,
} from 'portcullis';
import { expect, onTestFinished, test } from 'vitest';
import { serve } from '../support/http-server.ts';
import { startProcess } from '../support/processes.ts';
import { keyFor } from './key-material.ts';

const ISSUER = 'https://auth.example';
const AUDIENCE = 'https://api.example';

test('a process with public keys alone verifies without Redis, and opens no socket but for its callers', async () => {
  const key = keyFor('EdDSA');
  const keys = localKeys([{ kid: 'k1', alg: 'EdDSA', key }]);
  const issue = tokenIssuer({ keys, issuer: ISSUER, audience: AUDIENCE, lifetime: '1m' });
  const child = await startProcess(new URL('verify-only.child.ts', import.meta.url));
  onTestFinished(() => child.stop());
  const port = await child.call('start', keys.jwks().keys[0]);
  const ask = (token: string) =>
    fetch(`http://127.0.0.1:${port}`, { headers: { Authorization: `Bearer ${token}` } }).then(({ status }) => status);
  for (let i = 0; i < 20; i++) expect(await ask(issue({ subject: `u${i}` }))).toBe(200);
  expect(await ask(`${issue({ subject: 'u' }).slice(0, -4)}AAAA`)).toBe(401);
  expect(await child.call('opened')).toBe(0);
  // So would one have been seen.
  await child.call('openOne', port);
  expect(await child.call('opened')).toBe(1);
});

test('public keys alone cannot sign', () => {
  const { keys } = localKeys([{ kid: 'k1', alg: 'EdDSA', key: keyFor('EdDSA') }]).jwks();
  const published = localKeys([{ kid: 'k1', alg: 'EdDSA', key: keys[0] as object }]);
  const make = () => tokenIssuer({ keys: published, issuer: ISSUER, audience: AUDIENCE, lifetime: '1m' });
  expect(make).toThrow(/public only/);
});

test('a session is exchanged for a short token that a service downstream verifies by our published keys', async () => {
  const store = memoryStore();
  onTestFinished(() => store.close());
  const keys = localKeys([{ kid: 'k1', alg: 'ES256', key: keyFor('ES256') }]);
  const session = sessionAuth({
    store,
    secret: randomBytes(32).toString('base64url'),
    cookie: { secure: false, name: 'id' },
  });
  const forDownstream = tokenIssuer({
    keys,
    issuer: ISSUER,
    audience: 'https://orders.example',
    lifetime: '60s',
    store,
  });

  const front = express();
  const gate = await serve(front);
  onTestFinished(() => gate.close());
  const downstream = express();
  downstream.use(
    jwtAuth({
      issuer: ISSUER,
      audience: 'https://orders.example',
      keys: remoteKeys(`${gate.url}/.well-known/jwks.json`, { algorithms: ['ES256'] }),
      claims: { roles: 'roles' },
      store: 'none',
    }),
  );
  downstream.get('/orders', (req, res) => void res.json(getAuth(req)));
  const orders = await serve(downstream);
  onTestFinished(() => orders.close());

  front.use('/.well-known/jwks.json', jwksHandler(keys));
  front.post('/login', (req, res, next) => {
    void session.login(req, res, { subject: 'ann', scopes: ['read'], roles: ['clerk'] }).then(() => res.end(), next);
  });
  front.get('/orders', session, (req, res, next) => {
    const { subject, scopes, roles, authenticatedAt } = getAuth(req);
    const token = forDownstream({ subject, scopes, roles, ...(authenticatedAt && { authenticatedAt }) });
    fetch(`${orders.url}/orders`, { headers: { Authorization: `Bearer ${token}` } })
      .then((response) => response.json())
      .then((told) => res.json(told), next);
  });

  const login = await fetch(`${gate.url}/login`, { method: 'POST' });
  const [cookie = ''] = login.headers.getSetCookie();
  const told = await (
    await fetch(`${gate.url}/orders`, { headers: { Cookie: cookie.split(';')[0] as string } })
  ).json();
  expect(told).toMatchObject({ mode: 'jwt', subject: 'ann', scopes: ['read'], roles: ['clerk'], issuer: ISSUER });
  const { issuedAt, expiresAt, authenticatedAt } = told as Record<string, string>;
  expect(Date.parse(expiresAt as string) - Date.parse(issuedAt as string)).toBe(60_000);
  expect(Math.abs(Date.parse(authenticatedAt as string) - Date.now())).toBeLessThan(60_000);
  expect((await fetch(`${gate.url}/orders`)).status).toBe(401);
});
