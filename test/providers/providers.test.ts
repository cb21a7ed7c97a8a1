import { createSecretKey, randomBytes } from 'node:crypto';
import express from 'express';
import {
  type Auth,
  auth0,
  clerk,
  cognito,
  firebase,
  type JwtAuthOptions,
  jwtAuth,
  keycloak,
  kinde,
  supabase,
  type TrustedIssuer,
} from 'portcullis';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { serve } from '../support/http-server.ts';
import { hearWarnings } from '../support/warnings.ts';
import { type IssuerKey, issuerKey, type KeyServer, startKeyServer } from '../token/key-server.ts';
import { makeToken } from '../token/make-token.ts';

// The providers' hosts are not to be had here. Requests for keys go to a server of ours instead; what was asked for is kept.
const rs = issuerKey('rs', 'RS256');
const es = issuerKey('es', 'ES256');
const encryption = { ...issuerKey('enc', 'RS256').jwk, use: 'enc', alg: 'RSA-OAEP' };
let server: KeyServer;
const asked: string[] = [];

beforeAll(async () => {
  server = await startKeyServer(encryption, rs, es);
  const { fetch } = globalThis;
  vi.stubGlobal('fetch', (url: URL, init: RequestInit) => {
    if (url.origin === server.url || url.port !== '') return fetch(url, init);
    asked.push(url.href);
    return fetch(`${server.url}${url.pathname}`, init);
  });
});
beforeEach(() => void asked.splice(0));
afterAll(async () => {
  vi.unstubAllGlobals();
  await server.close();
});

const inList = (issuer: TrustedIssuer): JwtAuthOptions => ({ issuers: [issuer], store: 'none' });
const spread = (issuer: TrustedIssuer): JwtAuthOptions => ({ ...issuer, store: 'none' });

/** What an API behind this issuer makes of a token: who calls, or the status it refuses with. */
async function judge(issuer: TrustedIssuer, token: string, say = inList): Promise<Auth | number> {
  const app = express();
  app.use(jwtAuth(say(issuer)));
  app.get('/', (req, res) => void res.json(req.auth));
  const { url, close } = await serve(app);
  onTestFinished(() => close());
  const response = await fetch(new URL(url), { headers: { Authorization: `Bearer ${token}` } });
  return response.ok ? ((await response.json()) as Auth) : response.status;
}

const now = Math.floor(Date.now() / 1_000);
const times = { iat: now, exp: now + 3_600 };
const jwt = { typ: 'JWT' };

describe('auth0', () => {
  const options = { domain: 'shop.eu.auth0.com', audience: 'https://api.shop.example' };
  const claims = {
    iss: 'https://shop.eu.auth0.com/',
    sub: 'auth0|65a1',
    aud: [options.audience, 'https://shop.eu.auth0.com/userinfo'],
    ...times,
    azp: 'my_client',
    scope: 'openid read:orders',
    permissions: ['write:orders'],
  };

  test('takes its access tokens, in both profiles', async () => {
    const auth = await judge(auth0(options), rs.sign(claims, jwt));
    expect(auth).toMatchObject({
      subject: 'auth0|65a1',
      issuer: claims.iss,
      scopes: ['openid', 'read:orders'],
      roles: [],
    });
    const { azp, ...rest } = claims;
    const profiled = rs.sign({ ...rest, client_id: azp, jti: 'j1' }, { typ: 'at+jwt' });
    expect(await judge(auth0(options), profiled)).toMatchObject({ jti: 'j1' });
    expect(asked[0]).toBe('https://shop.eu.auth0.com/.well-known/jwks.json');
  });

  test('refuses its ID tokens, tokens for another API, and of an issuer without the slash', async () => {
    const idToken = { ...claims, aud: 'my_client', nonce: 'n', scope: undefined };
    expect(await judge(auth0(options), rs.sign(idToken, jwt))).toBe(401);
    // Where somebody took the client for the API, and with as little in it as an ID token can have.
    const { scope: _scope, permissions: _permissions, azp: _azp, ...bare } = { ...claims, aud: 'my_client' };
    const client = auth0({ ...options, audience: 'my_client' });
    for (const more of [{}, { azp: 'my_client' }, { aud: ['my_client'], azp: 'my_client' }, { nonce: 'n', sid: 's' }]) {
      expect(await judge(client, rs.sign({ ...bare, ...more }, jwt))).toBe(401);
    }
    expect(await judge(auth0(options), rs.sign({ ...claims, aud: 'https://other.example' }, jwt))).toBe(401);
    expect(await judge(auth0(options), rs.sign({ ...claims, iss: 'https://shop.eu.auth0.com' }, jwt))).toBe(401);
  });

  test('reads permissions and roles where it is told to', async () => {
    const reading = { claims: { scopes: 'permissions', roles: 'https://shop.example/roles' } };
    const token = rs.sign({ ...claims, 'https://shop.example/roles': ['admin'] }, jwt);
    expect(await judge(auth0({ ...options, ...reading }), token)).toMatchObject({
      scopes: ['write:orders'],
      roles: ['admin'],
    });
  });
});

