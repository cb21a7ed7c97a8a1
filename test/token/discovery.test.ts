import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import express from 'express';
import { discover, jwtAuth, type TrustedIssuer } from 'portcullis';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { serve } from '../support/http-server.ts';
import { hearWarnings } from '../support/warnings.ts';
import { goodClaims, type IssuerKey, issuerKey, type KeyServer, startKeyServer } from './key-server.ts';

/** An issuer at a path of a key server, described at `place`. */
async function issuerAt(
  path: string,
  place: (path: string) => string,
  keys: readonly IssuerKey[],
  more: object = {},
): Promise<KeyServer & { readonly issuer: string }> {
  const server = await startKeyServer(...keys);
  onTestFinished(() => server.close());
  const issuer = `${server.url}${path}`;
  server.fault = (req, res) => {
    const jwks = `${server.url}/keys`;
    if (req.url === place(path)) res.end(JSON.stringify({ issuer, jwks_uri: jwks, ...more }));
    else if (req.url === '/keys')
      res.end(JSON.stringify({ keys: server.keys.map((key) => ('jwk' in key ? key.jwk : key)) }));
    else res.writeHead(404).end();
  };
  return Object.assign(server, { issuer });
}

const openid = (path: string) => `${path.replace(/\/$/, '')}/.well-known/openid-configuration`;
const oauth = (path: string) => `/.well-known/oauth-authorization-server${path.replace(/\/$/, '')}`;

async function apiFor(...issuers: TrustedIssuer[]) {
  const app = express();
  app.use(jwtAuth({ issuers, store: 'none' }));
  app.get('/', (req, res) => void res.json(req.auth));
  const server = await serve(app);
  onTestFinished(() => server.close());
  return (token: string) => fetch(server.url, { headers: { Authorization: `Bearer ${token}` } });
}

async function statusOf(key: IssuerKey, server: { readonly issuer: string }, options: object = {}): Promise<number> {
  const ask = await apiFor(discover(server.issuer, { audience: 'api', ...options }));
  return (await ask(key.sign(goodClaims({ iss: server.issuer, aud: 'api' })))).status;
}

