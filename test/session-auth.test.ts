import { setTimeout as sleep } from 'node:timers/promises';
import express, { type Request } from 'express';
import {
  getAuth,
  jwtAuth,
  localKeys,
  requireAuth,
  type SessionAuthOptions,
  sessionAuth,
  tokenIssuer,
} from 'portcullis';
import { afterEach, describe, expect, test } from 'vitest';
import { COOKIE, dataOf, logIn, SECRET, subjectOf } from './session/app.ts';
import { bench } from './session/stores.ts';
import { browser } from './support/browser.ts';
import { type HttpServer, serve } from './support/http-server.ts';
import { sendRaw } from './support/raw-http.ts';

const house = bench();
const { open } = house;
const keysLike = (pattern: string) => house.redis.cli('KEYS', `${house.prefix}${pattern}`);

describe.each([
  ['memory', 4],
  ['memory', 5],
  ['Redis', 4],
  ['Redis', 5],
] as const)('with the %s store on Express %i', (kind, version) => {
  const start = async (options: Partial<SessionAuthOptions> = {}) =>
    open({ store: await house.newStore(kind), express: version, ...options });

  test('login, who am I, logout', async () => {
    const app = await start();
    const client = app.browser();
    expect(await subjectOf(client)).toBeNull();
    await logIn(client, { subject: 'ann', roles: ['admin'], scopes: ['read'], claims: { tenant: 't1' } });
    const { auth } = (await client.get('/me')).json;
    expect(auth).toMatchObject({
      mode: 'session',
      subject: 'ann',
      roles: ['admin'],
      scopes: ['read'],
      claims: { tenant: 't1' },
    });
    expect(Date.parse(auth.expiresAt) - Date.parse(auth.issuedAt)).toBeLessThanOrEqual(1_800_000);
    const gone = await client.post('/auth/logout');
    expect([gone.status, gone.headers['cache-control'], client.jar.size]).toEqual([204, 'no-store', 0]);
    expect(await subjectOf(client)).toBeNull();
    const [login, logout] = await app.heard('login', 'logout');
    expect([login, logout]).toMatchObject([
      { type: 'login', mode: 'session', subject: 'ann', sid: auth.sid },
      { type: 'logout', mode: 'session', subject: 'ann', sid: auth.sid },
    ]);
  });

  test('A-S05: S03: login makes a new id and ends the old one: step-up is logging in again', async () => {
    const app = await start();
    const client = app.browser();
    await logIn(client);
    await client.get('/set?cart=full');
    const before = client.copy();
    await logIn(client, { subject: 'ann', roles: ['admin'] });
    expect(client.jar.get(COOKIE)).not.toBe(before.jar.get(COOKIE));
    expect(await subjectOf(before)).toBeNull();
    expect(await subjectOf(client)).toBe('ann');
    expect((await client.get('/data')).json).toEqual({ cart: 'full' });
    expect(await app.options.store.logins('ann')).toHaveLength(1);
  });

  test('a guest keeps what the session holds, and the id the guest had leads nowhere any more', async () => {
    const app = await start();
    const guest = app.browser();
    await guest.get('/set?cart=full');
    const before = guest.copy();
    await logIn(guest);
    expect((await guest.get('/data')).json).toEqual({ cart: 'full' });
    expect((await before.get('/data')).json).toEqual({});
    expect(await subjectOf(before)).toBeNull();
  });

  test("another subject's data is dropped at login, and its login ended", async () => {
    const app = await start();
    const client = app.browser();
    await logIn(client);
    await client.get('/set?diary=private');
    const ann = client.copy();
    await logIn(client, { subject: 'bob' });
    expect((await client.get('/data')).json).toEqual({});
    expect(await subjectOf(ann)).toBeNull();
  });

  test('S13: devices are listed, one is ended by its handle, which works in no cookie; and the others by except', async () => {
    const app = await start();
    const [phone, laptop, tablet] = [app.browser(), app.browser(), app.browser()];
    for (const client of [phone, laptop, tablet]) {
      await client.post('/login', { subject: 'ann' }, { 'user-agent': 'test' });
    }
    const list = (await phone.get('/auth/logins')).json;
    expect(list).toHaveLength(3);
    expect(list.filter(({ current }: { current: boolean }) => current)).toHaveLength(1);
    expect(list[0]).toMatchObject({ subject: 'ann', mode: 'session', userAgent: 'test', ip: expect.any(String) });
    const { sid } = (await tablet.get('/auth/logins')).json.find(({ current }: { current: boolean }) => current);
    expect((await phone.send('DELETE', `/auth/logins/${sid}`)).status).toBe(204);
    expect(await subjectOf(tablet)).toBeNull();
    const forged = app.browser();
    forged.jar.set(COOKIE, `s%3A${sid}.${'A'.repeat(43)}`);
    expect(await subjectOf(forged)).toBeNull();
    const own = (await phone.get('/me')).json.auth.sid;
    await app.options.store.revokeSubject('ann', { except: own });
    expect([await subjectOf(phone), await subjectOf(laptop)]).toEqual(['ann', null]);
    // One's own is a logout.
    expect((await phone.send('DELETE', `/auth/logins/${own}`)).status).toBe(204);
    expect(phone.jar.size).toBe(0);
  });

  test("another subject's login is left alone, and a visitor has no list", async () => {
    const app = await start();
    const [ann, bob, nobody] = [app.browser(), app.browser(), app.browser()];
    await logIn(ann);
    await logIn(bob, { subject: 'bob' });
    const { sid } = (await ann.get('/me')).json.auth;
    expect((await bob.send('DELETE', `/auth/logins/${sid}`)).status).toBe(204);
    expect(await subjectOf(ann)).toBe('ann');
    expect((await nobody.get('/auth/logins')).status).toBe(401);
    expect((await nobody.send('DELETE', `/auth/logins/${sid}`)).status).toBe(401);
    expect((await nobody.post('/auth/logout')).status).toBe(204);
  });

  test('S06: a login unused for its idle time ends, and being used prolongs it', async () => {
    const app = await start({ idle: '1s' });
    const client = app.browser();
    const { json } = await logIn(client);
    for (let turn = 0; turn < 4; turn++) {
      await sleep(400);
      expect(await subjectOf(client)).toBe('ann');
    }
    await sleep(1_200);
    expect(await subjectOf(client)).toBeNull();
    expect(await app.options.store.logins('ann')).toEqual([]);
    expect(json.sid).toBeTypeOf('string');
  });

  test('S07: A-S15: a login as old as its absolute time ends, however busy', async () => {
    const app = await start({ idle: '10s', absolute: '1s' });
    const client = app.browser();
    await logIn(client);
    const { issuedAt, expiresAt } = (await client.get('/me')).json.auth;
    expect(Date.parse(expiresAt) - Date.parse(issuedAt)).toBe(1_000);
    for (let turn = 0; turn < 3; turn++) {
      await sleep(200);
      await client.get(`/set?turn=${turn}`);
      expect(await subjectOf(client)).toBe('ann');
    }
    await sleep(600);
    expect(await subjectOf(client)).toBeNull();
  });

  test('remember: the cookie outlives the browser, and the login lasts idle or not', async () => {
    const app = await start({ idle: '200ms', remember: '3s' });
    const client = app.browser();
    const { cookies } = await logIn(client, { subject: 'ann', remember: true });
    expect(cookies[0]).toContain('Max-Age=3;');
    await sleep(500);
    expect(await subjectOf(client)).toBe('ann');
    const other = app.browser();
    expect((await logIn(other)).cookies[0]).not.toMatch(/Max-Age|Expires/);
    await sleep(400);
    expect(await subjectOf(other)).toBeNull();
  });

  test('maxLogins: opening another ends the oldest', async () => {
    const app = await start({ maxLogins: 2 });
    const clients = [app.browser(), app.browser(), app.browser()];
    for (const client of clients) {
      await logIn(client);
      await sleep(3);
    }
    expect(await Promise.all(clients.map(subjectOf))).toEqual([null, 'ann', 'ann']);
  });

  test('S14: A-S23: of 50 logins at once exactly maxLogins remain', async () => {
    const app = await start({ maxLogins: 3 });
    const clients = Array.from({ length: 50 }, () => app.browser());
    await Promise.all(clients.map((client) => logIn(client)));
    const subjects = await Promise.all(clients.map(subjectOf));
    expect(subjects.filter((subject) => subject === 'ann')).toHaveLength(3);
    expect(await app.options.store.logins('ann')).toHaveLength(3);
  });

  test('S16: A-S11: a cookie of an old secret is taken, and signed anew with the first', async () => {
    const [old, young] = ['an older secret, still long enough to be one', 'a younger secret, that is long enough too'];
    const store = await house.newStore(kind);
    const before = await open({ store, secret: old });
    const client = before.browser();
    await logIn(client, { subject: 'ann', remember: true });
    const guest = before.browser();
    await guest.get('/set?a=1');
    const after = await open({ store, secret: [young, old] });
    for (const each of [client, guest]) {
      const moved = after.browser();
      moved.jar.set(COOKIE, each.jar.get(COOKIE) as string);
      const { cookies, headers } = await moved.get('/me');
      expect([cookies.length, headers['cache-control']]).toEqual([1, 'no-store']);
      expect(cookies[0]?.includes('Max-Age')).toBe(each === client);
      expect((await moved.get('/me')).cookies).toEqual([]);
      const last = await open({ store, secret: young });
      const newest = last.browser();
      newest.jar.set(COOKIE, moved.jar.get(COOKIE) as string);
      expect(await subjectOf(newest)).toBe(each === client ? 'ann' : null);
    }
    const dropped = await open({ store, secret: young });
    const stale = dropped.browser();
    stale.jar.set(COOKIE, client.jar.get(COOKIE) as string);
    expect(await subjectOf(stale)).toBeNull();
  });

  test('logout keeps req.session usable: what it holds then is a new session', async () => {
    const app = await open({
      store: await house.newStore(kind),
      routes: (it, auth) =>
        it.post('/bye', (req, res, next) => {
          auth.logout(req, res).then(() => {
            dataOf(req).flash = 'bye';
            res.json({ auth: req.auth ?? null });
          }, next);
        }),
    });
    const client = app.browser();
    await logIn(client);
    await client.get('/set?diary=private');
    const before = client.copy();
    expect((await client.post('/bye')).json).toEqual({ auth: null });
    expect((await client.get('/data')).json).toEqual({ flash: 'bye' });
    expect([await subjectOf(client), await subjectOf(before)]).toEqual([null, null]);
    expect((await before.get('/data')).json).toEqual({});
  });

  test('req.session.destroy ends the login, and takes the cookie along', async () => {
    const app = await open({
      store: await house.newStore(kind),
      routes: (it) =>
        it.post('/destroy', (req, res) => {
          (req as any).session.destroy();
          res.json({ auth: (req as Request).auth ?? null, session: req.session ?? null });
        }),
    });
    const client = app.browser();
    await logIn(client);
    const before = client.copy();
    expect((await client.post('/destroy')).json).toEqual({ auth: null, session: null });
    expect([client.jar.size, await subjectOf(before)]).toEqual([0, null]);
    expect(await app.heard('revoked')).toHaveLength(1);
  });

  test('req.session.regenerate ends the login, and begins an empty session under a new id', async () => {
    const app = await open({
      store: await house.newStore(kind),
      routes: (it) =>
        it.post('/regenerate', (req, res, next) => {
          req.session.regenerate((error) => {
            if (error) return next(error);
            dataOf(req).fresh = true;
            res.json({ auth: (req as Request).auth ?? null });
          });
        }),
    });
    const client = app.browser();
    await logIn(client);
    await client.get('/set?diary=private');
    const before = client.copy();
    expect((await client.post('/regenerate')).json).toEqual({ auth: null });
    expect((await client.get('/data')).json).toEqual({ fresh: true });
    expect([await subjectOf(client), await subjectOf(before)]).toEqual([null, null]);
    expect(client.jar.get(COOKIE)).not.toBe(before.jar.get(COOKIE));
  });
});

