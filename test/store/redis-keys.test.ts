import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type AuthStore, redisStore } from 'portcullis';
import { createCluster } from 'redis';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { partsOf } from '../../lib/login/auth-store.ts';
import { newLoginSecret, sidOf } from '../../lib/login/login-secret.ts';
import { type RedisClient, type RedisServer, startRedis } from '../support/redis-server.ts';
import { loginsOf, newLogin } from './new-login.ts';

// The log: the set holds what stands, the news are bounded.
const WITHOUT_END = [/^keys:\{log\}:set$/, /^keys:\{log\}:news$/];

const HOSTILE = [
  '{',
  '}',
  '{}',
  '}{*',
  '*',
  '?',
  '[a-z]',
  'a\r\nDEL b\r\n',
  '\u0000',
  'ü💥',
  '__proto__',
  'x'.repeat(5_000),
];

/** Uses all there is of a store, with names that mean ill. */
async function useEverything(store: AuthStore): Promise<void> {
  const { logins } = partsOf('test', store);
  for (const name of HOSTILE) {
    const [session, family] = [
      newLogin({ subject: name }),
      newLogin({ subject: name, mode: 'hybrid', userAgent: name }),
    ];
    await logins.open(session, '{"cookie":{}}', { atMost: 5 });
    await logins.open(family, undefined, { previous: { subject: name, sid: name } });
    await logins.store.rotate({ sid: family.sid, generation: 0, grace: 1_000, soft: false });
    await logins.store.seen({ ...family, generation: 1 });
    await logins.store.seen({ ...newLogin(), generation: 1 });
    await logins.store.find(session.sid, { after: 0, idle: 60_000 });
    await logins.open(newLogin({ subject: name }), '{}', {});
    await store.logins(name);
    await store.revokeToken({ issuer: name, jti: name, expiresAt: new Date(Date.now() + 60_000) });
    await store.revokeLogin({ subject: name, sid: session.sid });
    await store.revokeLogin({ subject: name, sid: name });
    await store.revokeSubject(name, { issuer: name, except: family.sid });
    await store.revokeKey({ issuer: name, kid: name });
    const sessions = store.sessions();
    const data = { cookie: { originalMaxAge: null }, [name]: name } as never;
    await promisify(sessions.set.bind(sessions))(name, data);
    await promisify((sessions.touch as typeof sessions.set).bind(sessions))(name, data);
    await promisify(sessions.get.bind(sessions))(name);
  }
  const reused = newLogin({ mode: 'hybrid' });
  await logins.open(reused, undefined, {});
  for (const generation of [0, 1, 2, 0])
    await logins.store.rotate({ sid: reused.sid, generation, grace: 0, soft: false });
  expect((await logins.store.rotate({ sid: reused.sid, generation: 3, grace: 0, soft: false })).outcome).toBe('ended');
}

