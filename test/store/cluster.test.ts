import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { slotOf } from '../../lib/store/redis-cluster.ts';
import { migrate, type RedisCluster, startCluster } from '../support/redis-cluster.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { hearWarnings } from '../support/warnings.ts';
import {
  type App,
  bearer,
  ISSUER,
  logIn,
  refresh,
  revokeTokenOf,
  startApp,
  statusesOf,
  type User,
} from './three-modes.ts';

// In the order in which they stand: what happens to the cluster stays.

const USERS = 24;
const PATIENT = { timeout: 15_000, interval: 20 };

let cluster: RedisCluster;
let apps: [App, App];
let users: User[];
beforeAll(async () => {
  cluster = await startCluster();
  apps = (await Promise.all([1, 2].map(() => newApp()))) as [App, App];
  users = await Promise.all(Array.from({ length: USERS }, (_, n) => logIn(apps[n % 2] as App, `user-${n}`)));
}, 40_000);
afterAll(async () => {
  for (const app of apps ?? []) await app.stop();
  await cluster?.stop();
});

async function newApp(options: Parameters<typeof startApp>[1] = {}): Promise<App> {
  const app = await startApp(await cluster.client(), { prefix: 'c:', timeout: '500ms', ...options });
  await app.store.ready();
  return app;
}

const refusalsOf = (master: RedisServer) => master.cli('INFO', 'errorstats');
const keysOf = async (master: RedisServer, pattern: string) => (await master.cli('KEYS', pattern)).split('\n');
const masterOfLog = async () => cluster.masterOf(slotOf('c:{log}:set'));
/** All four ways of a user, at a process. */
const answers = (app: App, user: User) => expect.poll(() => statusesOf(app, user), PATIENT);

test('the slot of a key is what Redis says', async () => {
  for (const key of ['c:{log}:set', ...(await keysOf(cluster.masters[0] as RedisServer, 'c:subject:*'))]) {
    expect(slotOf(key)).toBe(await cluster.slotOf(key));
  }
});

test('L12, A-R16: on three masters every mode works, wherever the keys of a user lie', async () => {
  for (const master of cluster.masters) {
    for (const kind of ['login', 'row', 'subject']) expect(await keysOf(master, `c:${kind}:*`)).not.toEqual(['']);
  }
  for (const [n, user] of users.entries()) {
    const [app, other] = n % 2 === 0 ? apps : [apps[1], apps[0]];
    for (const each of apps) expect(await statusesOf(each, user)).toEqual([200, 200, 200, 200]);
    expect((await refresh(other, user)).status).toBe(200);
    const sids = (await other.store.logins(user.subject)).map(({ sid }) => sid);
    expect(sids.sort()).toEqual([user.sid, user.hybridSid].sort());
    expect((await app.ask('GET', '/auth/session/logins', user.cookie)).json).toHaveLength(2);
  }
});

test('L12: rows are listed from all masters', async () => {
  const sessions = apps[0].store.sessions();
  const rows = await promisify(
    sessions.all?.bind(sessions) as never as (done: (e: unknown, all: object[]) => void) => void,
  )();
  expect(rows).toHaveLength(USERS);
});

test('logout ends the login at both processes', async () => {
  const user = await logIn(apps[0], 'leaver');
  expect((await apps[0].ask('POST', '/auth/session/logout', user.cookie)).status).toBe(204);
  expect((await apps[0].ask('POST', '/auth/hybrid/logout', user.bearer)).status).toBe(204);
  for (const app of apps) {
    await expect.poll(async () => (await app.ask('GET', '/session', user.cookie)).status, PATIENT).toBe(401);
    expect((await refresh(app, user)).json.error).toBe('invalid_grant');
  }
  await answers(apps[0], user).toEqual([401, 401, 401, 200]);
  expect(await apps[1].store.logins('leaver')).toEqual([]);
});

