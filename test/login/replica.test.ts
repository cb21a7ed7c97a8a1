import { setTimeout as sleep } from 'node:timers/promises';
import { type AuthStore, type RedisStoreOptions, redisStore, StoreUnavailable } from 'portcullis';
import type { RedisClientOptions } from 'redis';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { cutOffOf, idOf } from '../../lib/login/revocation.ts';
import { newLogin } from '../store/new-login.ts';
import { startProcess, type TestProcess } from '../support/processes.ts';
import { type RedisClient, type RedisServer, startRedis } from '../support/redis-server.ts';
import { entryFor, knows, replicaOf, revoke } from './taken-back.ts';

const CHILD = new URL('./replica.child.ts', import.meta.url);

let redis: RedisServer;
let operator: RedisClient;
let worlds = 0;
let prefix: string;
let warnings: (Error & { code?: string })[];
const opened: AuthStore[] = [];
const processes: TestProcess[] = [];
const hearWarning = (warning: Error) => void warnings.push(warning);

beforeAll(async () => {
  redis = await startRedis();
  operator = await redis.client();
  process.on('warning', hearWarning);
});
afterAll(async () => {
  process.off('warning', hearWarning);
  await redis.stop();
});
beforeEach(() => {
  prefix = `world-${worlds++}:`;
  warnings = [];
});
afterEach(async () => {
  redis.thaw();
  await Promise.all([
    ...opened.splice(0).map((store) => store.close()),
    ...processes.splice(0).map((each) => each.stop()),
  ]);
});

/** One more process, as far as Redis is concerned. */
async function newStore(options: RedisStoreOptions = {}, clientOptions: RedisClientOptions = {}): Promise<AuthStore> {
  const store = redisStore(await redis.client(clientOptions), {
    prefix,
    timeout: '1s',
    maxStaleness: '1s',
    ...options,
  });
  opened.push(store);
  return store;
}

async function readyStore(options: RedisStoreOptions = {}, clientOptions: RedisClientOptions = {}): Promise<AuthStore> {
  const store = await newStore(options, clientOptions);
  await store.ready();
  return store;
}

async function newProcess(env: Record<string, string> = {}): Promise<TestProcess> {
  const child = await startProcess(CHILD, { env: { REDIS_URL: redis.url, PREFIX: prefix, ...env } });
  processes.push(child);
  return child;
}

const keys = () => ({ set: `${prefix}{log}:set`, news: `${prefix}{log}:news`, bell: `${prefix}bell` });
/** The revocations in the set, without what the log says of itself. */
const standing = async () =>
  (await operator.zRange(keys().set, 0, -1)).filter((member) => /^[tsku]:/.test(String(member)));
interface News {
  readonly id: string;
  readonly message: { readonly m: string };
}
const entriesOfNews = async (from = '-') => (await operator.xRange(keys().news, from, '+')) as unknown as News[];
const news = async (from?: string) => (await entriesOfNews(from)).map(({ message }) => message.m);
const eventually = (check: () => unknown) => expect.poll(check, { timeout: 5_000, interval: 10 });
const polls = () => warnings.filter(({ code }) => code === 'PORTCULLIS_POLLING').length;

test('D01: what one process takes back is known in the others', async () => {
  const [one, other] = await Promise.all([newProcess(), newProcess()]);
  await Promise.all([one.call('ready'), other.call('ready')]);
  await one.call('revoke', 'a');
  expect(await one.call('knows', 'a')).toBe(true);
  await eventually(() => other.call('knows', 'a')).toBe(true);
  expect(await other.call('knows', 'b')).toBe(false);
});

test('D05: a bell that nobody heard delays the news to the next heartbeat, and loses nothing', async () => {
  const store = await readyStore();
  const { member, expiresAt } = entryFor('silent');
  await operator.zAdd(keys().set, { score: expiresAt, value: member });
  await operator.xAdd(keys().news, '*', { m: member, x: String(expiresAt) });
  await eventually(() => knows(store, 'silent')).toBe(true);
});

