import express from 'express';
import { serve } from '../../test/support/http-server.ts';
import { serveCalls } from '../../test/support/processes.ts';
import { monotonic, randomPause } from './clock.ts';
import { DOORS, type DoorName } from './doors.ts';

/** When a revocation was called, and when it resolved, by the machine's monotonic clock. */
export interface Revoked {
  readonly token: string;
  /** The process that revoked. */
  readonly by: number;
  readonly called: number;
  /** Undefined if it rejected: it was not stored within the store's `timeout`, and is tried again. */
  readonly resolved: number | undefined;
}

/** When a process first refused which token. */
export interface Refusals {
  readonly pid: number;
  readonly seen: ReadonlyMap<string, number>;
}

// One server process: an Express app behind one of the doors.
const [name = 'bare', redisUrl = ''] = process.argv.slice(2);
const door = await DOORS[name as DoorName](redisUrl);

const app = express();
if (door.middleware !== undefined) app.use(door.middleware);
app.get('/', (_req, res) => void res.json({ hello: 'world' }));
// Refusals are answered shortly, and not written to the console.
app.use(((error, _req, res, _next) => void res.sendStatus(error.status ?? 500)) as express.ErrorRequestHandler);
const { url } = await serve(app);

const seen = new Map<string, number>();

serveCalls({
  url: () => url,
  health: () => door.store?.health(),
  cpu: () => process.cpuUsage(),

  /** From now on it is noted when each of these is first refused here. */
  async watch(tokens: readonly string[]) {
    for (const [at, token] of tokens.entries()) {
      void door.firstRefusal?.(token).then((moment) => seen.set(token, moment));
      // Each is verified: in one go, many thousand would keep this process from everything else.
      if (at % 50 === 49) await new Promise(setImmediate);
    }
  },
  refusals: (): Refusals => ({ pid: process.pid, seen }),

  /** Takes these back at random moments, `pause` ms apart on the average; gives when each was called, and when it resolved. */
  async revoke(tokens: readonly string[], pause: number) {
    const times: Promise<Revoked>[] = [];
    for (const token of tokens) {
      await randomPause(pause);
      times.push(revoke(token));
    }
    return Promise.all(times);
  },

  /** Resolves to the moment at which this process knows so many revocations, and has proof that there are no more. */
  async knows(count: number) {
    for (;;) {
      const health = door.store?.health();
      if (health === undefined || (health.fresh && health.revocations >= count)) return monotonic();
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  },
});

async function revoke(token: string): Promise<Revoked> {
  const called = monotonic();
  const resolved = await door.revoke?.(token).then(monotonic, () => undefined);
  return { token, by: process.pid, called, resolved };
}
