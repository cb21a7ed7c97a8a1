import { hybridAuth, jwtAuth, localKeys, memoryStore, tokenIssuer } from 'portcullis';
import { afterEach, expect, test } from 'vitest';
import {
  ACCESS,
  AUDIENCE,
  bearer,
  claimsOf,
  type HybridApp,
  hybridApp,
  ISSUER,
  logIn,
  SECRET,
  signingKey,
} from './app.ts';

const opened: HybridApp[] = [];
afterEach(async () => {
  for (const { server } of opened.splice(0)) await server.close();
});

async function open(options: Partial<Parameters<typeof hybridApp>[0]> = {}): Promise<HybridApp> {
  const app = await hybridApp({ store: memoryStore(), ...options });
  opened.push(app);
  return app;
}

test('K10: keys are rotated under load, without one 401', async () => {
  let kept = signingKey('k0');
  const keys = localKeys([kept]);
  const app = await open({ keys, transport: 'body' });
  const statuses: number[] = [];
  const kids = new Set<string>();
  let done = false;
  const work = async () => {
    const client = app.browser();
    let tokens = await logIn(client);
    while (!done) {
      statuses.push((await client.get('/me', bearer(tokens.access_token))).status);
      const answer = await client.post('/auth/refresh', { refresh_token: tokens.refresh_token });
      statuses.push(answer.status);
      tokens = answer.json;
      kids.add(JSON.parse(Buffer.from(tokens.access_token.split('.')[0], 'base64url').toString()).kid);
    }
  };
  const workers = Array.from({ length: 8 }, work);
  for (let n = 1; n <= 10; n++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    const next = signingKey(`k${n}`);
    keys.replace([next, kept]);
    kept = next;
  }
  done = true;
  await Promise.all(workers);
  expect(new Set(statuses)).toEqual(new Set([200]));
  expect(statuses.length).toBeGreaterThan(100);
  expect(kids.size).toBeGreaterThan(5);
});

test('K11: a key that was taken back ends its tokens at once, and signing with it throws until another is put in its place', async () => {
  const store = memoryStore();
  const keys = localKeys([signingKey('leaked')]);
  const app = await open({ store, keys });
  const issue = tokenIssuer({ keys, issuer: ISSUER, audience: AUDIENCE, lifetime: '5m', store });
  const jwt = jwtAuth({ store, keys, issuer: ISSUER, audience: AUDIENCE });
  const asked = (token: string) => ({ headers: { authorization: `Bearer ${token}` }, rawHeaders: [] }) as never;
  const client = app.browser();
  await logIn(client);
  const service = issue({ subject: 'service' });
  const access = client.jar.get(ACCESS) as string;
  await expect(jwt.authenticate(asked(service))).resolves.toMatchObject({ subject: 'service' });

  await store.revokeKey({ issuer: ISSUER, kid: 'leaked' });
  for (const token of [service, access]) {
    await expect(jwt.authenticate(asked(token))).rejects.toMatchObject({ reason: 'revoked' });
  }
  expect((await client.get('/me', bearer(access))).status).toBe(401);
  expect(() => issue({ subject: 'service' })).toThrow(/^tokenIssuer: the signing key "leaked" was revoked: .*replace/);
  const refused = await app.browser().post('/login', {});
  expect(refused.status).toBe(500);
  expect(String(app.errors.at(-1))).toMatch(/hybridAuth: the signing key "leaked" was revoked/);
  expect(await store.logins('ann')).toHaveLength(1);

  keys.replace([signingKey('fresh')]);
  // The login itself is untouched: its refresh token brings a token of the new key.
  client.jar.set(ACCESS, access);
  expect((await client.get('/me')).status).toBe(200);
  expect(client.jar.get(ACCESS)).not.toBe(access);
  expect(issue({ subject: 'service' })).toEqual(expect.any(String));
});