describe('cognito', () => {
  const options = { region: 'eu-central-1', userPoolId: 'eu-central-1_AbC123', clientId: ['web', 'app'] };
  const claims = {
    sub: 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee',
    'cognito:groups': ['admin'],
    iss: 'https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbC123',
    client_id: 'app',
    origin_jti: 'o',
    event_id: 'e',
    token_use: 'access',
    scope: 'openid api/read',
    auth_time: now - 60,
    ...times,
    jti: 'j1',
    username: 'ann',
  };
  // Its tokens have no typ.
  const untyped = { typ: undefined };

  test('takes its access tokens, which have no aud', async () => {
    expect(await judge(cognito(options), rs.sign(claims, untyped))).toMatchObject({
      subject: claims.sub,
      scopes: ['openid', 'api/read'],
      roles: ['admin'],
      jti: 'j1',
      authenticatedAt: new Date(claims.auth_time * 1_000).toISOString(),
    });
    expect(asked).toEqual([`${claims.iss}/.well-known/jwks.json`]);
  });

  test('refuses its ID tokens, however they are dressed, and tokens of another client or pool', async () => {
    const { client_id: _client, ...rest } = claims;
    const refused = [
      { ...rest, aud: 'app', token_use: 'id' },
      { ...rest, aud: 'app', client_id: 'app', token_use: 'id' },
      { ...rest, aud: 'app' },
      { ...claims, client_id: 'other' },
      { ...claims, token_use: undefined },
      { ...claims, iss: `${claims.iss}X` },
    ];
    for (const each of refused) expect(await judge(cognito(options), rs.sign(each, untyped))).toBe(401);
  });

  test('knows the hosts of China', () => {
    const { issuer } = cognito({ region: 'cn-north-1', userPoolId: 'cn-north-1_x', clientId: 'app' });
    expect(issuer).toBe('https://cognito-idp.cn-north-1.amazonaws.com.cn/cn-north-1_x');
  });
});

