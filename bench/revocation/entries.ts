import { startRedis } from '../../test/support/redis-server.ts';
import type { Kind } from './entries.child.ts';
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

/** One process that holds as many cut-offs as if everybody's logins had been ended, each but for one login. */
export interface CutOffs {
  readonly held: Held;
  readonly expired: Expired;
}

type InFreshProcess = (name: string, ...args: readonly unknown[]) => Promise<any>;

export async function measureEntries({
  entries,
  quick,
}: Pick<BenchOptions, 'entries' | 'quick'>): Promise<{ held: Held[]; expired: Expired; cutOffs: CutOffs }> {
  const redis = await startRedis();
  const inFreshProcess: InFreshProcess = async (name, ...args) => {
    const holder = await startHolder(redis.url);
    try {
      return await holder.call(name, ...args);
    } finally {
      await holder.stop();
    }
  };
  const hold = async (kind: Kind, count: number): Promise<Held> => {
    await redis.cli('FLUSHALL');
    await inFreshProcess('fill', kind, `${count}:`, count, 3_600_000, 0);
    return inFreshProcess('hold', `${count}:`, quick ? 1_000 : 1_000_000);
  };
  const expire = async (kind: Kind, count: number): Promise<Expired> => {
    await redis.cli('FLUSHALL');
    // They must outlive their writing and their first reading, and then be over within seconds.
    await inFreshProcess('fill', kind, 'expiring:', count, 2_000 + count / 15, quick ? 500 : 30_000);
    return inFreshProcess('expire', 'expiring:', quick ? 1 : 180);
  };
  try {
    const held: Held[] = [];
    for (const count of entries) held.push(await hold('tokens', count));
    const most = Math.max(...entries);
    return {
      held,
      expired: await expire('tokens', most),
      cutOffs: { held: await hold('cutOffs', most), expired: await expire('cutOffs', most) },
    };
  } finally {
    await redis.stop();
  }
}
