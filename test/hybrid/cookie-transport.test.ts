import { setTimeout as sleep } from 'node:timers/promises';
import { memoryStore } from 'portcullis';
import { afterEach, describe, expect, test } from 'vitest';
import { ACCESS, claimsOf, type HybridApp, type HybridAppOptions, hybridApp, logIn, REFRESH } from './app.ts';
import { everyStore } from './stores.ts';

const opened: HybridApp[] = [];
afterEach(async () => {
  for (const app of opened.splice(0)) {
    await app.server.close();
    await app.options.store.close();
  }
});

describe.each(everyStore())('with cookies, in %s,', (_name, makeStore) => {
  const open = async (options: Partial<HybridAppOptions> = {}) => {
    const app = await hybridApp({ store: await makeStore(), ...options });
    opened.push(app);
    return app;
  };

  test('H21, C01: login sets two HttpOnly cookies with prefix, and puts no token into the body', async () => {
    const app = await open();
    const client = app.browser();
    const { status, json, headers, cookies } = await client.post('/login', { scopes: ['read', 'write'] });
    expect(status).toBe(200);
    expect(json).toEqual({ token_type: 'Bearer', expires_in: 600, scope: 'read write' });
    expect(headers['cache-control']).toBe('no-store');
    expect(cookies).toHaveLength(2);
    for (const line of cookies) {
      expect(line).toMatch(
        /^__Host-(access|refresh)=[^;]+; Max-Age=\d+; Expires=[^;]+; Path=\/; HttpOnly; Secure; SameSite=Lax$/,
      );
    }
    expect(cookies.find((line) => line.startsWith(ACCESS))).toContain('Max-Age=600;');
    expect(cookies.find((line) => line.startsWith(REFRESH))).toContain(`Max-Age=${14 * 86_400};`);
    expect((await client.get('/me')).json).toMatchObject({ mode: 'hybrid', subject: 'ann', scopes: ['read', 'write'] });
    expect(await app.heard('login')).toMatchObject([{ mode: 'hybrid', subject: 'ann', sid: expect.any(String) }]);
  });

  test('a login not to be remembered has cookies that end with the browser, also after renewal', async () => {
    const app = await open();
    const client = app.browser();
    const login = await client.post('/login', { remember: false });
    const refreshed = await client.post('/auth/refresh');
    for (const { cookies } of [login, refreshed]) {
      expect(cookies).toHaveLength(2);
      for (const line of cookies) expect(line).not.toMatch(/Max-Age|Expires/);
    }
  });

  test('nobody is known without cookies, and WWW-Authenticate names no error', async () => {
    const app = await open();
    const { status, json, headers } = await app.browser().get('/me');
    expect(status).toBe(401);
    expect(headers['www-authenticate']).toBe('Bearer');
    expect(json).toEqual({ error: 'unauthenticated', error_description: 'authentication is required' });
    expect((await app.browser().get('/maybe')).json).toEqual({ subject: null });
  });

  test('while most of its life is ahead, an access cookie is left alone', async () => {
    const app = await open();
    const client = app.browser();
    await logIn(client);
    expect((await client.get('/me')).cookies).toEqual([]);
    expect(await app.heard('refresh')).toEqual([]);
  });

  test('when four fifths of its life are over, the access cookie is renewed in line', async () => {
    const app = await open({ access: '2s' });
    const client = app.browser();
    await logIn(client);
    const before = client.jar.get(ACCESS);
    await sleep(1_700);
    const { status, cookies, headers, json } = await client.get('/me');
    expect(status).toBe(200);
    expect(cookies).toHaveLength(2);
    expect(headers['cache-control']).toBe('no-store');
    expect(client.jar.get(ACCESS)).not.toBe(before);
    // The request itself already speaks by the new token.
    expect(json.jti).toBe(claimsOf(client.jar.get(ACCESS) as string).jti);
    expect(await app.heard('refresh')).toHaveLength(1);
  });

  test('a request that is stuck with old cookies logs nobody out while its access token is good', async () => {
    const app = await open({ access: '3s', grace: '0ms' });
    const client = app.browser();
    await logIn(client);
    const stuck = client.copy();
    for (const _ of [1, 2]) {
      await client.post('/auth/refresh');
      expect((await client.get('/me')).status).toBe(200);
    }
    await sleep(2_500);
    // Near its end, with a refresh token that is two behind: hard, this would be reuse.
    const answer = await stuck.get('/me');
    expect(answer).toMatchObject({ status: 200, cookies: [] });
    expect((await client.get('/me')).status).toBe(200);
    expect(await app.heard('refresh_reused', 'refused')).toEqual([]);
  });

  test('when the access cookie is over, the refresh cookie brings a new one', async () => {
    const app = await open();
    const client = app.browser();
    await logIn(client);
    client.jar.delete(ACCESS);
    const { status, cookies, json } = await client.get('/me');
    expect(status).toBe(200);
    expect(cookies).toHaveLength(2);
    expect(json.jti).toBe(claimsOf(client.jar.get(ACCESS) as string).jti);
  });

  test('also where nobody need be known, and where the access cookie is junk', async () => {
    const app = await open();
    const client = app.browser();
    await logIn(client);
    client.jar.set(ACCESS, 'junk');
    expect(await client.get('/maybe')).toMatchObject({ status: 200, json: { subject: 'ann' } });
    expect((await client.get('/me')).cookies).toEqual([]);
  });

  test('A-H04, A-H05: a page that loads 20 things at once with a cookie that is over gets them all, and one successor', async () => {
    const app = await open();
    const client = app.browser();
    await logIn(client);
    client.jar.delete(ACCESS);
    const tabs = Array.from({ length: 20 }, () => client.copy());
    const answers = await Promise.all(tabs.map((tab) => tab.get('/me')));
    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200));
    expect(new Set(tabs.map(({ jar }) => jar.get(REFRESH))).size).toBe(1);
    expect(await app.heard('refresh_reused', 'refused')).toEqual([]);
    for (const tab of tabs) expect((await tab.get('/me')).status).toBe(200);
  });

  test('A-H05: whoever loses a race is refused without a cookie being cleared', async () => {
    const app = await open({ grace: '0ms' });
    const client = app.browser();
    await logIn(client);
    const loser = client.copy();
    for (const _ of [1, 2]) {
      await client.post('/auth/refresh');
      await client.get('/me');
    }
    loser.jar.delete(ACCESS);
    for (const lost of [await loser.get('/me'), await loser.post('/auth/refresh')]) {
      expect(lost.status).toBeGreaterThanOrEqual(400);
      expect(lost.cookies).toEqual([]);
    }
  });

  test('H01: in line, a spent refresh cookie is reuse once its access cookie is over', async () => {
    const app = await open({ grace: '0ms' });
    const thief = app.browser();
    await logIn(thief);
    const victim = thief.copy();
    for (const _ of [1, 2]) {
      await thief.post('/auth/refresh');
      await thief.get('/me');
    }
    victim.jar.delete(ACCESS);
    const { status, json, headers } = await victim.get('/me');
    expect(status).toBe(401);
    expect(json).toEqual({ error: 'invalid_token', error_description: 'the token is not valid' });
    expect(headers['www-authenticate']).toContain('error="invalid_token"');
    expect(await app.heard('refresh_reused')).toHaveLength(1);
    expect((await thief.get('/me')).status).toBe(401);
    expect((await thief.post('/auth/refresh')).json.error).toBe('invalid_grant');
  });

  test('C08: junk, and a stranger’s ended login under the same names, lock nobody out', async () => {
    const app = await open();
    const [client, stranger] = [app.browser(), app.browser()];
    await logIn(stranger, { subject: 'mallory' });
    const tossed = `${ACCESS}=junk; ${ACCESS}=${stranger.jar.get(ACCESS)}; ${REFRESH}=junk; ${REFRESH}=${stranger.jar.get(REFRESH)}`;
    await stranger.post('/auth/logout');
    await logIn(client);
    const own = `${ACCESS}=${client.jar.get(ACCESS)}; ${REFRESH}=${client.jar.get(REFRESH)}`;
    const answer = await app.browser().get('/me', { headers: { cookie: `${tossed}; ${own}` } });
    expect(answer).toMatchObject({ status: 200, json: { subject: 'ann' } });
    const onlyRefresh = `${REFRESH}=junk; ${tossed.split('; ')[3]}; ${REFRESH}=${client.jar.get(REFRESH)}`;
    const renewed = await app.browser().get('/me', { headers: { cookie: onlyRefresh } });
    expect(renewed).toMatchObject({ status: 200, json: { subject: 'ann' } });
  });

  test('X01, X07: a cross-site write is refused, by whatever route, and a read is not', async () => {
    const app = await open();
    const client = app.browser();
    await logIn(client);
    const foreign = { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' };
    for (const path of ['/me', '/auth/logout', '/auth/refresh', '/login']) {
      const { status, json, cookies } = await client.post(path, {}, foreign);
      expect([path, status, json.error]).toEqual([path, 403, 'cross_site_request']);
      expect(cookies).toEqual([]);
    }
    const remove = await client.send('DELETE', '/auth/logins/x', { headers: foreign });
    expect(remove).toMatchObject({ status: 403, json: { error: 'cross_site_request' } });
    expect((await client.get('/me', { headers: foreign })).status).toBe(200);
    expect(await app.heard('refused')).toHaveLength(5);
    const noCookies = await app.browser().post('/login', {}, foreign);
    expect(noCookies.status).toBe(403);
  });

  test('X10: a bearer is not asked where it comes from, whatever cookies are with it', async () => {
    const app = await open({ access: '1h' });
    const client = app.browser();
    await logIn(client);
    const token = client.jar.get(ACCESS) as string;
    const answer = await client.post('/act', {}, { authorization: `Bearer ${token}`, 'sec-fetch-site': 'cross-site' });
    expect(answer.status).toBe(200);
  });

  test('X02: what comes from a trusted origin is let through', async () => {
    const app = await open({ trustedOrigins: ['https://shop.example'] });
    const client = app.browser();
    const trusted = { 'sec-fetch-site': 'cross-site', origin: 'https://shop.example' };
    expect((await client.post('/login', {}, trusted)).status).toBe(200);
    expect((await client.post('/act', {}, trusted)).status).toBe(200);
  });

  test('C11: over plain http the login fails loudly, and nothing is stored', async () => {
    const app = await open();
    const { status, json, cookies } = await app.browser().post('/login', {}, { 'x-forwarded-proto': 'http' });
    expect(status).toBe(500);
    expect(json).toMatchObject({ error: 'insecure_cookie', error_description: expect.stringContaining('trust proxy') });
    expect(cookies).toEqual([]);
    expect(await app.options.store.logins('ann')).toEqual([]);
  });

  test('logging in again ends the login before, also by an access cookie that is over', async () => {
    const app = await open();
    const client = app.browser();
    await logIn(client);
    const old = client.copy();
    client.jar.delete(ACCESS);
    await logIn(client);
    expect((await old.get('/me')).status).toBe(401);
    expect((await client.get('/me')).status).toBe(200);
    expect(await app.options.store.logins('ann')).toHaveLength(1);
  });

  test('claims that do not fit into a cookie are a developer’s mistake, and leave no login behind', async () => {
    const app = await open();
    for (let length = 2_650; length < 2_850; length += 10) {
      const { status, cookies } = await app
        .browser()
        .post('/login', { subject: 'big', claims: { text: 'x'.repeat(length) } });
      expect([200, 500]).toContain(status);
      expect(cookies).toHaveLength(status === 200 ? 2 : 0);
      const stored = (await app.options.store.logins('big')).length;
      expect(stored).toBe(status === 200 ? 1 : 0);
      await app.options.store.revokeSubject('big');
    }
    const messages = app.errors.map(String);
    expect(messages.length).toBeGreaterThan(0);
    for (const message of messages) expect(message).toMatch(/^TypeError: .*put fewer or shorter claims/);
  });

  test('a login of this very request is known to it, and outside the chain', async () => {
    const app = await open({
      before(express) {
        express.post('/login-and-look', async (req, res, next) => {
          try {
            await app.auth.login(req, res, { subject: 'eve' });
            const outside = await app.auth.authenticate(req);
            const inside = req.auth?.subject;
            await app.auth.logout(req, res);
            res.json({ inside, outside: outside?.subject, after: req.auth ?? null });
          } catch (error) {
            next(error);
          }
        });
      },
    });
    const client = app.browser();
    expect((await client.post('/login-and-look', {})).json).toEqual({ inside: 'eve', outside: 'eve', after: null });
    expect(client.jar.size).toBe(0);
    expect(await app.options.store.logins('eve')).toEqual([]);
  });
});

test('on Express 4: login, renewal in line, refresh and logout', async () => {
  const app = await hybridApp({ store: memoryStore(), express: 4 });
  opened.push(app);
  const client = app.browser();
  await logIn(client);
  client.jar.delete(ACCESS);
  expect((await client.get('/me')).json.subject).toBe('ann');
  expect((await client.post('/auth/refresh')).json).toEqual({ token_type: 'Bearer', expires_in: 600 });
  expect((await client.post('/auth/logout')).status).toBe(204);
  expect((await client.get('/me')).status).toBe(401);
});