describe('on one server', () => {
  let redis: RedisServer;
  let client: RedisClient;
  let store: AuthStore;
  beforeAll(async () => {
    redis = await startRedis();
    client = await redis.client();
    store = redisStore(client, { prefix: 'keys:', timeout: '5s' });
    await store.ready();
    await useEverything(store);
  });
  afterAll(async () => {
    await store.close();
    await redis.stop();
  });
  const allKeys = async () => (await client.keys('*')) as string[];

  test('every key has an end, but for the two of the log', async () => {
    const endless: string[] = [];
    for (const key of await allKeys()) if ((await client.pTTL(key)) === -1) endless.push(key);
    expect(endless.filter((key) => !WITHOUT_END.some((pattern) => pattern.test(key)))).toEqual([]);
    expect(endless).toHaveLength(2);
  });

  test('D15, L12: no name of a key holds what a user sent: prefix, kind, and a hash', async () => {
    const keys = await allKeys();
    expect(keys.length).toBeGreaterThan(40);
    for (const key of keys) expect(key).toMatch(/^keys:(\{log\}:(set|news|beat)|(login|row|subject):\{[\w-]{43}\})$/);
  });

  test('D15: nor does what stands in the log', async () => {
    const members = (await client.zRange('keys:{log}:set', 0, -1)) as string[];
    for (const member of members)
      expect(member).toMatch(/^([tsk]:[\w-]{22}|u:[\w-]{22}(:[\w-]{22})?:\d+|epoch:[\w-]+|life:\d+)$/);
  });

  test('S19, H10: nothing in Redis is a credential, nor leads to one', async () => {
    const secret = newLoginSecret();
    await partsOf('test', store).logins.open(newLogin({ sid: sidOf(secret), subject: 'dumped' }), '{}', {});
    const dumps = await Promise.all((await allKeys()).map((key) => client.sendCommand(['DUMP', key])));
    const names = await allKeys();
    expect(names.join('\n')).toContain(sidOf(secret));
    expect([...names, ...dumps.map(String)].join('\n')).not.toContain(secret);
  });

  test('H19, A-H18: a thousand rotations leave a family no larger than one did', async () => {
    const login = newLogin({ mode: 'hybrid' });
    await loginsOf(store).open(login);
    const rotate = (generation: number) =>
      loginsOf(store).rotate({ sid: login.sid, generation, grace: 0, soft: false });
    await rotate(0);
    const [keys, bytes] = [(await allKeys()).length, await client.memoryUsage(`keys:login:{${login.sid}}`)];
    for (let generation = 1; generation <= 1_000; generation++) await rotate(generation);
    expect((await allKeys()).length).toBe(keys);
    expect(await client.memoryUsage(`keys:login:{${login.sid}}`)).toBeLessThan((bytes as number) + 64);
  });

  test.each([
    ['a record that is no hash', (key: string) => client.set(key, 'x')],
    [
      'a record without its times',
      (key: string) => client.hSet(key, { w: '{"subject":"a","identity":{"scopes":[]}}' }),
    ],
    [
      'a record whose times are none',
      (key: string) => client.hSet(key, { w: '{}', c: 'x', a: 'y', i: 'z', s: '', g: 1 }),
    ],
    ['a record that is no JSON', (key: string) => client.hSet(key, { w: '{', c: 1, a: 9e12, i: 9e12, s: 1 })],
    [
      'a record of nobody',
      (key: string) => client.hSet(key, { w: 'null', c: 1, a: 9e12, i: 9e12, s: 1, g: 1, p: 0, m: 1 }),
    ],
    ['a family without its parent', (key: string) => client.hSet(key, { w: '{}', c: 1, a: 9e12, i: 9e12, s: 1, g: 1 })],
  ] as [string, (key: string) => Promise<unknown>][])(
    'S21, A-S13: %s counts as none, and is told',
    async (_what, put) => {
      const { sid } = newLogin();
      await put(`keys:login:{${sid}}`);
      const logins = loginsOf(store);
      expect(await logins.find(sid, { after: 0, idle: 1_000 })).toEqual({
        login: undefined,
        row: undefined,
        corrupt: true,
      });
      expect((await logins.rotate({ sid, generation: 0, grace: 0, soft: false })).outcome).toBe('expired');
    },
  );

  test('S21: a row that is no string counts as none, is told, and gives way', async () => {
    const { sid } = newLogin();
    await client.lPush(`keys:row:{${sid}}`, 'x');
    const logins = loginsOf(store);
    expect(await logins.find(sid)).toEqual({ login: undefined, row: undefined, corrupt: true });
    expect((await logins.allRows()).map(({ id }) => id)).not.toContain(sid);
    expect(await logins.updateRow(sid, 'any', 'new', 60_000)).toEqual({ outcome: 'stored' });
    expect((await logins.find(sid)).row).toBe('new');
  });

  test('S06: a record that somebody made stay is over at its end all the same', async () => {
    const login = newLogin({ idle: 500, mode: 'hybrid' });
    await loginsOf(store).open(login);
    await client.persist(`keys:login:{${login.sid}}`);
    await sleep(600);
    expect((await loginsOf(store).find(login.sid, { after: 0, idle: 1 })).login).toBeUndefined();
    expect((await loginsOf(store).rotate({ sid: login.sid, generation: 0, grace: 0, soft: false })).outcome).toBe(
      'expired',
    );
  });

  test('a login whose index was lost is ended all the same', async () => {
    const login = newLogin();
    await partsOf('test', store).logins.open(login, '{"cookie":{}}', {});
    const index = (await allKeys()).filter((key) => key.startsWith('keys:subject:'));
    await client.del(index);
    await store.revokeLogin(login);
    expect(await loginsOf(store).find(login.sid)).toMatchObject({ login: undefined, row: undefined });
    expect(partsOf('test', store).logins.isRevoked(login.sid)).toBe(true);
  });

  test('A-R11: revokeSubject reaches logins that the index lost, and spares the one it is to spare', async () => {
    const { logins } = partsOf('test', store);
    const { subject } = newLogin();
    const [lost, family, spared] = [
      newLogin({ subject }),
      newLogin({ subject, mode: 'hybrid' }),
      newLogin({ subject }),
    ];
    const [one, two, three] = [
      await logins.open(lost, '{}', {}),
      await logins.open(family, undefined, {}),
      await logins.open(spared, '{}', {}),
    ];
    const index = (await allKeys()).filter((key) => key.startsWith('keys:subject:'));
    await client.del(index);
    await store.revokeSubject(subject, { except: spared.sid });
    const late = await logins.open(newLogin({ subject }), '{}', {});
    expect([one, two, three, late].map((login) => logins.isOver(login))).toEqual([true, true, false, false]);
    // In earnest: the cut-off will be forgotten.
    await expect.poll(async () => (await loginsOf(store).find(lost.sid)).login).toBeUndefined();
    expect((await loginsOf(store).find(spared.sid)).login).toBeDefined();
  });
});