test.each([
  ['FLUSHALL', () => operator.flushAll()],
  ['DEL of the set', () => operator.del(keys().set)],
  ['DEL of the news', () => operator.del(keys().news)],
  ['DEL of both', () => operator.del([keys().set, keys().news])],
  ['XTRIM of the news', () => operator.xTrim(keys().news, 'MAXLEN', 0)],
  ['a restart, empty', () => redis.restart()],
] as [string, () => Promise<unknown>][])(
  'D05, A-R07: after %s what living processes know is put back, once',
  async (_what, lose) => {
    const stores = [await readyStore(), await readyStore(), await readyStore()] as const;
    await Promise.all(Array.from({ length: 30 }, (_, at) => revoke(stores[at % 3] as AuthStore, `token-${at}`)));
    await stores[0].revokeSubject('somebody');
    await stores[1].revokeKey({ issuer: 'issuer', kid: 'k1' });
    for (const store of stores) await eventually(() => store.health().revocations).toBe(32);
    const before = (await standing()).sort();
    expect(before).toHaveLength(32);
    const last = (await entriesOfNews()).at(-1)?.id;
    await lose();
    await eventually(async () => (await standing().catch(() => [])).sort()).toEqual(before);
    // All have looked by now.
    for (const store of stores) await eventually(() => store.health().fresh).toBe(true);
    await sleep(400);
    const toldSince = (await news(`(${last}`)).filter((member) => before.includes(member));
    expect(new Set(toldSince).size).toBe(toldSince.length);
    expect((await standing()).sort()).toEqual(before);
    const late = await readyStore();
    expect(late.health().revocations).toBe(32);
    expect(knows(late, 'token-17')).toBe(true);
  },
);

test('D05, A-R11: a reader that stood still for more news than are kept reads all of them', async () => {
  const reader = await newProcess();
  await reader.call('ready');
  reader.freeze();
  const writer = replicaOf(await readyStore({ timeout: '10s' }));
  const entries = Array.from({ length: 12_000 }, (_, at) => entryFor(`many-${at}`));
  await writer.revoke(entries);
  expect(await operator.xLen(keys().news)).toBe(10_000);
  reader.thaw();
  for (const jti of ['many-0', 'many-6000', 'many-11999']) await eventually(() => reader.call('knows', jti)).toBe(true);
});

test('a set of many pages is read whole by a new process', async () => {
  const writer = replicaOf(await readyStore({ timeout: '10s' }));
  await writer.revoke(Array.from({ length: 5_000 }, (_, at) => entryFor(`paged-${at}`)));
  expect((await readyStore()).health().revocations).toBe(5_000);
});

test('D06: a process that has not read the set once is not trusted, and heals by itself', async () => {
  await revoke(await readyStore(), 'a');
  const client = await redis.client();
  redis.freeze();
  const store = redisStore(client, { prefix, timeout: '100ms' });
  opened.push(store);
  await expect(replicaOf(store).settle()).rejects.toThrow(StoreUnavailable);
  expect(store.health()).toEqual({ fresh: false, staleness: Number.POSITIVE_INFINITY, revocations: 0 });
  redis.thaw();
  await store.ready();
  await replicaOf(store).settle();
  expect(knows(store, 'a')).toBe(true);
});

test('L08, A-R01: a process that was started without Redis heals once it is there', async () => {
  await redis.kill();
  const child = await newProcess();
  await expect(child.call('knowsOnceSettled', 'a')).rejects.toMatchObject({ name: 'StoreUnavailable', status: 503 });
  await redis.restart();
  await child.call('ready');
  expect(await child.call('knowsOnceSettled', 'a')).toBe(false);
});

test('D07, D08, A-R03: while Redis stands still what is known is trusted up to maxStaleness, then 503; it heals by itself', async () => {
  const store = await readyStore({ timeout: '100ms', maxStaleness: '2s' });
  await revoke(store, 'a');
  redis.freeze();
  await replicaOf(store).settle();
  await eventually(() => store.health().fresh).toBe(false);
  await replicaOf(store).settle();
  await eventually(() =>
    replicaOf(store)
      .settle()
      .then(
        () => 'trusted',
        (error) => error.code,
      ),
  ).toBe('store_unavailable');
  await expect(replicaOf(store).settle()).rejects.toBeInstanceOf(StoreUnavailable);
  expect(knows(store, 'a')).toBe(true);
  redis.thaw();
  await eventually(() =>
    replicaOf(store)
      .settle()
      .then(
        () => 'trusted',
        (error) => error.code,
      ),
  ).toBe('trusted');
});

