import { startRedis } from '../../test/support/redis-server.ts';
import { startHolder } from './fleet.ts';
import type { BenchOptions } from './options.ts';

/** One process that holds so many live revocations. */
export interface Held {
  readonly entries: number;
  /** Milliseconds from nothing to knowing them all, and the longest stall of the event loop meanwhile. */
  readonly firstRead: number;
  readonly stallOfFirstRead: number;
  readonly bytes: number;
  /** Nanoseconds: whether a token was taken back; a whole recognition of a token met before; a GET of Redis. */
  readonly check: number;
  readonly authenticate: number;
  readonly lookup: number;
}

/** What it costs that the greatest number of them expires, in milliseconds of event-loop stall. */
export interface Expired {
  readonly entries: number;
  /** Still held at the end. */
  readonly left: number;
  readonly seconds: number;
  /** The longest that the library swept in one turn of the event loop, as CPU time. */
  readonly sweep: number;
  /** The event loop's delay meanwhile, whatever it came from. */
  readonly stall: { readonly longest: number; readonly p999: number };
  /** The same process for as long with nothing to expire: what the machine and Node do by themselves. */
  readonly stallWithout: { readonly longest: number; readonly p999: number };
}

export async function measureEntries({
  entries,
  quick,
}: Pick<BenchOptions, 'entries' | 'quick'>): Promise<{ held: Held[]; expired: Expired }> {
  const redis = await startRedis();
  const inFreshProcess = async (name: string, ...args: readonly unknown[]) => {
    const holder = await startHolder(redis.url);
    try {
      return await holder.call(name, ...args);
    } finally {
      await holder.stop();
    }
  };
  try {
    const held: Held[] = [];
    for (const count of entries) {
      await inFreshProcess('fill', `${count}:`, count, 3_600_000, 0);
      held.push(await inFreshProcess('hold', `${count}:`, quick ? 1_000 : 1_000_000));
      await redis.cli('FLUSHALL');
    }
    // They must outlive their writing and their first reading, and then be over within seconds.
    const most = Math.max(...entries);
    const life = 2_000 + most / 15;
    await inFreshProcess('fill', 'expiring:', most, life, quick ? 500 : 30_000);
    return { held, expired: await inFreshProcess('expire', 'expiring:', quick ? 1 : 180) };
  } finally {
    await redis.stop();
  }
}