describe('clerk', () => {
  const options = { issuer: 'https://clerk.shop.example', authorizedParties: ['https://app.shop.example'] };
  const claims = {
    azp: 'https://app.shop.example',
    iat: now,
    exp: now + 60,
    nbf: now - 10,
    iss: 'https://clerk.shop.example',
    sid: 'sess_1',
    sub: 'user_1',
    fva: [0, -1],
    sts: 'active',
    v: 2,
    o: { id: 'org_1', rol: 'admin', slg: 'shop' },
  };

  test('takes its session tokens, which have neither aud nor jti', async () => {
    const token = rs.sign(claims, jwt);
    const auth = (await judge(clerk(options), token)) as Auth;
    expect(auth).toMatchObject({ subject: 'user_1', roles: ['admin'], scopes: [] });
    expect(auth.jti).toMatch(/^[\w-]{43}$/);
    // Its sid names a session of Clerk's, not a login here.
    expect(auth.sid).toBeUndefined();
    expect(asked).toEqual(['https://clerk.shop.example/.well-known/jwks.json']);
  });

  test('refuses those of another origin or of none, of half a login, and those made from a template', async () => {
    const { azp: _azp, ...nobodys } = claims;
    const { sid: _sid, ...templated } = claims;
    const refused = [
      nobodys,
      templated,
      { ...claims, azp: 'https://evil.shop.example' },
      { ...claims, sts: 'pending' },
    ];
    for (const each of refused) expect(await judge(clerk(options), rs.sign(each, jwt))).toBe(401);
  });

  test('an audience that session tokens were given must be named, and then be there', async () => {
    const forOrders = rs.sign({ ...claims, aud: 'https://orders.example' }, jwt);
    const several = rs.sign({ ...claims, aud: ['https://other.example', 'https://orders.example'] }, jwt);
    expect(await judge(clerk(options), forOrders)).toBe(401);
    const orders = clerk({ ...options, audience: 'https://orders.example' });
    for (const token of [forOrders, several]) expect(await judge(orders, token)).toMatchObject({ subject: 'user_1' });
    const others = ['https://other.example', [], null, undefined];
    for (const aud of others) expect(await judge(orders, rs.sign({ ...claims, aud }, jwt))).toBe(401);
    const nobodys = { ...claims, aud: 'https://orders.example', azp: 'https://evil.shop.example' };
    expect(await judge(orders, rs.sign(nobodys, jwt))).toBe(401);
  });

  test('reads the roles of version 1 where it is told to', async () => {
    const { o: _o, ...rest } = claims;
    const token = rs.sign({ ...rest, org_role: 'org:admin' }, jwt);
    const reading = { claims: { roles: 'org_role' } };
    expect(await judge(clerk({ ...options, ...reading }), token)).toMatchObject({ roles: ['org:admin'] });
  });
});

describe('firebase', () => {
  const claims = {
    iss: 'https://securetoken.google.com/shop-12ab3',
    aud: 'shop-12ab3',
    auth_time: now - 60,
    user_id: 'u1',
    sub: 'u1',
    ...times,
    email: 'ann@shop.example',
    firebase: { identities: {}, sign_in_provider: 'password' },
  };
  const issuer = () => firebase({ projectId: 'shop-12ab3' });

  test('takes its ID tokens, which have no jti', async () => {
    const auth = (await judge(issuer(), rs.sign(claims, jwt))) as Auth;
    expect(auth).toMatchObject({ subject: 'u1', scopes: [], roles: [] });
    expect(auth.jti).toMatch(/^[\w-]{43}$/);
    expect(auth.authenticatedAt).toBe(new Date(claims.auth_time * 1_000).toISOString());
    expect(asked).toEqual([
      'https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com',
    ]);
  });

  test('takes them with claims that tell an ID token elsewhere', async () => {
    expect(await judge(issuer(), rs.sign({ ...claims, nonce: 'n' }, jwt))).toMatchObject({ subject: 'u1' });
  });

  test('refuses those of another project, session cookies, unsigned ones, and those who never logged in', async () => {
    const refused = [
      { ...claims, aud: 'other' },
      { ...claims, iss: 'https://securetoken.google.com/other' },
      { ...claims, iss: 'https://session.firebase.google.com/shop-12ab3' },
      { ...claims, auth_time: now + 3_600 },
      { ...claims, auth_time: undefined },
      { ...claims, sub: '' },
    ];
    for (const each of refused) expect(await judge(issuer(), rs.sign(each, jwt))).toBe(401);
    // As the emulator makes them.
    const unsigned = `${rs.sign(claims, { alg: 'none', kid: undefined }).split('.').slice(0, 2).join('.')}.`;
    expect(await judge(issuer(), unsigned)).toBe(401);
  });
});

