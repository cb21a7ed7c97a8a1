import { afterAll, beforeAll, expect, test } from 'vitest';
import { startWatchedRedis, type WatchedRedis } from '../support/redis-sentinels.ts';
import { startProxy } from '../support/tcp-proxy.ts';
import { type App, bearer, logIn, refresh, revokeTokenOf, startApp, statusesOf, type User } from './three-modes.ts';

// In the order in which they stand: who is the primary changes.

const PATIENT = { timeout: 20_000, interval: 20 };

let redis: WatchedRedis;
let apps: [App, App];
let users: User[];
const dead: ReturnType<typeof bearer>[] = [];
beforeAll(async () => {
  redis = await startWatchedRedis();
  apps = await Promise.all([newApp(), newApp()]);
  users = await Promise.all(['ann', 'bob', 'cat'].map((name) => logIn(apps[0], name)));
}, 60_000);
afterAll(async () => {
  for (const app of apps ?? []) await app.stop();
  await redis?.stop();
});

async function newApp(options?: Parameters<WatchedRedis['client']>[0]): Promise<App> {
  const app = await startApp(await redis.client(options), { prefix: 's:', timeout: '500ms' });
  await app.store.ready();
  return app;
}

const statusOf = async (app: App, headers: Record<string, string>, path = '/jwt') =>
  (await app.ask('GET', path, headers)).status;

/** What came of it: an error as text. */
const outcomeOf = (work: Promise<unknown>) => work.then((value) => value ?? 'done', String);

/** Takes a token back at one process, and waits until the other refuses it. */
async function revokeOne(here: App, there: App): Promise<void> {
  const token = bearer(here.issue({ subject: 'one' }));
  await expect.poll(() => statusOf(there, token), PATIENT).toBe(200);
  await expect.poll(() => outcomeOf(revokeTokenOf(here, token)), PATIENT).toBe('done');
  await expect.poll(() => statusOf(here, token), PATIENT).toBe(401);
  await expect.poll(() => statusOf(there, token), PATIENT).toBe(401);
  dead.push(token);
}

/** What has to be so whoever is the primary. */
async function allIsWell(): Promise<void> {
  const [here, there] = apps;
  for (const app of apps) {
    for (const user of users) {
      await expect.poll(() => statusesOf(app, user), PATIENT).toEqual([200, 200, 200, 200]);
      await expect.poll(async () => (await refresh(app, user)).status, PATIENT).toBe(200);
      await expect.poll(() => outcomeOf(app.store.logins(user.subject)), PATIENT).toHaveLength(2);
    }
    for (const token of dead) await expect.poll(() => statusOf(app, token), PATIENT).toBe(401);
  }
  await expect.poll(async () => (await redis.primary()).cli('PUBSUB', 'NUMSUB', 's:bell'), PATIENT).toBe('s:bell\n2');
  await revokeOne(here, there);
  await revokeOne(there, here);
}

/** Goes on asking while something happens; tells every answer that is neither right nor 503. */
async function during(happening: () => Promise<void>): Promise<string[]> {
  const wrong: string[] = [];
  let going = true;
  const judge = (what: string, status: number, right: number) => {
    if (status !== right && status !== 503) wrong.push(`${what}: ${status}`);
  };
  const asking = apps.map(async (app) => {
    while (going) {
      for (const user of users) {
        for (const status of await statusesOf(app, user)) judge(user.subject, status, 200);
      }
      for (const token of dead) judge('revoked', await statusOf(app, token), 401);
    }
  });
  await happening();
  going = false;
  await Promise.all(asking);
  return wrong;
}

test('every mode works over a sentinel client, and the bell is heard over another', allIsWell);

test('L13, A-R18: when primary and replica change places, answers are right or 503, and all is well by itself', async () => {
  const before = await redis.primary();
  expect(await during(() => redis.swap())).toEqual([]);
  expect(await redis.primary()).not.toBe(before);
  await allIsWell();
}, 60_000);

test('L13, A-R17: when the primary dies, 503 with Retry-After turns good by itself once a replica is promoted, and every revocation is still known', async () => {
  const [app] = apps;
  const [user] = users as [User];
  const before = await redis.primary();
  const wrong = await during(async () => {
    await before.kill();
    const seen = async () => {
      const { status, retryAfter } = await app.ask('GET', '/session', user.cookie);
      return [status, retryAfter !== null];
    };
    await expect.poll(seen, PATIENT).toEqual([503, true]);
    await expect.poll(seen, PATIENT).toEqual([200, false]);
  });
  expect(wrong).toEqual([]);
  expect(await redis.primary()).not.toBe(before);
  await allIsWell();
}, 60_000);

test('L13: a client that lost the primary, and gave up, finds it again', async () => {
  const primary = await redis.primary();
  const proxy = await startProxy(primary.port);
  const app = await newApp({
    maxCommandRediscovers: 1,
    nodeAddressMap: (address) =>
      address.endsWith(`:${primary.port}`) ? { host: '127.0.0.1', port: proxy.port } : undefined,
  });
  const token = bearer(app.issue({ subject: 'one' }));
  proxy.refuse();
  await expect.poll(() => outcomeOf(revokeTokenOf(app, token)), PATIENT).toContain('StoreUnavailable');
  // Two tries, a second apart, and it looks no more.
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  proxy.heal();
  await expect.poll(() => statusOf(app, users[0]?.cookie ?? {}, '/session'), PATIENT).toBe(200);
  await app.stop();
  await proxy.stop();
}, 60_000);