describe('cookies:', () => {
  test('C01: C03: C04: the session cookie is __Host-, Secure, HttpOnly, SameSite=Lax, signed, and nowhere else', async () => {
    const app = await open();
    const client = app.browser();
    const { cookies, headers, text } = await logIn(client);
    expect(cookies).toEqual([
      expect.stringMatching(/^__Host-sid=s%3A[\w-]{43}\.[^;]+; Path=\/; HttpOnly; Secure; SameSite=Lax$/),
    ]);
    const secret = /s%3A([\w-]+)/.exec(cookies[0] as string)?.[1] as string;
    expect(JSON.stringify([text, { ...headers, 'set-cookie': undefined }, await app.heard('login')])).not.toContain(
      secret,
    );
    expect(headers['cache-control']).toBe('no-store');
  });

  test('S19: S02: no key and no value in Redis works as a cookie: ids are 256 random bits, stored hashed', async () => {
    const app = await open();
    const ids = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const client = app.browser();
        await logIn(client);
        return (client.jar.get(COOKIE) as string).slice(4, 47);
      }),
    );
    expect(new Set(ids).size).toBe(20);
    expect(ids.every((id) => Buffer.from(id, 'base64url').length === 32)).toBe(true);
    const keys = (await keysLike('*')).split('\n');
    const dump = [...keys];
    for (const key of keys.filter((each) => each.includes('row:'))) dump.push(await house.redis.cli('GET', key));
    for (const key of keys.filter((each) => each.includes('login:'))) dump.push(await house.redis.cli('HGETALL', key));
    expect(keys.filter((key) => key.includes('login:'))).toHaveLength(20);
    for (const id of ids) expect(dump.join('\n')).not.toContain(id);
  });

  test('C07: A-S26: logout repeats path, domain and partitioned, so that the cookie goes', async () => {
    const cookie = { domain: 'app.example', path: '/', partitioned: true, sameSite: 'none' as const };
    const app = await open({ cookie, trustedOrigins: ['https://app.example'] });
    const client = app.browser();
    const headers = { origin: 'https://app.example' };
    const login = await client.post('/login', { subject: 'ann' }, headers);
    expect(login.cookies[0]).toMatch(/^sid=.*; Domain=app.example; HttpOnly; Secure; SameSite=None; Partitioned$/);
    const { cookies } = await client.post('/auth/logout', undefined, headers);
    expect(cookies[0]).toMatch(
      /^sid=; Max-Age=0; .*; Domain=app.example; HttpOnly; Secure; SameSite=None; Partitioned$/,
    );
  });

  test('A-S27: a name that promises what the settings break is refused at construction', async () => {
    const store = await house.newStore();
    expect(() => sessionAuth({ store, secret: SECRET, cookie: { name: '__Host-sid', path: '/x' } })).toThrow(
      'promises',
    );
  });

  test('C11: A-S19: a login on a plain connection fails loudly, and says which line to add', async () => {
    const app = await open({ before: (it) => void it.set('trust proxy', false) });
    const { status, cookies } = await app.browser().post('/login', {});
    expect([status, cookies]).toEqual([500, []]);
    expect(String(app.errors[0])).toContain("app.set('trust proxy', 1)");
    expect(await keysLike('*login*')).toBe('');
  });

  test('C11: A-S19: a visitor whose session could not get its cookie is told too, and nothing is stored', async () => {
    const app = await open({ before: (it) => void it.set('trust proxy', false) });
    const { status, cookies } = await app.browser().get('/set?a=1');
    expect([status, cookies]).toEqual([500, []]);
    expect(String(app.errors[0])).toContain('is Secure');
    expect(await keysLike('row*')).toBe('');
    expect((await app.browser().get('/data')).status).toBe(200);
  });

  test('A-S20: X-Forwarded-Proto counts only from a proxy that is trusted', async () => {
    const app = await open({ before: (it) => void it.set('trust proxy', '10.0.0.1') });
    expect((await app.browser().post('/login', {})).status).toBe(500);
  });
});