describe('supabase', () => {
  const secret = randomBytes(40).toString('base64');
  const options = { projectUrl: 'https://abcdefgh.supabase.co' };
  const claims = {
    iss: 'https://abcdefgh.supabase.co/auth/v1',
    aud: 'authenticated',
    sub: '123e4567-e89b-12d3-a456-426614174000',
    ...times,
    role: 'authenticated',
    aal: 'aal1',
    session_id: 's1',
    email: 'ann@shop.example',
    is_anonymous: false,
    app_metadata: { provider: 'email' },
    user_metadata: { roles: ['admin'] },
  };
  const legacy = (payload: object, key = secret) =>
    makeToken('HS256', createSecretKey(key, 'utf8'), { alg: 'HS256', kid: 'Zm9v', ...jwt }, payload);

  test('takes tokens of its signing keys', async () => {
    expect(await judge(supabase(options), es.sign(claims, jwt))).toMatchObject({
      subject: claims.sub,
      roles: ['authenticated'],
    });
    expect(asked).toEqual(['https://abcdefgh.supabase.co/auth/v1/.well-known/jwks.json']);
  });

  test('with the legacy secret it takes both kinds, and without it only the new', async () => {
    const both = supabase({ ...options, secret });
    expect(await judge(both, legacy(claims))).toMatchObject({ subject: claims.sub });
    expect(asked).toEqual([]);
    expect(await judge(both, es.sign(claims, jwt))).toMatchObject({ subject: claims.sub });
    expect(await judge(supabase(options), legacy(claims))).toBe(401);
    expect(await judge(both, legacy(claims, randomBytes(40).toString('base64')))).toBe(401);
  });

  test('T03: its public key is no secret', async () => {
    const text = JSON.stringify(es.jwk);
    expect(await judge(supabase({ ...options, secret }), legacy(claims, text))).toBe(401);
  });

  test('refuses the keys `anon` and `service_role`, and what is not for users', async () => {
    const apiKey = { iss: 'supabase', ref: 'abcdefgh', role: 'service_role', ...times };
    for (const each of [apiKey, { ...claims, aud: 'anon' }, { ...claims, sub: undefined }]) {
      expect(await judge(supabase({ ...options, secret }), legacy(each))).toBe(401);
    }
  });

  test('a weak secret is refused when it is made', () => {
    expect(() => supabase({ ...options, secret: 'short' })).toThrow(/^supabase: .*at least 32 bytes/);
    expect(() => supabase({ ...options, secret: '' })).toThrow(/environment variable/);
  });
});

describe('kinde', () => {
  const options = { domain: 'shop.kinde.com', audience: 'https://api.shop.example' };
  const claims = {
    aud: ['https://api.shop.example'],
    azp: 'client',
    ...times,
    iss: 'https://shop.kinde.com',
    jti: 'j1',
    org_code: 'org_1',
    permissions: ['read:orders'],
    roles: ['admin'],
    scp: ['openid', 'profile'],
    sub: 'kp_1',
  };

  test('takes its access tokens', async () => {
    expect(await judge(kinde(options), rs.sign(claims, jwt))).toMatchObject({
      subject: 'kp_1',
      scopes: ['openid', 'profile'],
      roles: ['admin'],
    });
    expect(asked).toEqual(['https://shop.kinde.com/.well-known/jwks']);
  });

  test('reads roles that are objects where it is told to', async () => {
    const roles = [{ id: '0193', key: 'admin', name: 'Administrator' }];
    const token = rs.sign({ ...claims, roles }, jwt);
    expect(await judge(kinde({ ...options, claims: { roles: ['roles', 'key'] } }), token)).toMatchObject({
      roles: ['admin'],
    });
    expect(await judge(kinde(options), token)).toMatchObject({ roles: [] });
  });

  test('refuses its ID tokens, whatever their audience, and tokens for no API', async () => {
    const { scp: _scp, ...idToken } = claims;
    for (const each of [idToken, { ...claims, aud: [] }, { ...claims, aud: ['https://shop.kinde.com'] }]) {
      expect(await judge(kinde(options), rs.sign(each, jwt))).toBe(401);
    }
  });
});