test('L12, D01: the bell is heard over the client of another process, and what was taken back is refused there', async () => {
  await expect
    .poll(async () => {
      const counts = await Promise.all(cluster.masters.map((each) => each.cli('PUBSUB', 'NUMSUB', 'c:bell')));
      return counts.reduce((sum, count) => sum + Number(count.split('\n')[1]), 0);
    }, PATIENT)
    .toBe(2);
  const [here] = apps;
  const [token, login, subject] = [await logIn(here, 'tom'), await logIn(here, 'lea'), await logIn(here, 'sue')];
  await revokeTokenOf(here, token.issued);
  for (const sid of [login.sid, login.hybridSid]) await here.store.revokeLogin({ subject: 'lea', sid });
  await here.store.revokeSubject('sue');
  for (const app of apps) {
    await answers(app, token).toEqual([200, 200, 200, 401]);
    await answers(app, login).toEqual([401, 401, 401, 200]);
    await answers(app, subject).toEqual([401, 401, 401, 401]);
  }
});

test('L12, D01: so is a key, and who signs with it can no longer', async () => {
  const app = await newApp({ kid: 'leaked' });
  const user = await logIn(app, 'kim');
  await apps[0].store.revokeKey({ issuer: ISSUER, kid: 'leaked' });
  await answers(app, user).toEqual([200, 401, 401, 401]);
  expect(() => app.issue({ subject: 'kim' })).toThrow('was revoked');
  await app.stop();
});

