import { readFileSync } from 'node:fs';
import request from 'supertest';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RedisClient } from '../support/redis-server.ts';
import { ANN, BOB, browser, logIn, type RunningExample, startExample } from './start-example.ts';

let example: RunningExample;
let redis: RedisClient;
/** The client's own credentials of a login that stands: what each must be refused for, these are taken for. */
let real: { readonly cookies: string; readonly bearer: string; readonly refreshToken: string };

beforeAll(async () => {
  example = await startExample('redis');
  redis = (await example.redis?.client()) as RedisClient;
  await useEveryDoor(BOB, true);
  real = await useEveryDoor(ANN, false);
});
afterAll(() => example.stop());

test('S19: nothing that stands in Redis works as a cookie, a bearer or a refresh token', async () => {
  const found = await everyString();
  // The sids are handles that everybody may see; they must be among what is tried.
  const sids = (await example.store.logins('user-ann')).map(({ sid }) => sid);
  expect(sids).toHaveLength(3);
  for (const sid of sids) expect(found).toContain(sid);

  expect(await doorsOpenedBy(real.cookies, real.bearer, real.refreshToken)).toEqual([
    '/web',
    '/app',
    '/mobile',
    'refresh',
  ]);
  const working: string[] = [];
  for (const text of found) {
    const value = encodeURIComponent(text);
    const cookies = [`sid=${value}`, `access=${value}`, `refresh=${value}`].join('; ');
    const opened = await doorsOpenedBy(cookies, value, text);
    if (opened.length > 0) working.push(`${text} opens ${opened}`);
    // With the parts of a refresh token's form, and of a signed cookie's, put to it.
    const forged = await doorsOpenedBy(
      `sid=s%3A${value}.${'A'.repeat(43)}; refresh=${value}.0.${value}`,
      value,
      `${text}.0.${text}`,
    );
    if (forged.length > 0) working.push(`${text}, completed, opens ${forged}`);
  }
  expect(working).toEqual([]);
});

test('nothing in Redis is a part of a credential either', async () => {
  const secrets = [real.bearer.split('.')[2], real.refreshToken.split('.')[0], real.refreshToken.split('.')[2]];
  const cookieSecrets = [...real.cookies.matchAll(/(?:s%3A|refresh=)([\w-]{43})/g)].map(([, secret]) => secret);
  expect(cookieSecrets).toHaveLength(2);
  const all = (await everyString()).join('\n');
  for (const secret of [...secrets, ...cookieSecrets]) {
    expect(secret).toMatch(/^[\w-]{43,}$/);
    expect(all).not.toContain(secret);
  }
});

test('every key leaves by itself, but the two of the log, which are bounded', async () => {
  const keys = await everyKey();
  expect(keys.length).toBeGreaterThan(10);
  const staying: string[] = [];
  for (const key of keys) if (Number(await redis.pTTL(key)) < 0) staying.push(key);
  expect(staying.sort()).toEqual(['portcullis:{log}:news', 'portcullis:{log}:set']);
});

test('docs/architecture.md lists every key there is, with its type', async () => {
  const text = readFileSync(new URL('../../docs/architecture.md', import.meta.url), 'utf8');
  const rows = [...text.matchAll(/^\| `(\S+)` \| (hash|string|sorted set|stream) \|/gm)];
  const listed = new Map(rows.map(([, key = '', type = '']) => [key, type.replace('sorted set', 'zset')]));
  const found = new Map<string, string>();
  for (const key of await everyKey()) {
    const name = key.replace('portcullis:', '').replace(/^(login|row):\{[\w-]{43}\}$/, '$1:{sid}');
    found.set(name.replace(/^subject:\{[\w-]{43}\}$/, 'subject:{subject}'), String(await redis.type(key)));
  }
  expect(new Map([...found].sort())).toEqual(new Map([...listed].sort()));
});

/** Logs in by all four doors, refreshes, looks around; with `end`, then logs out in every way. */
async function useEveryDoor(user: { name: string; password: string }, end: boolean): Promise<typeof real> {
  const [web, app] = [browser(example.url), browser(example.url)];
  const cookies: string[] = [];
  for (const [who, door] of [
    [web, '/web'],
    [app, '/app'],
  ] as const) {
    const { headers } = await logIn(who, door, user).expect(303);
    cookies.push(...[headers['set-cookie']].flat().map((line) => String(line).split(';')[0] ?? ''));
    await who.get(`${door}/`).expect(200);
  }
  const { body: first } = await request(example.url).post('/mobile/login').send(user).expect(200);
  const { body: pair } = await request(example.url)
    .post('/mobile/refresh')
    .send({ refresh_token: first.refresh_token })
    .expect(200);
  const { body: token } = await request(example.url).post('/api/token').send(user).expect(200);
  const asBearer = (text: string) => ({ Authorization: `Bearer ${text}` });
  await request(example.url).get('/api/notes').set(asBearer(pair.access_token)).expect(200);
  await request(example.url).delete('/api/token').set(asBearer(token.access_token)).expect(204);
  if (end) {
    await app.post('/app/logout').expect(303);
    await web.post('/web/logout-everywhere').expect(303);
  }
  return { cookies: cookies.join('; '), bearer: pair.access_token, refreshToken: pair.refresh_token };
}

/** Which doors take any of these for a caller they know. */
async function doorsOpenedBy(cookies: string, bearer: string, refreshToken: string): Promise<string[]> {
  const ask = async (path: string, init: RequestInit) => (await fetch(`${example.url}${path}`, init)).status;
  const form = new URLSearchParams({ refresh_token: refreshToken });
  const answers = {
    '/web': await ask('/web/', { headers: { Cookie: cookies } }),
    '/app': await ask('/app/', { headers: { Cookie: cookies } }),
    '/mobile': await ask('/mobile/me', { headers: { Authorization: `Bearer ${bearer}` } }),
    refresh: await ask('/mobile/refresh', { method: 'POST', body: form }),
  };
  for (const status of Object.values(answers)) expect([200, 400, 401]).toContain(status);
  return Object.entries(answers).flatMap(([door, status]) => (status === 200 ? door : []));
}

/** Every key, every value, and every part of them that could be an id. */
async function everyString(): Promise<string[]> {
  const keys = await everyKey();
  const whole = [...keys, ...(await Promise.all(keys.map(valuesOf))).flat()];
  const parts = whole.flatMap((text) => text.match(/[\w-]{8,}(?:\.[\w-]+)*/g) ?? []);
  return [...new Set([...whole, ...parts])].filter((text) => text !== '');
}

async function everyKey(): Promise<string[]> {
  const keys: string[] = [];
  for await (const batch of redis.scanIterator()) keys.push(...(batch as string[]));
  return keys;
}

async function valuesOf(key: string): Promise<string[]> {
  const type = await redis.type(key);
  if (type === 'string') return [String(await redis.get(key))];
  if (type === 'hash')
    return Object.entries(await redis.hGetAll(key))
      .flat()
      .map(String);
  if (type === 'zset') return (await redis.zRange(key, 0, -1)).map(String);
  if (type === 'stream') {
    const entries = (await redis.xRange(key, '-', '+')) ?? [];
    return entries.flatMap(({ id, message }) => [id, ...Object.values(message)]).map(String);
  }
  throw new Error(`${key} is of the type ${type}, which this test does not know`);
}