describe('what a browser may bring:', () => {
  const cookieOf = async (app: Awaited<ReturnType<typeof open>>, subject = 'ann') => {
    const client = app.browser();
    await logIn(client, { subject });
    return client.jar.get(COOKIE) as string;
  };
  const who = async (app: Awaited<ReturnType<typeof open>>, ...lines: string[]) => {
    const { status, body } = await sendRaw(app.server, ['X-Forwarded-Proto: https', ...lines], 'GET /me HTTP/1.1');
    expect(status).toBe(200);
    return /"subject":("\w+"|null)/.exec(body)?.[1];
  };

  test('A-S07: of two good cookies the first counts', async () => {
    const app = await open();
    const [ann, bob] = [await cookieOf(app), await cookieOf(app, 'bob')];
    expect(await who(app, `Cookie: ${COOKIE}=${ann}; ${COOKIE}=${bob}`)).toBe('"ann"');
  });

  test('A-S08: C08: a junk cookie, a forged one, one of a visitor or one that ended before ours locks nobody out', async () => {
    const app = await open();
    const good = await cookieOf(app);
    const over = app.browser();
    await logIn(over, { subject: 'bob' });
    const ended = over.jar.get(COOKIE);
    await over.post('/auth/logout');
    const guest = app.browser();
    await guest.get('/set?a=1');
    for (const other of ['s%3Ajunk.sig', good.replace(/.{5}$/, 'AAAAA'), ended, guest.jar.get(COOKIE)]) {
      expect(await who(app, `Cookie: ${COOKIE}=${other}; ${COOKIE}=${good}`)).toBe('"ann"');
    }
  });

  test('A-S04: S04: a well-formed id that we did not issue, or that is over, is never adopted', async () => {
    const app = await open();
    const client = app.browser();
    await client.get('/set?a=1');
    const old = client.jar.get(COOKIE) as string;
    for (const key of (await keysLike('row*')).split('\n')) await house.redis.cli('DEL', key);
    await client.get('/set?b=2');
    expect(client.jar.get(COOKIE)).not.toBe(old);
  });

  test.each([
    ['unsigned', (id: string) => id.slice(4, 47)],
    ['no signature', (id: string) => id.slice(0, 47)],
    ['an empty signature', (id: string) => `${id.slice(0, 47)}.`],
    ['a padded signature', (id: string) => `${id}%3D`],
    ['a broken escape', (id: string) => `${id}%`],
    ['JSON', () => 'j%3A%7B%7D'],
    ['a glob', () => 's%3A*.AAAA'],
    ['7 kB', () => 'x'.repeat(7_000)],
    ['quotes', (id: string) => `"${id}"`],
    ['a blank in front', (id: string) => ` ${id}`],
  ])('A-S09: A-S10: a cookie with %s is nobody', async (_what, spoil) => {
    const app = await open();
    const good = await cookieOf(app);
    expect(await who(app, `Cookie: ${COOKIE}=${spoil(good)}`)).toBe('null');
  });

  test('A-S10: a name that is not exactly ours is another cookie', async () => {
    const app = await open();
    const good = await cookieOf(app);
    for (const name of [COOKIE.toUpperCase(), `${COOKIE} `, `\u00a0${COOKIE}`, `$Version=1, ${COOKIE}`, `=${COOKIE}`]) {
      expect(await who(app, `Cookie: ${name}=${good}`)).toBe('null');
    }
  });

  test('A-S18: an id in the query, the body or a header is ignored', async () => {
    const app = await open();
    const good = await cookieOf(app);
    expect((await app.browser().get(`/me?${COOKIE}=${good}&sid=${good}`)).json.subject).toBeNull();
    expect(await who(app, `X-Session: ${good}`, `${COOKIE}: ${good}`)).toBe('null');
  });
});

