import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import type { Acceptance, Verdict } from './revocation-faults.child.ts';
import { makeTokens } from './revocation-faults.tokens.ts';
import { startProcess, type TestProcess } from './support/processes.ts';
import { rounds } from './support/random.ts';
import { type RedisServer, startRedis } from './support/redis-server.ts';
import { withShiftedClock } from './support/shifted-clock.ts';
import { startProxy, type TcpProxy } from './support/tcp-proxy.ts';

// Real processes, a real Redis, real faults at random moments. TEST_ROUNDS=10 plays as many as the requirements ask for:
// 200 of killed connections, 50 of each silence.

const MAX_STALENESS = 400;
const TOKENS = 5;

const ending: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});

async function newRedis(args: readonly string[] = []): Promise<RedisServer> {
  const redis = await startRedis({ args });
  ending.push(() => redis.stop());
  return redis;
}

async function newProxy(target: number): Promise<TcpProxy> {
  const proxy = await startProxy(target);
  ending.push(() => proxy.stop());
  return proxy;
}

async function newProcess(url: string, maxStaleness = `${MAX_STALENESS}ms`): Promise<TestProcess> {
  const env = { REDIS_URL: url, MAX_STALENESS: maxStaleness };
  const process = await startProcess(new URL('./revocation-faults.child.ts', import.meta.url), { env });
  ending.push(() => process.stop());
  await process.call('ready');
  return process;
}

const verdicts = (process: TestProcess, tokens: readonly string[]): Promise<Verdict[]> =>
  process.call('verdicts', tokens);

/** Each process comes to refuse each of these, as revoked. */
async function knownToAll(processes: readonly TestProcess[], tokens: readonly string[]): Promise<void> {
  for (const process of processes) {
    const revoked = tokens.map((): Verdict => 'revoked');
    await expect.poll(() => verdicts(process, tokens), { timeout: 10_000, interval: 10 }).toEqual(revoked);
  }
}

/** Which a process accepted after they had been taken back, and by how many milliseconds too late. */
async function acceptances(
  process: TestProcess,
  tokens: readonly string[],
  revokedAt: bigint,
  judgedBy: keyof Acceptance,
): Promise<{ readonly after: number; readonly late: readonly number[] }> {
  const accepted: Map<string, Acceptance> = await process.call('accepted');
  const times = tokens.map((token) => Number((accepted.get(token)?.[judgedBy] ?? 0n) - revokedAt) / 1e6);
  return {
    after: times.filter((time) => time > 0).length,
    late: times.filter((time) => time > MAX_STALENESS),
  };
}

/** At random, up to so many milliseconds. */
const moment = (most: number) => sleep(Math.random() * most);

test('D05, A-R09: of revocations made while connections are killed at random none is lost', {
  timeout: 60_000 * rounds(1),
}, async () => {
  const redis = await newRedis();
  const operator = await redis.client();
  const processes = await Promise.all(Array.from({ length: 4 }, () => newProcess(redis.url)));
  const everything: string[] = [];
  let failed = 0;
  for (let round = 0; round < rounds(20); round++) {
    const tokens = makeTokens(processes.length * TOKENS);
    const revoking = tokens.map(async (token, n) => {
      await moment(30);
      // One that rejects is not forgotten: it is tried until it expires.
      await processes[n % processes.length]?.call('revoke', [token]).catch(() => (failed += 1));
    });
    for (let kill = 0; kill < 4; kill++) {
      await moment(15);
      const ids = String(await operator.sendCommand(['CLIENT', 'LIST'])).matchAll(/^id=(\d+)/gm);
      const own = await operator.clientId();
      const others = [...ids].map(([, id]) => Number(id)).filter((id) => id !== own);
      const victim = others[Math.floor(Math.random() * others.length)];
      if (victim !== undefined) await operator.sendCommand(['CLIENT', 'KILL', 'ID', String(victim)]);
    }
    await Promise.all(revoking);
    await knownToAll(processes, tokens);
    everything.push(...tokens);
  }
  expect(failed).toBeGreaterThan(0);
  await knownToAll([...processes, await newProcess(redis.url)], everything);
});

interface Silence {
  readonly redis: RedisServer;
  readonly proxy: TcpProxy;
  /** Revokes, and stays in sight of Redis unless that is silent itself. */
  readonly revoker: TestProcess;
  /** The three others are reached through the proxy. */
  readonly others: readonly TestProcess[];
}

/** A silence begins at a random moment around the revocation and lasts longer than `maxStaleness`, or not so long. */
const silences: Record<string, { begin(on: Silence): void; end(on: Silence): void; judgedBy: keyof Acceptance }> = {
  'Redis stands still (A-R03)': {
    begin: ({ redis }) => redis.freeze(),
    end: ({ redis }) => redis.thaw(),
    judgedBy: 'over',
  },
  'the process stands still (A-R24)': {
    begin: ({ others }) => void others.map((each) => each.freeze()),
    end: ({ others }) => void others.map((each) => each.thaw()),
    // One that had decided, and stood still before it could look at the clock, was not late.
    judgedBy: 'begun',
  },
  'the network swallows everything (A-R04, A-R19)': {
    begin: ({ proxy }) => proxy.swallow(),
    end: ({ proxy }) => proxy.heal(),
    judgedBy: 'over',
  },
};