describe('on a cluster', () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis({ args: ['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1'] });
    await redis.cli('CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
    await vi.waitUntil(async () => (await redis.cli('CLUSTER', 'INFO')).includes('cluster_state:ok'), 10_000);
  });
  afterAll(() => redis.stop());

  test('L12, A-R16: every script and command has its keys in one slot', async () => {
    const client = await redis.client();
    await expect(client.sendCommand(['MSET', 'a', '1', 'b', '2'])).rejects.toThrow('CROSSSLOT');
    const store = redisStore(client, { prefix: 'keys:', timeout: '5s' });
    await store.ready();
    await useEverything(store);
    await store.close();
  });

  test('a cluster client does all that a client does; the bell rings over a connection of its own', async () => {
    const cluster = createCluster({ rootNodes: [{ url: redis.url }] });
    cluster.on('error', () => {});
    await cluster.connect();
    const [store, other] = [cluster, await redis.client()].map((client) =>
      redisStore(client as never, { prefix: 'cluster:', timeout: '5s' }),
    ) as [AuthStore, AuthStore];
    await Promise.all([store.ready(), other.ready()]);
    await useEverything(store);
    await loginsOf(store).putRow(newLogin().sid, 'a row', 60_000);
    expect((await loginsOf(store).allRows()).map(({ row }) => row)).toContain('a row');
    const { revocations } = store.health();
    await store.revokeToken({ issuer: 'a', jti: 'b', expiresAt: new Date(Date.now() + 60_000) });
    await expect.poll(() => other.health().revocations, { timeout: 5_000 }).toBe(revocations + 1);
    await other.revokeToken({ issuer: 'a', jti: 'c', expiresAt: new Date(Date.now() + 60_000) });
    await expect.poll(() => store.health().revocations, { timeout: 5_000 }).toBe(revocations + 2);
    await Promise.all([store.close(), other.close()]);
    cluster.destroy();
  });
});