test('the audit hears that nothing is known any more, and that it is again, once each', async () => {
  const store = await readyStore({ timeout: '100ms', maxStaleness: '400ms' });
  const { partsOf } = await import('../../lib/login/auth-store.ts');
  const heard: string[] = [];
  partsOf('test', store).audits.add(({ type }) => heard.push(type));
  redis.freeze();
  await eventually(() => heard).toEqual(['stale']);
  await sleep(300);
  redis.thaw();
  await eventually(() => heard).toEqual(['stale', 'fresh']);
});

test('many who wait for a proof wait for one reading', async () => {
  const store = await readyStore({ timeout: '2s', maxStaleness: '1s' });
  await operator.sendCommand(['CONFIG', 'RESETSTAT']);
  redis.freeze();
  await eventually(() => store.health().fresh).toBe(false);
  const settling = Promise.allSettled(Array.from({ length: 500 }, () => replicaOf(store).settle()));
  await sleep(50);
  redis.thaw();
  expect((await settling).filter(({ status }) => status === 'fulfilled')).toHaveLength(500);
  const [, scripts] = /cmdstat_evalsha:calls=(\d+)/.exec(await redis.cli('INFO', 'commandstats')) ?? [];
  expect(Number(scripts)).toBeLessThan(10);
});

test('D13: a revocation that could not be stored rejects, holds here at once, and is stored when Redis is back', async () => {
  const [store, other] = [await readyStore({ timeout: '100ms' }), await readyStore()];
  redis.freeze();
  await expect(revoke(store, 'owed')).rejects.toThrow(StoreUnavailable);
  await expect(store.revokeSubject('owed')).rejects.toThrow(StoreUnavailable);
  expect(knows(store, 'owed')).toBe(true);
  redis.thaw();
  await eventually(() => knows(other, 'owed')).toBe(true);
});

test('D13: what was acknowledged and lost before anybody read it is stored again', async () => {
  const store = await readyStore();
  for (let round = 0; round < 20; round++) {
    await revoke(store, `lost-${round}`);
    await operator.del([keys().set, keys().news]);
  }
  const other = await readyStore();
  for (let round = 0; round < 20; round++) await eventually(() => knows(other, `lost-${round}`)).toBe(true);
});

test('A-R24: a process that stood still catches up before it trusts what it knows', async () => {
  const child = await newProcess();
  const store = await readyStore();
  await child.call('ready');
  child.freeze();
  await sleep(1_200);
  // More than one reading holds.
  await replicaOf(store).revoke(Array.from({ length: 3_500 }, (_, at) => entryFor(`meanwhile-${at}`)));
  const answer = child.call('knowsOnceSettled', 'meanwhile-3499');
  child.thaw();
  expect(await answer).toBe(true);
});

test('A-R18: a primary that was demoted cannot pass for the truth', async () => {
  const store = await readyStore({ maxStaleness: '500ms' });
  await redis.cli('REPLICAOF', '127.0.0.1', '1');
  await eventually(() =>
    replicaOf(store)
      .settle()
      .then(
        () => 'trusted',
        (error) => error.code,
      ),
  ).toBe('store_unavailable');
  await expect(revoke(store, 'a')).rejects.toThrow(StoreUnavailable);
  await redis.cli('REPLICAOF', 'NO', 'ONE');
  await eventually(() =>
    replicaOf(store)
      .settle()
      .then(
        () => 'trusted',
        (error) => error.code,
      ),
  ).toBe('trusted');
});

test('A-R17: scripts that Redis forgot are sent again', async () => {
  const store = await readyStore();
  await operator.sendCommand(['SCRIPT', 'FLUSH']);
  await revoke(store, 'a');
  expect(await standing()).toHaveLength(1);
});