describe('keycloak', () => {
  const options = { baseUrl: 'https://id.shop.example/', realm: 'shop', audience: 'orders' };
  const claims = {
    ...times,
    auth_time: now - 60,
    jti: 'onrtac:1',
    iss: 'https://id.shop.example/realms/shop',
    aud: ['orders', 'account'],
    sub: 'f:1:ann',
    typ: 'Bearer',
    azp: 'web',
    sid: 'keycloak-session',
    realm_access: { roles: ['admin', 'offline_access'] },
    resource_access: { orders: { roles: ['clerk'] } },
    scope: 'openid email',
  };

  test('takes its access tokens, and passes over its encryption key', async () => {
    expect(await judge(keycloak(options), rs.sign(claims, jwt))).toMatchObject({
      subject: 'f:1:ann',
      roles: ['admin', 'offline_access'],
      scopes: ['openid', 'email'],
    });
    expect(asked).toEqual(['https://id.shop.example/realms/shop/protocol/openid-connect/certs']);
    const forged = { ...issuerKey('enc', 'RS256'), kid: 'enc' };
    expect(await judge(keycloak(options), forged.sign(claims, jwt))).toBe(401);
  });

  test('takes the access tokens of versions before 25, which hold the nonce of the login', async () => {
    expect(await judge(keycloak(options), rs.sign({ ...claims, nonce: 'n' }, jwt))).toMatchObject({
      subject: 'f:1:ann',
    });
  });

  test('refuses ID, refresh and logout tokens, and tokens that no mapper meant for this API', async () => {
    const refused = [
      { ...claims, typ: 'ID' },
      { ...claims, typ: 'Refresh' },
      { ...claims, typ: 'Logout' },
      { ...claims, typ: undefined },
      { ...claims, aud: 'account' },
      { ...claims, iss: 'https://id.shop.example/realms/other' },
    ];
    for (const each of refused) expect(await judge(keycloak(options), rs.sign(each, jwt))).toBe(401);
  });

  test("reads a client's roles where it is told to", async () => {
    const reading = { claims: { roles: ['resource_access', 'orders', 'roles'] } };
    expect(await judge(keycloak({ ...options, ...reading }), rs.sign(claims, jwt))).toMatchObject({
      roles: ['clerk'],
      scopes: ['openid', 'email'],
    });
  });

  test('takes an old base with /auth', () => {
    const { issuer } = keycloak({ ...options, baseUrl: 'https://id.shop.example/auth' });
    expect(issuer).toBe('https://id.shop.example/auth/realms/shop');
  });
});

