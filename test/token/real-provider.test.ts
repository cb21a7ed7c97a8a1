import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import express from 'express';
import Provider from 'oidc-provider';
import { discover, getAuth, jwtAuth, memoryStore, requireScope } from 'portcullis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type HttpServer, serve } from '../support/http-server.ts';
import { type IssuerKey, issuerKey } from './key-server.ts';

const AUDIENCE = 'https://orders.example';

/** oidc-provider, a certified OpenID provider, with these keys; the first that fits signs. */
async function startProvider(
  port: number,
  keys: readonly IssuerKey[],
): Promise<{ readonly issuer: string; readonly server: Server }> {
  const server = createServer();
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const issuer = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
  const resource = {
    scope: 'orders:read orders:write',
    audience: AUDIENCE,
    accessTokenFormat: 'jwt' as const,
    accessTokenTTL: 600,
  };
  const provider = new Provider(issuer, {
    jwks: {
      keys: keys.map(({ kid, alg, key }) => ({ ...key.export({ format: 'jwk' }), kid, alg, use: 'sig' })) as never,
    },
    clients: [
      {
        client_id: 'shop',
        client_secret: 'a-secret-of-the-shop-that-is-long-enough',
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
        id_token_signed_response_alg: 'ES256',
      },
    ],
    cookies: { keys: ['only-a-test'] },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: () => ({ ...resource, jwt: { sign: { alg: keys[0]?.alg as 'ES256' } } }),
      },
    },
  });
  server.on('request', provider.callback());
  return { issuer, server };
}

async function stopProvider({ server }: { readonly server: Server }): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}

async function fetchToken(issuer: string, scope: string): Promise<string> {
  const { token_endpoint } = (await (await fetch(`${issuer}/.well-known/openid-configuration`)).json()) as any;
  const response = await fetch(token_endpoint, {
    method: 'POST',
    headers: {
      Authorization: `Basic ${Buffer.from('shop:a-secret-of-the-shop-that-is-long-enough').toString('base64')}`,
    },
    body: new URLSearchParams({ grant_type: 'client_credentials', resource: AUDIENCE, scope }),
  });
  const answer = (await response.json()) as any;
  if (!response.ok) throw new Error(JSON.stringify(answer));
  return answer.access_token;
}

describe('a real identity provider', () => {
  const [first, second] = [issuerKey('key-1'), issuerKey('key-2', 'EdDSA')];
  const store = memoryStore();
  let provider: Awaited<ReturnType<typeof startProvider>>;
  let api: HttpServer;
  const ask = (token: string, path = '/orders') =>
    fetch(api.url + path, { headers: { Authorization: `Bearer ${token}` } });

  beforeAll(async () => {
    provider = await startProvider(0, [first]);
    const app = express();
    app.use(jwtAuth({ ...discover(provider.issuer, { audience: AUDIENCE }), store }));
    app.get('/orders', requireScope('orders:read'), (req, res) => void res.json(getAuth(req)));
    app.post('/revoke-me', (req, res, next) => void store.revokeToken(getAuth(req)).then(() => res.end(), next));
    api = await serve(app);
  });
  afterAll(async () => {
    await api.close();
    await store.close();
    await stopProvider(provider);
  });

  test('its access tokens are found good by discovery, scopes and all', async () => {
    const token = await fetchToken(provider.issuer, 'orders:read');
    expect(JSON.parse(Buffer.from(token.split('.')[0] as string, 'base64url').toString())).toEqual({
      alg: 'ES256',
      kid: 'key-1',
      typ: 'at+jwt',
    });
    const response = await ask(token);
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({
      issuer: provider.issuer,
      subject: 'shop',
      scopes: ['orders:read'],
      roles: [],
      claims: { client_id: 'shop', aud: AUDIENCE },
    });
    expect((await ask(await fetchToken(provider.issuer, 'orders:write'))).status).toBe(403);
    expect((await ask(`${token.slice(0, -4)}AAAA`)).status).toBe(401);
  });

  test('one of its tokens is taken back here, though it knows nothing of that', async () => {
    const token = await fetchToken(provider.issuer, 'orders:read');
    await fetch(`${api.url}/revoke-me`, { method: 'POST', headers: { Authorization: `Bearer ${token}` } });
    expect((await ask(token)).status).toBe(401);
    expect((await ask(await fetchToken(provider.issuer, 'orders:read'))).status).toBe(200);
  });

  test('it goes away, and comes back with new keys: nobody is turned away who should not be', async () => {
    const before = await fetchToken(provider.issuer, 'orders:read');
    expect((await ask(before)).status).toBe(200);
    const { issuer } = provider;
    await stopProvider(provider);
    expect((await ask(before)).status).toBe(200);
    // As one rotates: the new key signs, the old one still verifies.
    provider = await startProvider(Number(new URL(issuer).port), [second, first]);
    expect(provider.issuer).toBe(issuer);
    const after = await fetchToken(issuer, 'orders:read');
    expect(JSON.parse(Buffer.from(after.split('.')[0] as string, 'base64url').toString())).toMatchObject({
      kid: 'key-2',
    });
    expect((await ask(after)).status).toBe(200);
    expect((await ask(before)).status).toBe(200);
    expect((await ask(issuerKey('key-3').sign({ iss: issuer, aud: AUDIENCE }))).status).toBe(401);
  });
});
