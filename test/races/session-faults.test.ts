import { setTimeout as sleep } from 'node:timers/promises';
import { type AuthStore, redisStore, requireAuth } from 'portcullis';
import { createClient } from 'redis';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { COOKIE, dataOf, logIn, type SessionApp, sessionApp } from '../session/app.ts';
import type { Answer, Browser } from '../support/browser.ts';
import { type RedisClient, type RedisServer, startRedis } from '../support/redis-server.ts';

let redis: RedisServer;
const clean: (() => unknown)[] = [];
beforeEach(async () => {
  redis = await startRedis();
});
afterEach(async () => {
  for (const end of clean.splice(0).reverse()) await end();
  await redis.stop();
});

type App = SessionApp & { readonly client: RedisClient; readonly store: AuthStore };

/** Besides the usual: `/private` for who is logged in, and routes that let `meanwhile` happen between their read and their write. */
async function open(meanwhile: () => unknown = () => {}): Promise<App> {
  const client = createClient({
    url: redis.url,
    disableOfflineQueue: true,
    socket: { reconnectStrategy: () => 50 },
  }) as RedisClient;
  client.on('error', () => {});
  client.connect().catch(() => {});
  clean.push(() => client.destroy());
  const store = redisStore(client, { timeout: '250ms' });
  clean.push(() => store.close());
  const app = await sessionApp({
    store,
    routes(express, auth) {
      express.get('/private', requireAuth(), (req, res) => void res.json(dataOf(req).colour ?? null));
      express.get('/change', async (req, res) => {
        dataOf(req).colour = 'changed';
        await meanwhile();
        res.json('done');
      });
      express.post('/login-late', async (req, res) => {
        await meanwhile();
        await auth.login(req, res, { subject: 'late' });
        res.json('done');
      });
      express.post('/logout-late', async (req, res) => {
        await meanwhile();
        await auth.logout(req, res);
        res.json('done');
      });
    },
  });
  clean.push(() => app.server.close());
  return Object.assign(app, { client, store });
}

/** 503, soon, and nothing that makes a client throw its cookie away. */
async function expectUnavailable(asked: () => Promise<Answer>): Promise<void> {
  const begun = performance.now();
  const answer = await asked();
  expect(performance.now() - begun).toBeLessThan(2_000);
  expect([answer.status, answer.json, answer.headers['retry-after']]).toEqual([
    503,
    { error: 'store_unavailable', error_description: 'the login store cannot be reached, try again shortly' },
    '1',
  ]);
  expect(answer.cookies).toEqual([]);
  expect(answer.text).not.toMatch(/127\.0\.0\.1|ECONN|redis/i);
}

/** Redis answers this process again. */
async function untilBack({ store }: App): Promise<void> {
  await expect
    .poll(
      () =>
        store.logins('nobody').then(
          () => 'back',
          () => 'away',
        ),
      { timeout: 15_000 },
    )
    .toBe('back');
}

async function loggedIn(app: App): Promise<Browser> {
  await app.store.ready();
  const client = app.browser();
  await logIn(client);
  expect((await client.get('/set?colour=red')).status).toBe(200);
  return client;
}

const faults: [name: string, begin: () => unknown, end: () => unknown][] = [
  ['frozen (SIGSTOP)', () => redis.freeze(), () => redis.thaw()],
  ['killed (SIGKILL), and another empty one in its place', () => redis.kill(), () => redis.restart()],
];