test.each(Object.keys(silences))(
  'D07, D08: while %s no token is accepted later than maxStaleness after its revocation, and all is well again afterwards',
  { timeout: 60_000 * rounds(1) },
  async (name) => {
    const { begin, end, judgedBy } = silences[name] as (typeof silences)[string];
    const redis = await newRedis();
    const proxy = await newProxy(redis.port);
    const revoker = await newProcess(redis.url);
    const others = await Promise.all(Array.from({ length: 3 }, () => newProcess(proxy.url)));
    const silence: Silence = { redis, proxy, revoker, others };
    const everything: string[] = [];
    const good = makeTokens(1);
    let acceptedAfterwards = 0;
    // As long as nothing was hidden by a silence, they all came too late to prove anything.
    for (let round = 0; round < rounds(5) || acceptedAfterwards === 0; round++) {
      const tokens = makeTokens(TOKENS);
      for (const each of others) await each.call('watch', tokens);
      await moment(50);
      const revoking: Promise<bigint | undefined> = moment(10)
        .then(() => revoker.call('revoke', tokens))
        .catch(() => undefined);
      await moment(20);
      begin(silence);
      await sleep(MAX_STALENESS / 2 + Math.random() * 1.5 * MAX_STALENESS);
      end(silence);
      const revokedAt = await revoking;
      await knownToAll([revoker, ...others], tokens);
      for (const each of others) {
        await expect.poll(() => verdicts(each, good), { timeout: 10_000, interval: 10 }).toEqual(['accepted']);
        if (revokedAt === undefined) continue;
        const { late, after } = await acceptances(each, tokens, revokedAt, judgedBy);
        expect(late).toEqual([]);
        acceptedAfterwards += after;
      }
      everything.push(...tokens);
    }
    await knownToAll([revoker, ...others, await newProcess(redis.url)], everything);
  },
);

const SET = 'portcullis:{log}:set';
// The epoch and the longest life of a token stand there too.
const OTHER_MEMBERS = 2;
const membersOf = (redis: RedisServer) => expect.poll(() => redis.cli('ZCARD', SET), { timeout: 10_000 });

test.for([
  ['of the same clock', 0],
  ['whose clock is behind by an hour', -3_600],
] as const)(
  'D05, A-R08: one living process puts back what was lost when a replica %s was promoted',
  { timeout: 60_000 },
  async ([, clock], { skip }) => {
    const primary = await newRedis();
    const [toPrimary, toReplicate] = [await newProxy(primary.port), await newProxy(primary.port)];
    const replica = (await newReplica(toReplicate.port, clock)) ?? skip('this takes Linux and a C compiler');
    await expect.poll(() => replica.cli('INFO', 'replication'), { timeout: 10_000 }).toContain('master_link_status:up');
    const processes = await Promise.all(Array.from({ length: 4 }, () => newProcess(toPrimary.url, '5s')));
    const [survivor, revoker] = processes as [TestProcess, TestProcess];
    const [kept, lost, later] = [makeTokens(TOKENS), makeTokens(TOKENS), makeTokens(TOKENS)];
    await revoker.call('revoke', kept);
    await membersOf(replica).toBe(String(TOKENS + OTHER_MEMBERS));
    toReplicate.refuse();
    await revoker.call('revoke', lost);
    await knownToAll(processes, [...kept, ...lost]);
    await Promise.all(processes.filter((each) => each !== survivor).map((each) => each.stop()));

    await primary.kill();
    await replica.cli('REPLICAOF', 'NO', 'ONE');
    expect(await replica.cli('ZCARD', SET)).toBe(String(TOKENS + OTHER_MEMBERS));
    toPrimary.target = replica.port;
    await membersOf(replica).toBe(String(2 * TOKENS + OTHER_MEMBERS));
    const fresh = await newProcess(toPrimary.url, '5s');
    await survivor.call('revoke', later);
    await knownToAll([survivor, fresh], [...kept, ...lost, ...later]);
    expect(await verdicts(fresh, makeTokens(1))).toEqual(['accepted']);
  },
);

async function newReplica(port: number, clock: number): Promise<RedisServer | undefined> {
  let replica: RedisServer | undefined;
  const start = async () => {
    replica = await newRedis(['--replicaof', '127.0.0.1', String(port), '--repl-diskless-sync-delay', '0']);
  };
  await (clock === 0 ? start() : withShiftedClock(clock, start));
  if (replica === undefined) return undefined;
  const ahead = Number.parseInt(await replica.cli('TIME'), 10) - Date.now() / 1_000;
  expect(Math.abs(ahead - clock)).toBeLessThan(60);
  return replica;
}