test('A-R09: a process whose connection is killed again and again misses nothing', async () => {
  const [one, other] = [await readyStore(), await readyStore()];
  for (let round = 0; round < 10; round++) {
    await operator.sendCommand(['CLIENT', 'KILL', 'SKIPME', 'yes', 'TYPE', round % 2 === 0 ? 'pubsub' : 'normal']);
    await revoke(one, `killed-${round}`).catch(() => {});
  }
  for (let round = 0; round < 10; round++) await eventually(() => knows(other, `killed-${round}`)).toBe(true);
});

test('over RESP2 one asks often, and says so once', async () => {
  const [one, other] = [await readyStore({}, { RESP: 2 as never }), await readyStore()];
  await eventually(polls).toBe(1);
  for (const jti of ['a', 'b']) {
    await revoke(other, jti);
    await eventually(() => knows(one, jti)).toBe(true);
  }
  await revoke(one, 'c');
  await eventually(() => knows(other, 'c')).toBe(true);
  expect(polls()).toBe(1);
});

test('a user without rights to the channel asks often, and so do those that it cannot ring for', async () => {
  await redis.cli('ACL', 'SETUSER', 'deaf', 'on', '>pass', `~${prefix}*`, 'resetchannels', '+@all');
  const reader = await readyStore();
  await sleep(50);
  expect(polls()).toBe(0);
  const deaf = await readyStore({}, { username: 'deaf', password: 'pass' });
  await eventually(polls).toBe(1);
  await revoke(reader, 'a');
  await eventually(() => knows(deaf, 'a')).toBe(true);
  await revoke(deaf, 'b');
  await eventually(() => knows(reader, 'b')).toBe(true);
  await eventually(polls).toBe(2);
  const later = await readyStore();
  await eventually(polls).toBe(3);
  await revoke(deaf, 'c');
  for (const store of [reader, later]) await eventually(() => knows(store, 'c')).toBe(true);
});

test('a user that may neither say hello nor publish follows all the same', async () => {
  await redis.cli('ACL', 'SETUSER', 'bare', 'on', '>pass', `~${prefix}*`, '+@all', '-hello', '-publish', '-subscribe');
  const bare = await readyStore({}, { username: 'bare', password: 'pass', RESP: 2 as never });
  await eventually(polls).toBe(1);
  await revoke(bare, 'a');
  await revoke(await readyStore(), 'b');
  await eventually(() => knows(bare, 'b')).toBe(true);
});

test('D16: garbage on the channel, in the set and in the news harms nobody', async () => {
  const [one, other] = [await readyStore(), await readyStore()];
  await revoke(one, 'a');
  const { set, news: newsKey, bell } = keys();
  for (const text of ['', '{', 't:x', '\u0000'.repeat(100_000)]) await operator.publish(bell, text);
  const id = 'A'.repeat(22);
  for (const value of [
    '',
    't:',
    `t:${id}x`,
    `u:${id}`,
    `u:${id}:`,
    `u:${id}:-1`,
    `x:${id}`,
    '\r\n',
    'x'.repeat(100_000),
  ]) {
    for (const score of [0, -1, Date.now() + 60_000, 1e300]) await operator.zAdd(set, { score, value });
    await operator.xAdd(newsKey, '*', { m: value, x: 'never' });
  }
  for (const value of ['life:1e300', 'life:nan', 'life:', 'life:-1', 'life:inf', 'strange']) {
    await operator.sendCommand(['ZADD', set, '+inf', value]);
  }
  await operator.sendCommand(['ZADD', set, '-inf', 'stranger']);
  await operator.sendCommand(['ZADD', set, '+inf', `t:${id}`]);
  await operator.xAdd(newsKey, '*', { a: 'b' });
  await revoke(one, 'b');
  await one.revokeSubject('somebody');
  await eventually(() => knows(other, 'b')).toBe(true);
  const late = await readyStore();
  expect([knows(late, 'a'), knows(late, 'b'), late.health().revocations]).toEqual([true, true, 3]);
  const cutOff = cutOffOf(idOf.subject(undefined, 'somebody'), undefined);
  const [member] = (await standing()).filter((each) => String(each).startsWith(`${cutOff}:`));
  expect(await operator.zScore(set, String(member))).toBeLessThan(Date.now() + 2 * 86_400_000);
});