describe('every preset', () => {
  const made: Readonly<Record<string, (reading?: object) => TrustedIssuer>> = {
    auth0: (reading) => auth0({ domain: 'shop.auth0.com', audience: 'api', ...reading }),
    cognito: (reading) => cognito({ region: 'eu-west-1', userPoolId: 'eu-west-1_x', clientId: 'app', ...reading }),
    clerk: (reading) => clerk({ issuer: 'https://c.example', authorizedParties: ['https://a.example'], ...reading }),
    firebase: (reading) => firebase({ projectId: 'shop', ...reading }),
    supabase: (reading) => supabase({ projectUrl: 'https://x.supabase.co', ...reading }),
    kinde: (reading) => kinde({ domain: 'shop.kinde.com', audience: 'api', ...reading }),
    keycloak: (reading) => keycloak({ baseUrl: 'https://k.example', realm: 'r', audience: 'api', ...reading }),
  };
  const good: Readonly<Record<string, object>> = {
    auth0: { iss: 'https://shop.auth0.com/', aud: 'api', azp: 'app' },
    cognito: { iss: 'https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_x', client_id: 'app', token_use: 'access' },
    clerk: { iss: 'https://c.example', azp: 'https://a.example', sid: 'sess_1' },
    firebase: { iss: 'https://securetoken.google.com/shop', aud: 'shop', auth_time: now },
    supabase: { iss: 'https://x.supabase.co/auth/v1', aud: 'authenticated', role: 'authenticated' },
    kinde: { iss: 'https://shop.kinde.com', aud: ['api'], scp: [] },
    keycloak: { iss: 'https://k.example/realms/r', aud: 'api', typ: 'Bearer' },
  };
  const names = Object.keys(made);
  const keyOf = (name: string): IssuerKey => (name === 'supabase' ? es : rs);
  const tokenOf = (name: string, more: object = {}) =>
    keyOf(name).sign({ sub: 'ann', ...times, ...good[name], ...more }, jwt);

  test.each(names)("%s: a user's own accepts runs after the preset's, never instead", async (name) => {
    const make = made[name] as (reading?: object) => TrustedIssuer;
    const seen: unknown[] = [];
    const accepts = (claims: { tenant?: unknown }) => {
      seen.push(claims.tenant);
      return claims.tenant === 7;
    };
    expect(await judge(make({ accepts }), tokenOf(name, { tenant: 7 }))).toMatchObject({ subject: 'ann' });
    expect(await judge(make({ accepts }), tokenOf(name, { tenant: 8 }))).toBe(401);
    expect(seen).toContain(8);
    expect(await judge(make({ accepts: () => 'yes' }), tokenOf(name))).toBe(401);
  });

  const traps: [string, object][] = [
    ['auth0', { azp: 'api' }],
    ['cognito', { token_use: 'id' }],
    ['clerk', { sts: 'pending' }],
    ['firebase', { auth_time: undefined }],
    ['kinde', { scp: undefined }],
    ['keycloak', { typ: 'ID' }],
  ];
  test.each(traps)("%s: neither a user's own accepts nor idTokens opens the provider's trap", async (name, trap) => {
    const make = made[name] as (reading?: object) => TrustedIssuer;
    expect(await judge(make({ accepts: () => true, idTokens: true }), tokenOf(name, trap))).toBe(401);
    expect(await judge(make({ accepts: () => true }), tokenOf(name))).toMatchObject({ subject: 'ann' });
  });

  test.each(traps)(
    "%s: an accepts written beside a spread preset does not take the place of the provider's own",
    async (name, trap) => {
      const make = made[name] as (reading?: object) => TrustedIssuer;
      const beside = { ...make(), accepts: ({ tenant }: { tenant?: unknown }) => tenant === 7 };
      for (const say of [inList, spread]) {
        expect(await judge(beside, tokenOf(name, { tenant: 7, ...trap }), say)).toBe(401);
        expect(await judge(beside, tokenOf(name, { tenant: 8 }), say)).toBe(401);
        expect(await judge(beside, tokenOf(name, { tenant: 7 }), say)).toMatchObject({ subject: 'ann' });
        const { issuer, audience, keys, claims, accepts } = make() as Required<TrustedIssuer>;
        // Copied one by one, and what a program forgot counts as not there.
        const copied = { issuer, audience, keys, claims, accepts };
        expect(await judge(copied, tokenOf(name, trap), say)).toBe(401);
        expect(await judge({ ...make(), accepts: undefined } as never, tokenOf(name, trap), say)).toBe(401);
      }
    },
  );

  test.each(['cognito', 'clerk', 'kinde', 'keycloak'])(
    '%s: claims written beside a spread preset take its own away, and open nothing',
    async (name) => {
      const make = made[name] as (reading?: object) => TrustedIssuer;
      const beside = { ...make(), claims: {} };
      const token = tokenOf(name, { scp: ['read'], realm_access: { roles: ['admin'] }, roles: ['admin'] });
      const audienceElsewhere = name === 'cognito' || name === 'clerk';
      for (const say of [inList, spread]) {
        const verdict = await judge(beside, token, say);
        if (audienceElsewhere) expect(verdict).toBe(401);
        else expect(verdict).toMatchObject({ scopes: [], roles: [] });
      }
    },
  );

  test('an accepts that is async refuses, fails harmlessly, and its writer hears of it', async () => {
    const warnings = hearWarnings('https://k.example/realms/r');
    const accepts = (async () => Promise.reject(new Error('no database'))) as never;
    const make = made.keycloak as (reading?: object) => TrustedIssuer;
    expect(await judge(make({ accepts }), tokenOf('keycloak'))).toBe(401);
    await new Promise(setImmediate);
    expect(warnings.map(({ code }) => code)).toContain('PORTCULLIS_ACCEPTS');
  });

  test.each(names)('%s: types and claims override', async (name) => {
    const make = made[name] as (reading?: object) => TrustedIssuer;
    expect(await judge(make({ types: ['at+jwt'] }), tokenOf(name))).toBe(401);
    const reading = { claims: { scopes: 'my_scopes', roles: ['my', 'roles'] } };
    const token = tokenOf(name, { my_scopes: 'a b', my: { roles: ['r'] } });
    expect(await judge(make(reading), token)).toMatchObject({ scopes: ['a', 'b'], roles: ['r'] });
  });

  test.each(names)('A-J07: %s takes what looks like an ID token only where it is told to', async (name) => {
    const make = made[name] as (reading?: object) => TrustedIssuer;
    const idToken = tokenOf(name, { nonce: 'n', at_hash: 'x' });
    expect(await judge(make({ idTokens: false }), idToken)).toBe(401);
    expect(await judge(make({ idTokens: true }), idToken)).toMatchObject({ subject: 'ann' });
  });

  test.each(names)('%s: tokens of every other provider are refused', async (name) => {
    const make = made[name] as (reading?: object) => TrustedIssuer;
    for (const other of names.filter((each) => each !== name)) expect(await judge(make(), tokenOf(other))).toBe(401);
  });

  test('all of them stand side by side', async () => {
    const app = express();
    app.use(jwtAuth({ issuers: names.map((name) => (made[name] as () => TrustedIssuer)()), store: 'none' }));
    app.get('/', (req, res) => void res.json(req.auth));
    const { url, close } = await serve(app);
    onTestFinished(() => close());
    for (const name of names) {
      const response = await fetch(new URL(url), { headers: { Authorization: `Bearer ${tokenOf(name)}` } });
      expect([name, response.status]).toEqual([name, 200]);
    }
  });

  test.each<[string, () => unknown, RegExp]>([
    [
      'a domain with https://',
      () => auth0({ domain: 'https://x.auth0.com', audience: 'api' }),
      /^auth0: "domain" must be the domain alone/,
    ],
    [
      'an audience that is none',
      () => clerk({ issuer: 'https://c.example', authorizedParties: ['x'], audience: '' }),
      /^clerk: "audience" must be given/,
    ],
    ['no audience', () => auth0({ domain: 'x.auth0.com' } as never), /^auth0: "audience" must be given/],
    ['a region that is none', () => cognito({ region: 'a.b/', userPoolId: 'x', clientId: 'y' }), /"region" must be/],
    ['a pool that is none', () => cognito({ region: 'eu-west-1', userPoolId: '../x', clientId: 'y' }), /"userPoolId"/],
    [
      'no client',
      () => cognito({ region: 'eu-west-1', userPoolId: 'x' } as never),
      /^cognito: "clientId" must be given/,
    ],
    [
      'no parties',
      () => clerk({ issuer: 'https://c.example', authorizedParties: [] }),
      /"authorizedParties" must list/,
    ],
    [
      'an issuer that is no URL',
      () => clerk({ issuer: 'c', authorizedParties: ['x'] }),
      /^clerk: "issuer" must be a URL/,
    ],
    ['a project with a slash', () => firebase({ projectId: 'a/b' }), /^firebase: "projectId" must be/],
    [
      'no project',
      () => supabase({} as never),
      /^supabase: "projectUrl" must be a URL such as https:\/\/abcdefgh\.supabase\.co, and is empty: is its environment/,
    ],
    [
      'no base',
      () => keycloak({ baseUrl: '', realm: 'r', audience: 'a' }),
      /^keycloak: "baseUrl" must be a URL such as https:\/\/id\.example\.com, and is empty: is its environment/,
    ],
    [
      'no issuer',
      () => clerk({ issuer: undefined as never, authorizedParties: ['x'] }),
      /^clerk: "issuer" must be a URL such as https:\/\/clerk\.your-site\.com, and is empty: is its environment/,
    ],
    [
      'no domain',
      () => kinde({ domain: undefined as never, audience: 'a' }),
      /^kinde: "domain" must be the domain alone, such as 'tenant.example.com', and is empty: is its environment variable set\?$/,
    ],
    [
      'where the metadata stand',
      () => clerk({ issuer: 'https://c.example/.well-known/openid-configuration', authorizedParties: ['x'] }),
      /^clerk: "issuer" must end before \/\.well-known, such as https:\/\/clerk\.your-site\.com$/,
    ],
    [
      'plain http',
      () => keycloak({ baseUrl: 'http://k.example', realm: 'r', audience: 'a' }),
      /"baseUrl" must begin with https/,
    ],
    [
      'a misspelt option',
      () => kinde({ domain: 'x.kinde.com', audience: 'a', domian: 'x' } as never),
      /did you mean "domain"/,
    ],
    [
      'claims that are none',
      () => firebase({ projectId: 'a', claims: { roles: 7 as never } }),
      /^firebase: "claims": "roles"/,
    ],
  ])('%s is refused when it is made', (_what, make, sentence) => {
    expect(make).toThrow(TypeError);
    expect(make).toThrow(sentence);
  });
});