test('L11: settings that lose revocations are warned of, though but one master has them', async () => {
  const warnings = hearWarnings('Redis has');
  const [, , last] = cluster.masters as [RedisServer, RedisServer, RedisServer];
  await last.cli('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru');
  const app = await newApp();
  await expect.poll(() => warnings.map(({ code }) => code), PATIENT).toEqual(['PORTCULLIS_EVICTION']);
  await last.cli('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
  await app.stop();
});

/** Uses all logins of these users at both processes, all the time, and collects what is neither right nor 503. */
function traffic(busy: readonly User[]) {
  const wrong: string[] = [];
  const dead: ReturnType<typeof bearer>[] = [];
  let [going, rounds] = [true, 0];
  const judge = (what: string, status: number, right: number) => {
    if (status !== right && status !== 503) wrong.push(`${what}: ${status}`);
  };
  async function use(user: User): Promise<void> {
    while (going) {
      for (const app of apps) {
        for (const status of await statusesOf(app, user)) judge(user.subject, status, 200);
        judge(`${user.subject} refresh`, (await refresh(app, user)).status, 200);
        judge(`${user.subject} logins`, (await app.ask('GET', '/auth/session/logins', user.cookie)).status, 200);
      }
      // Whoever took it back never takes it again.
      for (const headers of [...dead]) judge('revoked', (await apps[0].ask('GET', '/jwt', headers)).status, 401);
      rounds += 1;
    }
  }
  const all = Promise.all(busy.map(use));
  return {
    wrong,
    dead,
    /** Until each user has been through it, more or less. */
    async aWhile() {
      const enough = rounds + busy.length;
      await expect.poll(() => rounds, PATIENT).toBeGreaterThanOrEqual(enough);
    },
    async stop() {
      going = false;
      await all;
    },
  };
}

test('A-R15, L13: while slots move under load, answers are right or 503; no revocation is forgotten and no login lost', {
  timeout: 60_000,
}, async () => {
  const busy = users.slice(0, 4);
  const [first, second, third] = busy as [User, User, User];
  const load = traffic(busy);
  const moving = [
    `c:login:{${first.sid}}`,
    `c:login:{${second.hybridSid}}`,
    (await keysOf(await cluster.masterOf(0), 'c:subject:*'))[0] as string,
    'c:{log}:set',
  ];
  for (const key of moving) {
    const from = await cluster.masterOf(slotOf(key));
    const to = cluster.masters.find((each) => each !== from) as RedisServer;
    await migrate(cluster, slotOf(key), {
      from,
      to,
      async between() {
        await load.aWhile();
        const token = bearer(apps[0].issue({ subject: third.subject }));
        // One that rejects is not forgotten: it is tried until it expires.
        await revokeTokenOf(apps[0], token).catch(() => undefined);
        load.dead.push(token);
      },
    });
    expect(await cluster.masterOf(slotOf(key))).toBe(to);
  }
  await load.aWhile();
  await load.stop();
  expect(load.wrong).toEqual([]);
  for (const app of apps) {
    for (const user of busy) await answers(app, user).toEqual([200, 200, 200, 200]);
    for (const headers of load.dead) {
      await expect.poll(async () => (await app.ask('GET', '/jwt', headers)).status, PATIENT).toBe(401);
    }
  }
  for (const user of busy) expect((await refresh(apps[1], user)).status).toBe(200);
  // So both have met the log where it is now.
  for (const app of apps) await revokeTokenOf(app, bearer(app.issue({ subject: 'one' })));
});

test('A-R15: whoever asks for a login while its keys are on two masters waits until they are on one', async () => {
  const app = await newApp({ timeout: '15s' });
  const { sid, cookie } = await logIn(app, 'mover');
  const from = await cluster.masterOf(slotOf(`{${sid}}`));
  const to = cluster.masters.find((each) => each !== from) as RedisServer;
  let moved = 0;
  let asked: ReturnType<App['ask']> | undefined;
  await migrate(cluster, slotOf(`{${sid}}`), {
    from,
    to,
    async between() {
      if (moved++ !== 1) return;
      await from.cli('CONFIG', 'RESETSTAT');
      asked = app.ask('GET', '/session', cookie);
      // On its way to Redis.
      await expect.poll(() => refusalsOf(from), PATIENT).toContain('TRYAGAIN');
    },
  });
  expect((await asked)?.status).toBe(200);
  await app.stop();
});

test('L13, A-R18: what lives on a master that is gone answers 503 with Retry-After, and others go on', async () => {
  const log = await masterOfLog();
  const victim = cluster.masters.find((each) => each !== log) as RedisServer;
  const lost = new Set(await keysOf(victim, 'c:login:*'));
  const isLost = (sid: string) => lost.has(`c:login:{${sid}}`);
  expect(new Set(users.map(({ sid }) => isLost(sid))).size).toBe(2);
  await victim.kill();
  const app = apps[0];
  for (let round = 0; round < 3; round++) {
    for (const user of users) {
      const session = await app.ask('GET', '/session', user.cookie);
      expect([session.status, session.retryAfter !== null]).toEqual(isLost(user.sid) ? [503, true] : [200, false]);
      const refreshed = await refresh(app, user);
      expect([refreshed.status, refreshed.retryAfter !== null]).toEqual(
        isLost(user.hybridSid) ? [503, true] : [200, false],
      );
      // It is known by its signature and the log.
      expect((await app.ask('GET', '/jwt', user.issued)).status).toBe(200);
    }
  }
  const [one] = users as [User];
  await revokeTokenOf(app, one.issued);
  await expect.poll(async () => (await apps[1].ask('GET', '/jwt', one.issued)).status, PATIENT).toBe(401);
});

test('L13: after a failover of the master with the log all is well by itself, and revocations are still known', async () => {
  const log = await masterOfLog();
  const replica = await cluster.addReplica(log);
  const here = new Set(await keysOf(log, 'c:login:*'));
  const user = users.find(({ sid }) => here.has(`c:login:{${sid}}`)) as User;
  const [revoked, good] = [bearer(apps[0].issue({ subject: 'one' })), bearer(apps[0].issue({ subject: 'one' }))];
  await revokeTokenOf(apps[0], revoked);
  await log.kill();
  expect([401, 503]).toContain((await apps[0].ask('GET', '/jwt', revoked)).status);
  expect(await replica.cli('CLUSTER', 'FAILOVER', 'TAKEOVER')).toBe('OK');
  for (const app of apps) {
    await expect.poll(async () => (await app.ask('GET', '/session', user.cookie)).status, PATIENT).toBe(200);
    await expect.poll(async () => (await app.ask('GET', '/jwt', revoked)).status, PATIENT).toBe(401);
  }
  await expect.poll(() => revokeTokenOf(apps[1], good).then(() => 'done', String), PATIENT).toBe('done');
  await expect.poll(async () => (await apps[0].ask('GET', '/jwt', good)).status, PATIENT).toBe(401);
});