describe('X01: cross-site requests', () => {
  const CROSS = [
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { referer: 'https://evil.example/page' },
  ];

  test.each(CROSS)('X07: a write with our cookie, a login and a logout are refused with %j', async (headers) => {
    const app = await open();
    const client = app.browser();
    await logIn(client);
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
      const { status, json } = await client.send(method, '/data', { headers });
      expect([status, json.error]).toEqual([403, 'cross_site_request']);
    }
    expect((await client.post('/auth/logout', undefined, headers)).status).toBe(403);
    expect((await client.send('DELETE', '/auth/logins/x', { headers })).status).toBe(403);
    expect((await app.browser().post('/login', { subject: 'eve' }, headers)).status).toBe(403);
    expect(await subjectOf(client)).toBe('ann');
    // Heard of once each.
    expect(await app.heard('refused')).toHaveLength(7);
  });

  test('our own pages, trusted origins, reads and requests without our cookie pass', async () => {
    const app = await open({ trustedOrigins: ['https://spa.example'] });
    const client = app.browser();
    await logIn(client);
    const own = `https://127.0.0.1:${app.server.port}`;
    for (const headers of [
      { 'sec-fetch-site': 'same-origin' },
      { origin: own },
      { origin: 'https://spa.example' },
      {},
    ]) {
      expect((await client.send('POST', '/data', { headers })).status).toBe(200);
    }
    expect((await client.get('/data', { headers: { 'sec-fetch-site': 'cross-site' } })).status).toBe(200);
    expect((await app.browser().send('POST', '/data', { headers: { origin: 'https://evil.example' } })).status).toBe(
      200,
    );
  });

  test('X10: beside a bearer the cookie counts as absent, and the guard gives the reason; req.session is there', async () => {
    const keys = localKeys([{ kid: 'k', alg: 'HS256', key: 'a key for tokens that is long enough' }]);
    const ours = { keys, issuer: 'https://auth.example', audience: 'https://api.example' };
    const store = await house.newStore();
    const app = await open({
      store,
      routes: (it) => {
        it.post('/mixed', jwtAuth({ ...ours, store, required: false }), requireAuth(), (req, res) => {
          res.json({ mode: getAuth(req).mode, session: typeof req.session });
        });
        it.post('/sessions-only', requireAuth(), (_req, res) => void res.json({}));
      },
    });
    const client = app.browser();
    await logIn(client);
    const token = tokenIssuer({ ...ours, lifetime: '5m' })({ subject: 'ann' });
    const headers = { 'sec-fetch-site': 'cross-site', authorization: `Bearer ${token}` };
    expect((await client.post('/mixed', undefined, headers)).json).toEqual({ mode: 'jwt', session: 'object' });
    expect((await client.post('/sessions-only', undefined, headers)).status).toBe(403);
  });

  test('X11: outside the chain an upgrade is judged by its Origin, and nothing is set', async () => {
    const app = await open();
    const client = app.browser();
    await logIn(client);
    const cookie = `${COOKIE}=${client.jar.get(COOKIE)}`;
    const asked = (headers: Record<string, string>) =>
      app.auth.authenticate({ method: 'GET', url: '/', headers: { cookie, ...headers }, socket: {} } as never);
    expect((await asked({ upgrade: 'websocket' }))?.subject).toBe('ann');
    await expect(asked({ upgrade: 'websocket', origin: 'https://evil.example' })).rejects.toThrow('another site');
    expect(await asked({ cookie: '' })).toBeUndefined();
  });
});