test('A-J09: claims given to login override none of our own', async () => {
  const app = await open({ transport: 'body' });
  const client = app.browser();
  for (const name of [
    'iss',
    'sub',
    'aud',
    'exp',
    'iat',
    'nbf',
    'jti',
    'sid',
    'gen',
    'lat',
    'scope',
    'roles',
    'auth_time',
  ]) {
    expect((await client.post('/login', { claims: { [name]: 1 } })).status).toBe(500);
    expect(String(app.errors.at(-1))).toContain(`must not hold ${name}`);
  }
  const { access_token } = await logIn(client, { claims: { tenant: 'acme' } });
  expect(claimsOf(access_token).tenant).toBe('acme');
});

const good = {
  store: memoryStore(),
  keys: localKeys([signingKey()]),
  issuer: ISSUER,
  audience: AUDIENCE,
  secret: SECRET,
  transport: 'cookie',
} as const;

test.each([
  ['no options', undefined, 'takes an object'],
  ['a request: passed on uncalled', { headers: {}, method: 'GET', url: '/' }, 'call it: app.use(hybridAuth('],
  ['an unknown option', { ...good, audiance: 'x' }, 'did you mean "audience"'],
  ['no store', { ...good, store: undefined }, '"store" must be redisStore(client) or memoryStore()'],
  ['no keys', { ...good, keys: undefined }, '"keys" must come from localKeys'],
  ['no issuer', { ...good, issuer: '' }, '"issuer" must be given'],
  ['no audience', { ...good, audience: undefined }, '"audience" must be given'],
  ['no secret', { ...good, secret: undefined }, '"secret" must be given'],
  ['a short secret', { ...good, secret: 'short' }, 'at least 32 bytes'],
  ['no transport', { ...good, transport: undefined }, `"transport" must be 'cookie' or 'body'`],
  ['an access token too long', { ...good, access: '61m' }, `"access" must be at most '1h'`],
  ['a number for a duration', { ...good, access: 600 }, '"access" must be a duration'],
  ['a grace too long', { ...good, grace: '61s' }, `"grace" must be at most '60s'`],
  ['a renew that is none', { ...good, renew: true }, '"renew" must be a function'],
  ['an audit that is none', { ...good, audit: {} }, '"audit" must be a function'],
  ['maxLogins of none', { ...good, maxLogins: 0 }, '"maxLogins" must be a whole number'],
  ['a cookie without cookies', { ...good, transport: 'body', cookie: {} }, `"cookie" is for transport 'cookie'`],
  ['a prefix the settings break', { ...good, cookie: { name: '__Host-x', domain: 'a.example' } }, 'promises'],
  ['a trusted origin that is none', { ...good, trustedOrigins: ['app.example'] }, 'which is no origin'],
])('a mistake is a sentence: %s', (_what, options, sentence) => {
  let complaint: unknown;
  try {
    hybridAuth(options as never);
  } catch (error) {
    complaint = error;
  }
  expect(complaint).toBeInstanceOf(TypeError);
  expect(String(complaint)).toMatch(/^TypeError: hybridAuth: /);
  expect(String(complaint)).toContain(sentence);
});

test('the stem of the cookies’ names can be chosen, and they go without prefix where the settings forbid one', async () => {
  const app = await open({
    cookie: { name: 'shop', secure: false, sameSite: 'strict', path: '/app', domain: 'shop.example' },
  });
  const { cookies } = await app.browser().post('/login', {}, { 'x-forwarded-proto': 'http' });
  for (const kind of ['access', 'refresh']) {
    expect(cookies.find((line) => line.startsWith(`shop-${kind}=`))).toMatch(
      /; Path=\/app; Domain=shop.example; HttpOnly; SameSite=Strict$/,
    );
  }
  const plain = await open({ cookie: { secure: false } });
  const { cookies: lines } = await plain.browser().post('/login', {}, { 'x-forwarded-proto': 'http' });
  expect(lines.map((line) => line.split('=')[0]).sort()).toEqual(['access', 'refresh']);
});
