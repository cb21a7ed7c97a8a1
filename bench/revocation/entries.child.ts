import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createClient } from 'redis';
import { type AuthStore, jwtAuth, redisStore } from '../../dist/index.js';
import { partsOf } from '../../dist/login/auth-store.js';
import { entryOf, idOf, type Revocation } from '../../dist/login/revocation.js';
import { RedisCommands } from '../../dist/store/redis-connection.js';
import { redisLog } from '../../dist/store/redis-log.js';
import { serveCalls } from '../../test/support/processes.ts';
import { requestWith } from './doors.ts';
import { AUDIENCE, ISSUER, keys, makeTokens } from './tokens.ts';

// A process that holds many revocations, and nothing else.
setFlagsFromString('--expose-gc');
const collect: () => void = runInNewContext('gc');

const client = await createClient({ url: process.argv[2] ?? '' }).connect();

serveCalls({ fill, hold, expire });

/** What is taken back: tokens one by one, or everything of as many subjects, each sparing one login. */
export type Kind = 'tokens' | 'cutOffs';

/** Writes so many revocations under a prefix, as the library writes them; they expire `life` ms from now, spread over `spread` ms. */
async function fill(kind: Kind, prefix: string, entries: number, life: number, spread: number): Promise<void> {
  const log = redisLog(new RedisCommands(client, 60_000), prefix);
  const from = Date.now() + life;
  for (let at = 0; at < entries; at += 5_000) {
    const batch = Array.from({ length: Math.min(5_000, entries - at) }, (_, n) =>
      entryOf(revocation(kind, `${prefix}${at + n}`, Math.floor(from + (spread * (at + n)) / entries))),
    );
    await log.append(batch, 0);
  }
}

function revocation(kind: Kind, name: string, expiresAt: number): Revocation {
  if (kind === 'tokens') return { kind: 'token', id: idOf.token(ISSUER, name), expiresAt };
  return { kind: 'subject', id: idOf.subject(ISSUER, name), instant: Date.now(), spared: idOf.login(name), expiresAt };
}

/** A fresh process's first reading of them, what they take, and what checking against them takes. */
async function hold(prefix: string, checks: number) {
  const empty = redisStore(client, { prefix: 'nothing:' });
  await empty.ready();
  const before = memory();
  const stalls = monitorEventLoopDelay({ resolution: 1 });
  stalls.enable();
  const begun = performance.now();
  const store = redisStore(client, { prefix });
  await store.ready();
  const firstRead = performance.now() - begun;
  stalls.disable();
  const bytes = memory() - before;
  const { revocations } = store.health();
  const times = {
    check: timeOf(checks, probeOf(store)),
    authenticate: await timeOfEach(Math.ceil(checks / 10), recogniserOf(store)),
    lookup: await timeOfEach(Math.ceil(checks / 200), (n) => client.get(`denied:${n}`)),
  };
  await Promise.all([store.close(), empty.close()]);
  return { entries: revocations, firstRead, stallOfFirstRead: stalls.max / 1e6, bytes, ...times };
}

/** How long the event loop stands still while all of these expire, and, for comparison, for as long with nothing to expire. */
async function expire(prefix: string, atMost: number) {
  const store = redisStore(client, { prefix });
  await store.ready();
  const entries = store.health().revocations;
  const sweeps = watchSweeps(store);
  collect();
  const begun = performance.now();
  const elapsed = () => (performance.now() - begun) / 1_000;
  const during = await longestStall(() => store.health().revocations === 0 || elapsed() > atMost);
  const left = store.health().revocations;
  const seconds = elapsed();
  const sweep = sweeps();
  const without = await longestStall(() => elapsed() > 2 * seconds);
  await store.close();
  return { entries, left, seconds, sweep, stall: during, stallWithout: without };
}

/** The longest that the library swept in one turn of the event loop, in milliseconds of CPU: what else the machine does is not in it. */
function watchSweeps(store: AuthStore): () => number {
  const { revocations } = partsOf('bench', store).replica;
  const sweep = revocations.sweep.bind(revocations);
  let [longest, turn] = [0, 0];
  revocations.sweep = () => {
    if (turn === 0) setImmediate(() => (turn = 0));
    const before = process.cpuUsage();
    sweep();
    const { user, system } = process.cpuUsage(before);
    turn += (user + system) / 1_000;
    longest = Math.max(longest, turn);
  };
  return () => longest;
}

async function longestStall(over: () => boolean): Promise<{ readonly longest: number; readonly p999: number }> {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  while (!over()) await new Promise((resolve) => setTimeout(resolve, 20));
  delay.disable();
  return { longest: delay.max / 1e6, p999: delay.percentile(99.9) / 1e6 };
}

/** The bytes of everything that JavaScript holds, typed arrays included. */
function memory(): number {
  collect();
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Whether a token was taken back, and nothing else: what the replica adds to each request. */
function probeOf(store: AuthStore): (n: number) => unknown {
  const { revocations } = partsOf('bench', store).replica;
  const now = Date.now();
  const evidence = Array.from({ length: 1_000 }, (_, n) => ({
    token: idOf.token(ISSUER, `not revoked ${n}`),
    key: idOf.key(ISSUER, 'bench'),
    subjects: [idOf.subject(ISSUER, `user-${n}`), idOf.subject(undefined, `user-${n}`)],
    issuedAt: now,
    leeway: 5_000,
  }));
  return (n) => revocations.reach(evidence[n % evidence.length] as (typeof evidence)[number]);
}

/** A whole recognition, of tokens met before. */
function recogniserOf(store: AuthStore): (n: number) => Promise<unknown> {
  const mode = jwtAuth({ store, keys, issuer: ISSUER, audience: AUDIENCE });
  const requests = makeTokens(200).map(requestWith);
  return (n) => mode.authenticate(requests[n % requests.length] as ReturnType<typeof requestWith>);
}

/** Nanoseconds each, the best of five. */
function timeOf(times: number, work: (n: number) => unknown): number {
  return Math.min(
    ...Array.from({ length: 5 }, () => {
      const begun = performance.now();
      for (let n = 0; n < times; n++) work(n);
      return ((performance.now() - begun) * 1e6) / times;
    }),
  );
}

async function timeOfEach(times: number, work: (n: number) => Promise<unknown>): Promise<number> {
  const samples: number[] = [];
  for (let sample = 0; sample < 5; sample++) {
    const begun = performance.now();
    for (let n = 0; n < times; n++) await work(n);
    samples.push(((performance.now() - begun) * 1e6) / times);
  }
  return Math.min(...samples);
}
