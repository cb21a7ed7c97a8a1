import { setTimeout as sleep } from 'node:timers/promises';
import type { DoorName } from './doors.ts';
import { type Server, startLoader, startServers, stopAll } from './fleet.ts';
import type { Loaded } from './loader.child.ts';
import type { BenchOptions } from './options.ts';
import type { Refusals, Revoked } from './server.child.ts';
import { distributionOf, type Spread, spreadOf } from './statistics.ts';
import { makeTokens } from './tokens.ts';

/** How long a revocation takes to every other process, in milliseconds. */
export interface Latency {
  /** From when it was called. */
  readonly fromCall: Spread;
  /** From when its promise resolved; less than nothing where the other process was faster than the promise. */
  readonly fromResolved: Spread;
  readonly distribution: readonly { readonly share: number; readonly value: number }[];
  /** Revoked tokens sent to every process one second after the last revocation, and how they were answered. */
  readonly afterOneSecond: Readonly<Record<string, number>>;
  /** Revocations that rejected, because Redis did not answer in time; they count from their call all the same. */
  readonly rejected: number;
  /** Never refused by some other process until then. */
  readonly missed: number;
  /** Under this load, in requests a second of all processes together. */
  readonly load: number;
  readonly statuses: Readonly<Record<string, number>>;
}

type Settings = Pick<BenchOptions, 'processes' | 'revocations' | 'rate' | 'connections'>;

/** Every process revokes its share of the tokens at random moments, under load, while each watches those of the others. */
export function measureLatency(door: DoorName, redisUrl: string, settings: Settings): Promise<Latency> {
  return underLoad(door, redisUrl, settings, async (servers) => {
    const shares = servers.map((_, n) => makeTokens(share(settings.revocations, servers.length, n)));
    await Promise.all(
      servers.map(({ process }, n) => process.call('watch', shares.filter((_, owner) => owner !== n).flat())),
    );
    const pause = (1_000 * servers.length) / settings.rate;
    const revoked = await Promise.all(servers.map(({ process }, n) => process.call('revoke', shares[n], pause)));
    return revoked.flat();
  });
}

/**
 * The same where a process learns of a revocation only by asking: one token after the other, and the other processes ask
 * for it again and again until the answer is that it was revoked.
 */
export function measureAskedLatency(door: DoorName, redisUrl: string, settings: Settings): Promise<Latency> {
  return underLoad(door, redisUrl, settings, async (servers) => {
    const revoked: Revoked[] = [];
    for (let turn = 0; turn < settings.revocations / servers.length; turn++) {
      for (const owner of servers) {
        const one = makeTokens(1);
        await Promise.all(servers.map(({ process }) => process !== owner.process && process.call('watch', one)));
        revoked.push(...(await owner.process.call('revoke', one, 5)));
      }
    }
    return revoked;
  });
}

async function underLoad(
  door: DoorName,
  redisUrl: string,
  { processes, connections }: Settings,
  revokeAll: (servers: readonly Server[]) => Promise<Revoked[]>,
): Promise<Latency> {
  const [servers, loader] = await Promise.all([startServers(processes, door, redisUrl), startLoader()]);
  const urls = servers.map(({ url }) => url);
  try {
    await loader.call('start', { urls, tokens: makeTokens(200), connections });
    await sleep(1_000);
    const revoked = await revokeAll(servers);
    await sleep(1_000);
    const loaded: Loaded = await loader.call('stop');
    const refusals: Refusals[] = await Promise.all(servers.map(({ process }) => process.call('refusals')));
    const tokens = revoked.map(({ token }) => token);
    return {
      ...compare(revoked, refusals),
      afterOneSecond: await loader.call('sendEach', urls, tokens),
      load: Math.round(total(loaded) / loaded.seconds),
      statuses: loaded.statuses,
    };
  } finally {
    await Promise.all([stopAll(servers), loader.stop()]);
  }
}

function share(count: number, among: number, n: number): number {
  return Math.floor((count * (n + 1)) / among) - Math.floor((count * n) / among);
}

/** Each revocation with each process but the one that made it. */
function compare(revoked: readonly Revoked[], refusals: readonly Refusals[]) {
  const pairs = revoked.flatMap(({ token, by, called, resolved }) =>
    refusals.filter(({ pid }) => pid !== by).map(({ seen }) => ({ called, resolved, at: seen.get(token) })),
  );
  const met = pairs.flatMap(({ at, ...times }) => (at === undefined ? [] : [{ ...times, at }]));
  const fromCall = met.map(({ called, at }) => at - called);
  return {
    fromCall: spreadOf(fromCall),
    fromResolved: spreadOf(met.flatMap(({ resolved, at }) => (resolved === undefined ? [] : [at - resolved]))),
    rejected: revoked.filter(({ resolved }) => resolved === undefined).length,
    distribution: distributionOf(fromCall),
    missed: pairs.length - met.length,
  };
}

function total({ statuses }: Loaded): number {
  return Object.values(statuses).reduce((sum, count) => sum + count, 0);
}
