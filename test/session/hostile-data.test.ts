import express from 'express';
import { describe, expect, test } from 'vitest';
import { COOKIE, dataOf, logIn, type SessionApp, subjectOf } from './app.ts';
import { bench } from './stores.ts';

const house = bench();

/** Merges whatever a client sends into its session, as applications do. */
const start = (): Promise<SessionApp> =>
  house.open({
    routes: (it) => {
      it.post('/merge', express.text({ limit: '2mb' }), (req, res) => {
        const body = JSON.parse(req.body);
        for (const each of [body].flat()) Object.assign(req.session, each);
        res.json({ admin: dataOf(req).admin ?? null, touch: typeof req.session.touch, own: Object.keys(req.session) });
      });
      it.post('/merge-and-save', express.text({ limit: '2mb' }), (req, res, next) => {
        Object.assign(req.session, JSON.parse(req.body));
        req.session.save((error) => (error ? next(error) : res.json({})));
      });
      it.post('/methods', (req, res, next) => {
        req.session.touch();
        req.session.save((error) => {
          if (error) return next(error);
          req.session.reload((failure) =>
            failure ? next(failure) : res.json({ id: req.session.id === req.sessionID }),
          );
        });
      });
      it.get('/admin', (req, res) => void res.json({ admin: dataOf(req).admin ?? null }));
    },
  });

const MERGED = [
  '{"__proto__":{"admin":true}}',
  '{"__proto__":null}',
  '{"__proto__":"x"}',
  '{"constructor":{"prototype":{"admin":true}}}',
  '{"cookie":null}',
  '{"cookie":"x"}',
  '{"cookie":{}}',
  '{"cookie":[]}',
  '{"cookie":{"maxAge":"x"}}',
  '{"cookie":{"expires":"2000-01-01T00:00:00Z"}}',
  '{"touch":"x"}',
  '{"save":"x"}',
  '{"reload":"x"}',
  '{"destroy":"x"}',
  '{"regenerate":"x"}',
  '{"resetMaxAge":"x"}',
  '{"toJSON":"x"}',
  '{"id":"x"}',
  '{"req":"x"}',
  '{"sessionID":"x"}',
  '{"hasOwnProperty":"x","valueOf":1,"toString":null}',
];

describe.each(['/merge', '/merge-and-save'])('A-S12: S20: %s', (path) => {
  test.each(MERGED)('of %s is answered at once, and harms no later request', async (body) => {
    const app = await start();
    for (const login of [true, false]) {
      const client = app.browser();
      if (login) await logIn(client);
      await client.get('/set?cart=full');
      const { status } = await client.post(path, body, { 'content-type': 'text/plain' });
      // What express-session has made read-only is an error of the application's, at once.
      expect(status).toBe(
        path === '/merge-and-save' && body.includes('"save"') ? 500 : /"(?:id|req)"/.test(body) ? 500 : 200,
      );
      expect((await client.get('/admin')).json).toEqual({ admin: null });
      expect(await subjectOf(client)).toBe(login ? 'ann' : null);
      expect((await client.get('/data')).json).toMatchObject({ cart: 'full' });
      expect((await client.get('/set?after=it')).json).toMatchObject({ cart: 'full', after: 'it' });
      expect((await client.get('/data')).json).toMatchObject({ cart: 'full', after: 'it' });
      expect((await client.post('/methods')).json).toEqual({ id: true });
      const before = client.copy();
      expect((await client.post('/auth/logout')).status).toBe(204);
      expect((await before.get('/data')).json).toEqual({});
    }
  });
});

test('A-S12: the session keeps its methods though __proto__ came with the data, and nobody else is touched', async () => {
  const app = await start();
  const client = app.browser();
  const body = '{"__proto__":{"admin":true,"touch":"x"},"cart":"full"}';
  const { json } = await client.post('/merge', body, { 'content-type': 'text/plain' });
  expect(json).toEqual({ admin: null, touch: 'function', own: expect.arrayContaining(['cart']) });
  expect((await client.get('/data')).json).toEqual({ cart: 'full' });
  expect(({} as { admin?: unknown }).admin).toBeUndefined();
});

describe('A-S22: S22: a session of a megabyte', () => {
  const large = JSON.stringify({ large: 'x'.repeat(1_000_000) });

  test.each(['/merge', '/merge-and-save'])('is refused with a 4xx by %s, and the one before stands', async (path) => {
    const app = await start();
    for (const login of [true, false]) {
      const client = app.browser();
      if (login) await logIn(client);
      await client.get('/set?cart=full');
      expect((await client.post(path, large, { 'content-type': 'text/plain' })).status).toBe(400);
      expect((await client.get('/data')).json).toEqual({ cart: 'full' });
      expect(await subjectOf(client)).toBe(login ? 'ann' : null);
    }
  });

  test('is refused too where two requests make it of halves', async () => {
    const app = await start();
    const client = app.browser();
    await client.get('/set?cart=full');
    const half = (name: string) =>
      client.post('/merge', JSON.stringify({ [name]: 'x'.repeat(40_000) }), { 'content-type': 'text/plain' });
    const statuses = (await Promise.all([half('a'), half('b')])).map(({ status }) => status);
    expect(statuses.sort()).toEqual([200, 400]);
  });
});

