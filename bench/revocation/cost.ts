import { DOORS, type DoorName } from './doors.ts';
import { startLoader, startServer, stopAll } from './fleet.ts';
import type { Loaded } from './loader.child.ts';
import type { BenchOptions } from './options.ts';
import { median } from './statistics.ts';
import { makeTokens } from './tokens.ts';

/** What a request costs the server that answers it, behind one door. */
export interface Cost {
  readonly door: DoorName;
  /** Microseconds of CPU (user and system) a request: the median of the rounds. */
  readonly cpu: number;
  /** Requests a second of one process: the median of the rounds. */
  readonly throughput: number;
}

/** One server of each kind, all alive; they have their turns one after the other, so that what else the machine does meets all alike. */
export async function measureCosts(
  redisUrl: string,
  { requests, rounds }: Pick<BenchOptions, 'requests' | 'rounds'>,
  peers: boolean,
): Promise<Cost[]> {
  const doors = (Object.keys(DOORS) as DoorName[]).filter((door) => peers || !['expiry', 'lookup'].includes(door));
  const [loader, ...servers] = await Promise.all([startLoader(), ...doors.map((door) => startServer(door, redisUrl))]);
  try {
    const tokens = makeTokens(200);
    const samples = doors.map((): { cpu: number; throughput: number }[] => []);
    // The first round warms up, and is not counted.
    for (let round = 0; round <= rounds; round++) {
      for (const [n, { process, url }] of servers.entries()) {
        const before: NodeJS.CpuUsage = await process.call('cpu');
        const { seconds, statuses }: Loaded = await loader.call('run', {
          urls: [url],
          tokens,
          connections: 8,
          requests,
        });
        const after: NodeJS.CpuUsage = await process.call('cpu');
        if (statuses['200'] !== requests) throw new Error(`${doors[n]} answered ${JSON.stringify(statuses)}`);
        const cpu = (after.user + after.system - before.user - before.system) / requests;
        if (round > 0) samples[n]?.push({ cpu, throughput: requests / seconds });
      }
    }
    return doors.map((door, n) => ({
      door,
      cpu: median((samples[n] ?? []).map(({ cpu }) => cpu)),
      throughput: median((samples[n] ?? []).map(({ throughput }) => throughput)),
    }));
  } finally {
    await Promise.all([stopAll(servers), loader.stop()]);
  }
}