describe.each(faults)('A-R02, A-R03: Redis is %s:', (name, begin, end) => {
  const dataLost = name.startsWith('killed');

  test('whoever shows a session cookie gets 503 and keeps it; afterwards it is judged as before', async () => {
    const app = await open();
    const client = await loggedIn(app);
    const cookie = client.jar.get(COOKIE);
    await begin();
    // Where nothing is required too.
    for (const path of ['/private', '/me', '/data', '/set?colour=blue']) {
      await expectUnavailable(() => client.get(path));
    }
    for (const path of ['/auth/logins', '/private']) await expectUnavailable(() => client.get(path));
    expect(client.jar.get(COOKIE)).toBe(cookie);
    // Who shows nothing is asked nothing.
    expect((await app.browser().get('/me')).json.subject).toBeNull();
    expect((await app.browser().get('/private')).status).toBe(401);

    await end();
    await untilBack(app);
    expect(await client.get('/private')).toMatchObject(dataLost ? { status: 401 } : { status: 200, json: 'red' });
    if (dataLost) await logIn(client);
    expect((await client.get('/set?colour=green')).json).toEqual({ colour: 'green' });
    expect((await client.get('/private')).json).toBe('green');
  });

  test('many at once are all answered', async () => {
    const app = await open();
    const client = await loggedIn(app);
    await begin();
    await Promise.all(Array.from({ length: 50 }, () => expectUnavailable(() => client.copy().get('/private'))));
    await end();
    await untilBack(app);
    const answers = await Promise.all(Array.from({ length: 50 }, () => client.copy().get('/private')));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([dataLost ? 401 : 200]));
  });

  test('a login is 503, sets no cookie, and is not left standing', async () => {
    const app = await open(begin);
    const client = await loggedIn(app);
    // Redis goes between the read and the writes.
    const copy = client.copy();
    await expectUnavailable(() => copy.post('/login-late'));
    await expectUnavailable(() => app.browser().post('/login', { subject: 'late' }));
    await expectUnavailable(() => client.post('/login', { subject: 'late' }));
    expect([...copy.jar]).toEqual([...client.jar]);
    await end();
    await untilBack(app);
    // A command that was on its way may run at the thaw; nobody has its cookie, and it is ended.
    await expect.poll(() => app.store.logins('late'), { timeout: 10_000 }).toEqual([]);
    expect((await client.get('/private')).status).toBe(dataLost ? 401 : 200);
    await logIn(app.browser(), { subject: 'late' });
    expect(await app.store.logins('late')).toHaveLength(1);
  });

  test('a request that changed req.session is 503 and no success, a visitor gets no cookie for it', async () => {
    const app = await open(begin);
    const client = await loggedIn(app);
    await expectUnavailable(() => client.get('/change'));
    await expectUnavailable(() => app.browser().get('/set?colour=blue'));
    await end();
    await untilBack(app);
    const answer = await client.get('/private');
    expect(answer.status).toBe(dataLost ? 401 : 200);
    // What was on its way may have arrived: it was asked for.
    if (!dataLost) expect(['red', 'changed']).toContain(answer.json);
    const visitor = app.browser();
    expect((await visitor.get('/set?colour=blue')).status).toBe(200);
    expect((await visitor.get('/data')).json).toEqual({ colour: 'blue' });
  });

  test('a login that is half written then is 503, and does not stand though Redis writes the rest at the thaw', async () => {
    const app = await open();
    await loggedIn(app);
    const client = app.browser();
    atRecordOf('half', app.client, begin);
    await expectUnavailable(() => client.post('/login', { subject: 'half' }));
    expect([...client.jar]).toEqual([]);
    await end();
    await untilBack(app);
    await expect.poll(() => app.store.logins('half'), { timeout: 10_000 }).toEqual([]);
    await sleep(100);
    expect(await app.store.logins('half')).toEqual([]);
  });

  test('a logout is 503 and keeps the cookie, but is still tried, and holds in the end', async () => {
    const app = await open(begin);
    const client = await loggedIn(app);
    const cookies = [...client.jar];
    await expectUnavailable(() => client.post('/logout-late'));
    await expectUnavailable(() => client.post('/auth/logout'));
    expect([...client.jar]).toEqual(cookies);
    await end();
    await untilBack(app);
    await expect.poll(() => app.store.logins('ann'), { timeout: 10_000 }).toEqual([]);
    expect((await client.get('/private')).status).toBe(401);
    await logIn(client);
    expect((await client.get('/private')).status).toBe(200);
  });
});

/** Acts when the record of this subject's login is about to be sent: its name is written by then. */
function atRecordOf(subject: string, client: RedisClient, act: () => unknown): void {
  const send = client.sendCommand.bind(client);
  client.sendCommand = ((...args: Parameters<typeof send>) => {
    if (String(args[0]).includes(`"subject":"${subject}"`)) void act();
    return send(...args);
  }) as typeof send;
}

test('A-R01: a process started while Redis is away answers 503, and heals by itself', async () => {
  const cookies = [...(await loggedIn(await open())).jar];
  await redis.kill();
  const app = await open();
  const client = app.browser();
  for (const [name, value] of cookies) client.jar.set(name, value);
  await expectUnavailable(() => client.get('/private'));
  await expectUnavailable(() => app.browser().post('/login', {}));
  expect((await app.browser().get('/me')).status).toBe(200);
  await sleep(300);
  await expectUnavailable(() => client.get('/private'));
  expect([...client.jar]).toEqual(cookies);
  await redis.restart();
  await untilBack(app);
  expect((await client.get('/private')).status).toBe(401);
  await logIn(client);
  expect((await client.get('/private')).status).toBe(200);
});

test('A-R01: a process started while Redis stands still knows old cookies once it goes on', async () => {
  const cookies = [...(await loggedIn(await open())).jar];
  redis.freeze();
  const app = await open();
  const client = app.browser();
  for (const [name, value] of cookies) client.jar.set(name, value);
  await expectUnavailable(() => client.get('/private'));
  await expectUnavailable(() => app.browser().post('/login', {}));
  redis.thaw();
  await untilBack(app);
  expect(await client.get('/private')).toMatchObject({ status: 200, json: 'red' });
});