describe('visitors', () => {
  test('S18: S25: A-D06: who only reads gets no cookie and leaves no key in Redis', async () => {
    const app = await open();
    for (let visit = 0; visit < 100; visit++) {
      const { cookies, json } = await app.browser().get('/data');
      expect([cookies, json]).toEqual([[], {}]);
    }
    expect(await keysLike('row*')).toBe('');
    await app.browser().get('/set?a=1');
    expect((await keysLike('row*')).split('\n')).toHaveLength(1);
  });

  test('required, the default: a visitor is refused, who is heard of once', async () => {
    const app = await open({
      required: true,
      before: (it, auth) =>
        void it.post('/in', (req, res, next) => {
          auth.login(req, res, { subject: 'ann' }).then(() => res.json({}), next);
        }),
    });
    const client = app.browser();
    const { status, json, headers } = await client.get('/me');
    expect([status, json.error, headers['www-authenticate']]).toEqual([401, 'unauthenticated', 'Bearer']);
    expect(await app.heard('refused')).toHaveLength(1);
    // login needs no mode in front of it.
    await client.post('/in');
    expect(await subjectOf(client)).toBe('ann');
  });

  test('a session lasts its idle time, and being used prolongs it', async () => {
    const app = await open({ idle: '1s' });
    const client = app.browser();
    await client.get('/set?a=1');
    for (let turn = 0; turn < 3; turn++) {
      await sleep(500);
      expect((await client.get('/data')).json).toEqual({ a: '1' });
    }
    await sleep(1_200);
    expect((await client.get('/data')).json).toEqual({});
  });
});