const CORRUPT: readonly (readonly [what: string, row: string])[] = [
  ['null', 'null'],
  ['a list', '[]'],
  ['text', '"x"'],
  ['a number', '7'],
  ['broken JSON', '{'],
  ['nothing', ''],
  ['no cookie', '{"a":1}'],
  ['a null cookie', '{"cookie":null}'],
  ['a text for a cookie', '{"cookie":"x"}'],
  ['a cookie whose maxAge is text', '{"cookie":{"maxAge":"x"}}'],
  ['a cookie whose originalMaxAge is text', '{"cookie":{"originalMaxAge":"x"}}'],
  ['a cookie with the names of methods', '{"cookie":{"serialize":1,"toJSON":2,"data":3}}'],
  ['bytes', '\\xff\\xfe'],
];

describe('A-S13: S21: a corrupt row', () => {
  const rowsOf = async () => (await house.redis.cli('KEYS', `${house.prefix}row*`)).split('\n').filter(Boolean);

  test.each(CORRUPT)(
    'of %s: a login stays one, its session begins anew, and the audit hears of it',
    async (_what, row) => {
      const app = await start();
      const client = app.browser();
      await logIn(client);
      await client.get('/set?cart=full');
      const [key = ''] = await rowsOf();
      await house.redis.cli('SET', key, row, 'KEEPTTL');
      expect(await subjectOf(client)).toBe('ann');
      expect((await client.get('/data')).json).toEqual({});
      expect((await app.heard('session_corrupt')).length).toBeGreaterThan(0);
      expect((await client.get('/set?a=1')).json).toEqual({ a: '1' });
      expect((await client.get('/data')).json).toEqual({ a: '1' });
      await client.post('/auth/logout');
      expect(await rowsOf()).toEqual([]);
    },
  );

  test.each(CORRUPT)('of %s: a visitor begins anew', async (_what, row) => {
    const app = await start();
    const client = app.browser();
    await client.get('/set?cart=full');
    const [key = ''] = await rowsOf();
    await house.redis.cli('SET', key, row, 'KEEPTTL');
    expect((await client.get('/data')).json).toEqual({});
    expect((await client.get('/set?a=1')).json).toEqual({ a: '1' });
    expect((await client.get('/data')).json).toEqual({ a: '1' });
  });

  test('A-S14: whose cookie is over is none', async () => {
    const app = await start();
    const client = app.browser();
    await client.get('/set?cart=full');
    const [key = ''] = await rowsOf();
    await house.redis.cli('SET', key, '{"cookie":{"expires":"2001-01-01T00:00:00.000Z"},"cart":"full"}');
    expect((await client.get('/data')).json).toEqual({});
  });

  test.each(['login', 'visitor'])('of another type (WRONGTYPE): a %s goes on', async (who) => {
    const app = await start();
    const client = app.browser();
    if (who === 'login') await logIn(client);
    await client.get('/set?cart=full');
    const [key = ''] = await rowsOf();
    await house.redis.cli('DEL', key);
    await house.redis.cli('LPUSH', key, 'x');
    expect(await subjectOf(client)).toBe(who === 'login' ? 'ann' : null);
    expect((await client.get('/set?a=1')).json).toEqual({ a: '1' });
    expect((await client.get('/data')).json).toEqual({ a: '1' });
    expect((await app.heard('session_corrupt')).length).toBeGreaterThan(0);
  });

  test('that is gone: a login goes on and keeps what it stores from now on', async () => {
    const app = await start();
    const client = app.browser();
    await logIn(client);
    for (const key of await rowsOf()) await house.redis.cli('DEL', key);
    expect((await client.get('/set?a=1')).json).toEqual({ a: '1' });
    expect((await client.get('/data')).json).toEqual({ a: '1' });
    await client.post('/auth/logout');
    expect(await rowsOf()).toEqual([]);
  });

  test.each(['SET', 'LPUSH', 'HSET'])(
    'A-S13: S21: a login record spoilt by %s is no login, and no 500',
    async (command) => {
      const app = await start();
      const client = app.browser();
      await logIn(client);
      const [key = ''] = (await house.redis.cli('KEYS', `${house.prefix}login*`)).split('\n');
      if (command !== 'HSET') await house.redis.cli('DEL', key);
      await house.redis.cli(command, key, ...(command === 'HSET' ? ['w', '{'] : ['x']));
      expect(await subjectOf(client)).toBeNull();
      expect((await app.heard('session_corrupt')).length).toBeGreaterThan(0);
      await logIn(client);
      expect(await subjectOf(client)).toBe('ann');
      expect(client.jar.has(COOKIE)).toBe(true);
    },
  );
});