describe('discover', () => {
  test.each([
    ['at its root', '', openid],
    ['at its root, with a slash', '/', openid],
    ['at a path', '/realms/shop', openid],
    ['at a path, with a slash', '/realms/shop/', openid],
    ['at its root, of OAuth alone', '', oauth],
    ['at a path, of OAuth alone (RFC 8414, section 3.1)', '/tenant/1', oauth],
  ])('finds the keys of an issuer %s', async (_where, path, place) => {
    const a = issuerKey('a');
    expect(await statusOf(a, await issuerAt(path, place, [a]))).toBe(200);
  });

  test('nothing is asked before the first token, and then two documents once for all', async () => {
    const a = issuerKey('a');
    const server = await issuerAt('', openid, [a]);
    const ask = await apiFor(discover(server.issuer, { audience: 'api' }));
    await sleep(50);
    expect(server.asked).toEqual([]);
    const tokens = Array.from({ length: 20 }, () => a.sign(goodClaims({ iss: server.issuer, aud: 'api' })));
    const answers = await Promise.all(tokens.map(ask));
    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200));
    expect(server.asked).toEqual(['/.well-known/openid-configuration', '/keys']);
  });

  test('only algorithms that the issuer offers are taken, and neither secrets nor none, whatever it says', async () => {
    const [es, rs] = [issuerKey('es'), issuerKey('rs', 'RS256')];
    const offering = (...algs: unknown[]) =>
      issuerAt('', openid, [es, rs], { id_token_signing_alg_values_supported: algs });
    const both = await offering('HS256', 'none', 'RS256', 'ES256', 'ES256K', 7);
    expect(await statusOf(es, both)).toBe(200);
    const rsaOnly = await offering('RS256');
    expect(await statusOf(es, rsaOnly)).toBe(401);
    expect(await statusOf(rs, rsaOnly)).toBe(200);
    expect(await statusOf(rs, await offering('none', 'HS256'))).toBe(503);
  });

  test('A-J07: an ID token is refused, though the API goes by the name of its client', async () => {
    const a = issuerKey('a');
    const server = await issuerAt('', openid, [a]);
    const ask = await apiFor(discover(server.issuer, { audience: 'client' }));
    const askAnyway = await apiFor(discover(server.issuer, { audience: 'client', idTokens: true }));
    const token = (claims: object) =>
      a.sign(goodClaims({ iss: server.issuer, aud: 'client', ...claims }), { typ: 'JWT' });
    const idTokens = [{ nonce: 'n', auth_time: 1, azp: 'client' }, { at_hash: 'x' }, { c_hash: 'x', scope: 'openid' }];
    for (const claims of idTokens) {
      expect([claims, (await ask(token(claims))).status]).toEqual([claims, 401]);
      expect([claims, (await askAnyway(token(claims))).status]).toEqual([claims, 200]);
    }
    // As Azure AD B2C and Keycloak before version 25 make their access tokens.
    for (const claims of [
      { nonce: 'n', scp: 'read' },
      { nonce: 'n', scope: 'openid', typ: 'Bearer' },
    ]) {
      expect([claims, (await ask(token(claims))).status]).toEqual([claims, 200]);
    }
  });

  test('what the reader says of claims, types and acceptance holds', async () => {
    const a = issuerKey('a');
    const server = await issuerAt('', openid, [a]);
    expect(await statusOf(a, server, { types: ['JWT'] })).toBe(401);
    expect(await statusOf(a, server, { accepts: () => false })).toBe(401);
    expect(await statusOf(a, server, { audience: 'another' })).toBe(401);
    const ask = await apiFor(
      discover(server.issuer, { audience: ['x', 'api'], claims: { scopes: 'scp', roles: ['r', 's'] } }),
    );
    const token = a.sign(goodClaims({ iss: server.issuer, aud: 'api', scp: ['read'], r: { s: ['admin'] } }));
    expect(await (await ask(token)).json()).toMatchObject({ scopes: ['read'], roles: ['admin'] });
  });

  test.each<[string, object]>([
    ['calls itself otherwise', { issuer: 'https://evil.example' }],
    ['does not say what it is called', { issuer: undefined }],
    ['has its keys at plain http elsewhere', { jwks_uri: 'http://keys.example/keys' }],
    ['does not say where its keys are', { jwks_uri: undefined }],
    ['has its keys in a file', { jwks_uri: 'file:///etc/passwd' }],
  ])('an issuer that %s is not believed: 503', async (_how, more) => {
    const a = issuerKey('a');
    const server = await issuerAt('', openid, [a], more);
    expect(await statusOf(a, server)).toBe(503);
    expect(server.asked).not.toContain('/keys');
  });

  test('an issuer elsewhere cannot send us to our own host for its keys: 503', async () => {
    const a = issuerKey('a');
    const server = await issuerAt('', openid, [a], { issuer: 'https://issuer.example' });
    const { fetch } = globalThis;
    // That host is not to be had here.
    vi.stubGlobal('fetch', (url: URL | string, init: RequestInit) => {
      const { host, pathname } = new URL(url);
      return fetch(host === 'issuer.example' ? `${server.url}${pathname}` : url, init);
    });
    onTestFinished(() => void vi.unstubAllGlobals());
    expect(await statusOf(a, { issuer: 'https://issuer.example' })).toBe(503);
    expect(server.asked).toEqual(['/.well-known/openid-configuration']);
  });

  test('all its documents together have five seconds', async () => {
    const a = issuerKey('a');
    const server = await issuerAt('', oauth, [a]);
    const { fault } = server;
    server.fault = (req, res) => void setTimeout(() => fault?.(req, res), 2_000);
    expect(await statusOf(a, server)).toBe(503);
    expect(server.asked).toHaveLength(3);
  });

  test.each<[string, object, slash: string, (url: string) => string]>([
    [
      'calls itself otherwise: with the name to write',
      {},
      '/',
      (url) => `it calls itself "${url}": write exactly that, if you trust it`,
    ],
    ['does not say what it is called', { issuer: undefined }, '', () => 'its metadata name no "issuer"'],
    ['calls itself by no name', { issuer: {} }, '', () => 'its metadata name no "issuer"'],
    ['does not say where its keys are', { jwks_uri: undefined }, '', () => 'its metadata name no "jwks_uri"'],
    ['has them in a file', { jwks_uri: 'file:///keys' }, '', () => 'its "jwks_uri" must begin with https://'],
    [
      'signs by no algorithm of ours',
      { id_token_signing_alg_values_supported: ['HS256'] },
      '',
      () => 'it signs by none of',
    ],
  ])('the developer hears of an issuer that %s', async (_how, more, slash, reason) => {
    const a = issuerKey('a');
    const server = await issuerAt('', openid, [a], more);
    const warnings = hearWarnings(server.url);
    const named = { issuer: `${server.url}${slash}` };
    expect(await statusOf(a, named)).toBe(503);
    await sleep(10);
    expect(warnings).toEqual([
      { code: 'PORTCULLIS_KEYS', message: expect.stringContaining(`the keys of ${named.issuer} cannot be fetched: `) },
    ]);
    expect(warnings[0]?.message).toContain(reason(server.url));
  });

  test('the developer hears at which two places no metadata are', async () => {
    const a = issuerKey('a');
    const server = await issuerAt('/elsewhere', openid, [a]);
    const warnings = hearWarnings(server.url);
    expect(await statusOf(a, { issuer: server.url })).toBe(503);
    await sleep(10);
    expect(warnings.map(({ message }) => message)).toEqual([
      `the keys of ${server.url} cannot be fetched: ${server.url}/.well-known/openid-configuration answered 404, ` +
        `${server.url}/.well-known/oauth-authorization-server answered 404`,
    ]);
  });

  test('T08: made-up names make it read metadata once, not with each fetch of keys', async () => {
    const a = issuerKey('a');
    const server = await issuerAt('', openid, [a]);
    const { keys } = discover(server.issuer, { audience: 'api' });
    for (let i = 0; i < 4; i++) await keys.find({ kid: `made-up-${i}`, alg: 'ES256' });
    expect(server.asked.filter((path) => path === '/keys').length).toBeGreaterThan(2);
    expect(server.asked.filter((path) => path !== '/keys')).toHaveLength(1);
  });

  test('a service starts while its issuer is down, says 503, and heals when it is there', async () => {
    const a = issuerKey('a');
    // Nobody listens there, until later.
    const port = await freePort();
    const issuer = `http://127.0.0.1:${port}`;
    const ask = await apiFor(discover(issuer, { audience: 'api' }));
    const token = a.sign(goodClaims({ iss: issuer, aud: 'api' }));
    const refused = await ask(token);
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1']);

    const server = createServer((req, res) => {
      const metadata = { issuer, jwks_uri: `${issuer}/keys` };
      res.end(JSON.stringify(req.url === '/keys' ? { keys: [a.jwk] } : metadata));
    }).listen(port, '127.0.0.1');
    onTestFinished(() => void server.close());
    onTestFinished(() => server.closeAllConnections());
    while ((await ask(token)).status !== 200) await sleep(50);
  });

  test('keys that move to another place are found there', async () => {
    const [a, b] = [issuerKey('a'), issuerKey('b')];
    const server = await startKeyServer(a);
    onTestFinished(() => server.close());
    let place = '/old';
    server.fault = (req, res) => {
      if (req.url?.startsWith('/.well-known'))
        res.end(JSON.stringify({ issuer: server.url, jwks_uri: server.url + place }));
      else if (req.url === place) res.end(JSON.stringify({ keys: server.keys.map((key) => (key as IssuerKey).jwk) }));
      else res.writeHead(410).end();
    };
    const ask = await apiFor(discover(server.url, { audience: 'api' }));
    const tokenBy = (key: IssuerKey) => key.sign(goodClaims({ iss: server.url, aud: 'api' }));
    expect((await ask(tokenBy(a))).status).toBe(200);
    place = '/new';
    server.keys = [b];
    while ((await ask(tokenBy(b))).status !== 200) await sleep(50);
    expect((await ask(tokenBy(a))).status).toBe(401);
  });

  test('a new key that comes with another algorithm is taken at the first try', async () => {
    const [a, b] = [issuerKey('a'), issuerKey('b', 'EdDSA')];
    const more = { id_token_signing_alg_values_supported: ['ES256'] };
    const server = await issuerAt('', openid, [a], more);
    const ask = await apiFor(discover(server.issuer, { audience: 'api' }));
    const tokenBy = (key: IssuerKey) => key.sign(goodClaims({ iss: server.issuer, aud: 'api' }));
    expect((await ask(tokenBy(a))).status).toBe(200);
    server.keys = [b, a];
    more.id_token_signing_alg_values_supported.unshift('EdDSA');
    expect((await ask(tokenBy(b))).status).toBe(200);
  });

  test('keys that move are found within a minute, though others still stand at the old place', async () => {
    const [a, b] = [issuerKey('a'), issuerKey('b')];
    const server = await issuerAt('', openid, [a]);
    const ask = await apiFor(discover(server.issuer, { audience: 'api' }));
    const tokenBy = (key: IssuerKey) => key.sign(goodClaims({ iss: server.issuer, aud: 'api' }));
    expect((await ask(tokenBy(a))).status).toBe(200);
    const { fault } = server;
    server.fault = (req, res) => {
      if (req.url === '/new') res.end(JSON.stringify({ keys: [b.jwk] }));
      else if (req.url === '/keys') fault?.(req, res);
      else res.end(JSON.stringify({ issuer: server.issuer, jwks_uri: `${server.url}/new` }));
    };
    expect((await ask(tokenBy(b))).status).toBe(401);
    // No test waits for a minute.
    const now = performance.now.bind(performance);
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => now() + 60_000);
    onTestFinished(() => clock.mockRestore());
    expect((await ask(tokenBy(b))).status).toBe(200);
  });

  test.each<[string, unknown, unknown, RegExp]>([
    [
      'no issuer',
      undefined,
      { audience: 'api' },
      /^discover: the issuer must be a URL such as https:\/\/issuer\.example, and is empty: is its environment variable set\?$/,
    ],
    ['an empty issuer', '', { audience: 'api' }, /is its environment variable set/],
    ['no URL', 'issuer.example', { audience: 'api' }, /must be a URL such as https:\/\/issuer\.example$/],
    [
      'where the metadata stand',
      'https://issuer.example/.well-known/openid-configuration',
      { audience: 'api' },
      /^discover: the issuer must end before \/\.well-known, such as https:\/\/issuer\.example$/,
    ],
    [
      'where OAuth has the metadata',
      'https://issuer.example/.well-known/oauth-authorization-server/t',
      { audience: 'api' },
      /must end before/,
    ],
    ['plain http', 'http://issuer.example', { audience: 'api' }, /the issuer must begin with https/],
    ['a query', 'https://issuer.example/?x=1', { audience: 'api' }, /query or a fragment/],
    ['a fragment', 'https://issuer.example/#', { audience: 'api' }, /query or a fragment/],
    ['no options', 'https://issuer.example', undefined, /takes an object/],
    ['no audience', 'https://issuer.example', {}, /"audience" must be given/],
    ['keys', 'https://issuer.example', { audience: 'api', keys: {} }, /unknown option "keys"/],
    ['types that are no list', 'https://issuer.example', { audience: 'api', types: 'JWT' }, /"types" must be a list/],
    ['claims misspelt', 'https://issuer.example', { audience: 'api', claims: { role: 'x' } }, /did you mean "roles"/],
  ])('%s is refused when it is made', (_what, issuer, options, sentence) => {
    const make = () => discover(issuer as string, options as never);
    expect(make).toThrow(TypeError);
    expect(make).toThrow(sentence);
  });
});

