import { createSecretKey, randomBytes } from 'node:crypto';
import { afterEach, expect, test } from 'vitest';
import { jwtAuth, localKeys, redisStore, tokenIssuer } from '../../lib/index.ts';
import { partsOf } from '../../lib/login/auth-store.ts';
import { knows, revoke } from '../login/taken-back.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';
import { withShiftedClock } from '../support/shifted-clock.ts';
import { startProxy } from '../support/tcp-proxy.ts';
import { newLogin } from './new-login.ts';

const HOUR = 3_600;
const leftovers: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of leftovers.splice(0).reverse()) await end();
});

async function newRedis(...args: string[]): Promise<RedisServer> {
  const redis = await startRedis({ args });
  leftovers.push(() => redis.stop());
  return redis;
}

/** Undefined where a clock cannot be shifted. */
async function shiftedRedis(shift: number, ...args: string[]): Promise<RedisServer | undefined> {
  let redis: RedisServer | undefined;
  await withShiftedClock(shift, async () => {
    redis = await newRedis(...args);
  });
  return redis;
}

/** A process of an application that issues and takes tokens. */
async function newApplication(redis: RedisServer, url: string) {
  const store = redisStore(await redis.client({ url }));
  leftovers.push(() => store.close());
  const named = { issuer: 'https://auth.example', audience: 'https://api.example', keys };
  const mode = jwtAuth({ ...named, store, leeway: '1s' });
  const takes = async (token: string) => {
    const req = { headers: { authorization: `Bearer ${token}` }, rawHeaders: [] } as never;
    return mode.authenticate(req).then(
      () => true,
      () => false,
    );
  };
  await store.ready();
  return {
    store,
    logins: partsOf('test', store).logins,
    issue: tokenIssuer({ ...named, store, lifetime: '12h' }),
    takes,
  };
}

const keys = localKeys([{ kid: 'k', alg: 'HS256', key: createSecretKey(randomBytes(32)) }]);

test.for([7_200, -7_200])(
  'A-R20: a revocation holds though the clock of Redis is %i s apart',
  async (shift, { skip }) => {
    let redis: RedisServer | undefined;
    const shifted = await withShiftedClock(shift, async () => {
      redis = await startRedis();
    });
    if (!shifted || redis === undefined) return skip('it takes Linux and a C compiler');
    const [here, there] = [redisStore(await redis.client()), redisStore(await redis.client())];
    await Promise.all([here.ready(), there.ready()]);
    await revoke(here, 'taken-back');
    expect(knows(here, 'taken-back')).toBe(true);
    await expect.poll(() => knows(there, 'taken-back')).toBe(true);
    const later = redisStore(await redis.client());
    await later.ready();
    expect(knows(later, 'taken-back')).toBe(true);
    await Promise.all([here.close(), there.close(), later.close()]);
    await redis.stop();
  },
);

test.for([
  ['lives on', false],
  ['ended with the old one', true],
] as const)(
  'A-R20: a failover to a clock an hour behind lets nothing escape revokeSubject, and locks nobody out, where the process %s',
  { timeout: 30_000 },
  async ([, ended], { skip }) => {
    const primary = await newRedis();
    const next = await shiftedRedis(-HOUR, '--replicaof', '127.0.0.1', String(primary.port));
    if (next === undefined) return skip('it takes Linux and a C compiler');
    await expect.poll(() => next.cli('INFO', 'replication'), { timeout: 15_000 }).toContain('master_link_status:up');
    const proxy = await startProxy(primary.port);
    leftovers.push(() => proxy.stop());

    const before = await newApplication(primary, proxy.url);
    const [old, gone] = [before.issue({ subject: 'ann' }), before.issue({ subject: 'bob' })];
    await before.store.revokeSubject('bob');
    const again = before.issue({ subject: 'bob' });
    expect(await Promise.all([old, gone, again].map(before.takes))).toEqual([true, false, true]);
    const replicated = async () => (await primary.cli('GET', BEAT)).split(' ')[0];
    const beat = await replicated();
    await expect
      .poll(async () => (await next.cli('GET', BEAT)).split(' ')[0] ?? '')
      .toSatisfy((it) => it >= String(beat));

    await primary.kill();
    await next.cli('REPLICAOF', 'NO', 'ONE');
    proxy.target = next.port;
    const after = ended ? await newApplication(next, next.url) : before;
    await expect.poll(() => after.store.logins('ann').catch(() => 'away'), { timeout: 10_000 }).toEqual([]);
    expect(await after.takes(old)).toBe(true);

    for (let round = 0; round < 3; round++) {
      const late = [after.issue({ subject: 'ann' }), after.issue({ subject: 'bob' })];
      const login = await after.logins.open(newLogin({ subject: 'ann' }), '{}', { atMost: 1 });
      expect(await Promise.all(late.map(after.takes))).toEqual([true, true]);
      expect((await after.store.logins('ann')).map(({ sid }) => sid)).toEqual([login.sid]);
      await after.store.revokeSubject('ann');
      await after.store.revokeSubject('bob');
      expect(await Promise.all([old, gone, again, ...late].map(after.takes))).toEqual([
        false,
        false,
        false,
        false,
        false,
      ]);
      expect(await after.store.logins('ann')).toEqual([]);
    }
  },
);

const BEAT = 'portcullis:{log}:beat';