test('an epoch that somebody put into the set makes everybody read it once more, and no more', async () => {
  const store = await readyStore();
  await revoke(store, 'a');
  await operator.sendCommand(['ZADD', keys().set, '+inf', 'epoch:0']);
  await sleep(50);
  await revoke(store, 'b');
  const late = await readyStore();
  expect([knows(late, 'a'), knows(late, 'b')]).toEqual([true, true]);
  await eventually(() => store.health().fresh).toBe(true);
});

test('the same taken back again and again, by everybody, grows nothing', async () => {
  const stores = await Promise.all([1, 2, 3].map(() => readyStore()));
  const entry = entryFor('same');
  const again = () => Promise.all(stores.map((store) => replicaOf(store).revoke([entry])));
  await again();
  const [members, told] = [await standing(), await news()];
  for (let round = 0; round < 50; round++) await again();
  expect([await standing(), await news()]).toEqual([members, told]);
  for (const store of stores) expect(store.health().revocations).toBe(1);
});

test('what has expired is forgotten, here and in the log', async () => {
  const store = await readyStore();
  // As though it had been appended more than a minute ago.
  const past = Array.from({ length: 50 }, (_, at) => ({
    score: Date.now() - 70_000,
    value: entryFor(`old-${at}`).member,
  }));
  await operator.zAdd(keys().set, past);
  await replicaOf(store).revoke([entryFor('short', 100)]);
  for (let round = 0; round < 3; round++) await revoke(store, `new-${round}`);
  expect(await standing()).toHaveLength(4);
  await eventually(() => knows(store, 'short')).toBe(false);
});

test('H13, A-H16: processes whose clocks differ by hours agree on what revokeSubject took back', async () => {
  const shifted = (hours: number) => ({
    NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(
      `const now = Date.now; Date.now = () => now() + ${hours} * 3600000;`,
    )}`,
  });
  const [ahead, behind, right] = await Promise.all([newProcess(shifted(2)), newProcess(shifted(-2)), newProcess()]);
  const all = [ahead, behind, right] as const;
  await Promise.all(all.map((each) => each.call('ready')));
  expect((await ahead.call('clock')) - (await behind.call('clock'))).toBeGreaterThan(3 * 3_600_000);
  for (const revoker of all) {
    const subject = newLogin().subject;
    const before: number[] = await Promise.all(all.map((each) => each.call('stamp')));
    await sleep(20);
    await revoker.call('revokeSubject', subject);
    await sleep(20);
    const after: number[] = await Promise.all(all.map((each) => each.call('stamp')));
    for (const judge of all) {
      for (const stamp of before) await eventually(() => judge.call('isDead', subject, stamp)).toBe(true);
      for (const stamp of after) expect(await judge.call('isDead', subject, stamp)).toBe(false);
    }
  }
});

test('what is issued by the revoker itself once revokeSubject resolved lives, in the same millisecond or the next', async () => {
  const store = await readyStore();
  const { clock, revocations } = replicaOf(store);
  for (let round = 0; round < 30; round++) {
    const subject = newLogin().subject;
    const reach = (stamp: number) =>
      revocations.reach({ subjects: [idOf.subject(undefined, subject)], stamp, issuedAt: 0, leeway: 0 });
    const before = Math.floor(clock.now()) - 1;
    await store.revokeSubject(subject);
    expect([reach(before), reach(Math.floor(clock.now()))]).toEqual([true, false]);
  }
});

test('closed, a store hears nothing more and asks nothing more', async () => {
  const store = await readyStore({ maxStaleness: '200ms' });
  await store.close();
  await revoke(await readyStore(), 'a');
  await sleep(300);
  expect([knows(store, 'a'), store.health().fresh]).toEqual([false, false]);
});

test('closed while Redis stands still, a store is closed all the same', async () => {
  const store = await readyStore({ timeout: '100ms' });
  redis.freeze();
  await store.close();
});