describe('several issuers', () => {
  test('T01, T28: keys never cross over, and two issuers with one subject are two users', async () => {
    // Both call their key the same.
    const [a, b] = [issuerKey('k'), issuerKey('k')];
    const [first, second] = [await issuerAt('', openid, [a]), await issuerAt('', openid, [b])];
    const ask = await apiFor(...[first, second].map(({ issuer }) => discover(issuer, { audience: 'api' })));
    const said = async (key: IssuerKey, iss: string) => {
      const response = await ask(key.sign(goodClaims({ iss, aud: 'api', sub: 'ann' })));
      return response.ok ? await response.json() : response.status;
    };
    expect(await said(a, first.issuer)).toMatchObject({ issuer: first.issuer, subject: 'ann' });
    expect(await said(b, second.issuer)).toMatchObject({ issuer: second.issuer, subject: 'ann' });
    expect(await said(a, second.issuer)).toBe(401);
    expect(await said(b, first.issuer)).toBe(401);
  });

  test('one that is down takes nobody else along', async () => {
    const [a, b] = [issuerKey('a'), issuerKey('b')];
    const [up, down] = [await issuerAt('', openid, [a]), await issuerAt('', openid, [b])];
    down.fault = (_req, res) => void res.writeHead(502).end();
    const ask = await apiFor(...[up, down].map(({ issuer }) => discover(issuer, { audience: 'api' })));
    expect((await ask(b.sign(goodClaims({ iss: down.issuer, aud: 'api' })))).status).toBe(503);
    expect((await ask(a.sign(goodClaims({ iss: up.issuer, aud: 'api' })))).status).toBe(200);
    expect((await ask(a.sign(goodClaims({ iss: 'https://third.example', aud: 'api' })))).status).toBe(401);
  });
});