describe('logins', () => {
  test('S05: a login that cannot be stored fails: no cookie, nobody known, the guest still a guest', async () => {
    const app = await open({ store: await house.newStore() });
    const client = app.browser();
    await client.get('/set?cart=full');
    await house.redis.cli('CONFIG', 'SET', 'maxmemory', '1');
    const { status, cookies } = await client.post('/login', {});
    await house.redis.cli('CONFIG', 'SET', 'maxmemory', '0');
    expect([status, cookies]).toEqual([503, []]);
    expect((await client.get('/data')).json).toEqual({ cart: 'full' });
    expect(await subjectOf(client)).toBeNull();
    await expect.poll(() => app.options.store.logins('ann')).toEqual([]);
  });

  test('an identity that could not stand is a TypeError, and nothing is stored', async () => {
    const app = await open();
    for (const identity of [{ subject: '' }, { subject: 7 }, { subject: 'ann', roles: 'admin' }]) {
      expect((await app.browser().post('/login', identity)).status).toBe(500);
    }
    expect(app.errors.every((error) => error instanceof TypeError)).toBe(true);
    expect(await keysLike('login*')).toBe('');
  });

  test('a guest whose unsaved session is too large for a login is refused', async () => {
    const app = await open({
      routes: (it, auth) =>
        it.post('/large', (req, res, next) => {
          dataOf(req).large = 'x'.repeat(100_000);
          auth.login(req, res, { subject: 'ann' }).then(() => res.json({}), next);
        }),
    });
    expect((await app.browser().post('/large')).status).toBe(400);
    expect(await keysLike('login*')).toBe('');
  });

  test('twice in one request: the second stands, the first is over, and there is one cookie', async () => {
    const app = await open({
      routes: (it, auth) =>
        it.post('/twice', async (req, res) => {
          dataOf(req).a = 1;
          await auth.login(req, res, { subject: 'ann' });
          dataOf(req).b = 2;
          await auth.login(req, res, { subject: 'ann', roles: ['admin'] });
          dataOf(req).c = 3;
          res.json({ roles: req.auth?.roles });
        }),
    });
    const client = app.browser();
    const { json, cookies } = await client.post('/twice');
    expect([json, cookies.length]).toEqual([{ roles: ['admin'] }, 1]);
    expect((await client.get('/data')).json).toEqual({ a: 1, b: 2, c: 3 });
    expect(await app.options.store.logins('ann')).toHaveLength(1);
  });

  test('after destroy nothing of the old session comes along', async () => {
    const app = await open({
      routes: (it, auth) =>
        it.post('/switch', async (req, res) => {
          req.session.destroy(() => {});
          await auth.login(req, res, { subject: 'ann' });
          res.json({});
        }),
    });
    const client = app.browser();
    await logIn(client);
    await client.get('/set?diary=private');
    const before = client.copy();
    expect((await client.post('/switch')).status).toBe(200);
    expect((await client.get('/data')).json).toEqual({});
    expect([await subjectOf(client), await subjectOf(before)]).toEqual(['ann', null]);
  });

  test('a slow request does not end a login that others use meanwhile', async () => {
    const app = await open({
      idle: '600ms',
      routes: (it) =>
        it.get('/slow', async (req, res) => {
          dataOf(req).slow = true;
          await sleep(900);
          res.json({});
        }),
    });
    const client = app.browser();
    await logIn(client);
    const slow = client.copy().get('/slow');
    for (let turn = 0; turn < 4; turn++) {
      await sleep(300);
      expect(await subjectOf(client)).toBe('ann');
    }
    await slow;
    expect((await client.get('/data')).json).toEqual({ slow: true });
    expect(await app.heard('revoked')).toEqual([]);
  });

  test('T28: a bearer of another issuer neither lists nor ends the logins of our subject of that name', async () => {
    const keys = localKeys([{ kid: 'k', alg: 'HS256', key: 'a key for tokens that is long enough' }]);
    const theirs = { keys, issuer: 'https://elsewhere.example', audience: 'https://api.example' };
    const store = await house.newStore();
    const app = await open({
      store,
      before: (it) => void it.use(jwtAuth({ ...theirs, store, required: false })),
    });
    const client = app.browser();
    await logIn(client);
    const { sid } = (await client.get('/me')).json.auth;
    const token = tokenIssuer({ ...theirs, lifetime: '5m' })({ subject: 'ann' });
    const headers = { authorization: `Bearer ${token}` };
    expect((await app.browser().get('/auth/logins', { headers })).status).toBe(401);
    expect((await app.browser().send('DELETE', `/auth/logins/${sid}`, { headers })).status).toBe(401);
    expect(await subjectOf(client)).toBe('ann');
  });
});

describe('options', () => {
  test.each([
    [{}, '"store" must be'],
    [{ secret: 'short' }, '"secret" must be at least 32 bytes'],
    [{ idl: '5m' }, 'did you mean "idle"'],
    [{ idle: '5 minutes' }, '"idle" must be a duration'],
    [{ maxLogins: 0 }, '"maxLogins" must be a whole number'],
    [{ required: 'yes' }, '"required" must be true or false'],
    [{ cookie: { httpOnly: false } }, 'unknown option "httpOnly"'],
    [{ trustedOrigins: ['app.example'] }, 'which is no origin'],
  ])('%j is refused at construction', async (options, complaint) => {
    const store = Object.keys(options).length > 0 ? await house.newStore() : undefined;
    expect(() => sessionAuth({ secret: SECRET, store, ...options } as never)).toThrow(complaint);
  });

  test('passed on uncalled, it says so', () => {
    const app = express();
    app.use(sessionAuth as never);
    return serve(app).then(async (server) => {
      expect(await (await fetch(server.url)).text()).toContain('call it');
      await server.close();
    });
  });
});

describe('without Express', () => {
  let server: HttpServer | undefined;
  afterEach(() => server?.close());

  test('on node:http: login, recognise, session, logout', async () => {
    const auth = sessionAuth({
      store: await house.newStore(),
      secret: SECRET,
      required: false,
      cookie: { secure: false },
    });
    server = await serve((req, res) => {
      const done = (body: unknown) => res.end(JSON.stringify(body));
      auth(req, res, async (error) => {
        if (error) return void res.writeHead(error.status).end();
        if (req.url === '/login') await auth.login(req as never, res as never, { subject: 'ann' });
        if (req.url === '/logout') await auth.logout(req as never, res as never);
        if (req.url === '/set') dataOf(req).n = Number(dataOf(req).n ?? 0) + 1;
        done([(req as { auth?: { subject: string } }).auth?.subject ?? null, dataOf(req).n ?? null]);
      });
    });
    const client = browser(server.url);
    const bodies = [];
    for (const path of ['/set', '/set', '/login', '/set', '/me', '/logout', '/me'])
      bodies.push((await client.get(path)).json);
    expect(bodies).toEqual([
      [null, 1],
      [null, 2],
      ['ann', 2],
      ['ann', 3],
      ['ann', 3],
      [null, null],
      [null, null],
    ]);
  });
});
