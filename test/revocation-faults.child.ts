import type { IncomingMessage } from 'node:http';
import { InvalidToken, jwtAuth, redisStore, StoreUnavailable } from 'portcullis';
import { createClient } from 'redis';
import { AUDIENCE, ISSUER, keys, revoke } from './revocation-faults.tokens.ts';
import { serveCalls } from './support/processes.ts';

/** How a process judges a token. */
export type Verdict = 'accepted' | 'revoked' | 'unknown';

/** When a process last accepted a token, by the machine's monotonic clock: as the check began, and as it was over. */
export interface Acceptance {
  readonly begun: bigint;
  readonly over: bigint;
}

// One process of an application, whose connection comes back quickly.
const client = createClient({ url: process.env.REDIS_URL as string, socket: { reconnectStrategy: 20 } });
client.on('error', () => {});
void client.connect();
const store = redisStore(client, { maxStaleness: process.env.MAX_STALENESS as `${number}ms`, timeout: '100ms' });
const mode = jwtAuth({ store, keys, issuer: ISSUER, audience: AUDIENCE });

const accepted = new Map<string, Acceptance>();
let watched: readonly string[] = [];
let round = 0;

serveCalls({
  ready: () => store.ready(),

  async verdicts(tokens: readonly string[]) {
    const verdicts: Verdict[] = [];
    for (const token of tokens) {
      verdicts.push(await verdict(token));
      // Many are verified here: in one go they would keep this process from Redis.
      await new Promise(setImmediate);
    }
    return verdicts;
  },

  /** Resolves to the moment at which all were taken back. */
  async revoke(tokens: readonly string[]) {
    await Promise.all(tokens.map((token) => revoke(store, token)));
    return process.hrtime.bigint();
  },

  /** Judges these again and again, until others are watched. */
  watch(tokens: readonly string[]) {
    watched = tokens;
    accepted.clear();
    void judgeWatched(++round);
  },
  accepted: () => accepted,
});

async function judgeWatched(current: number): Promise<void> {
  while (round === current) {
    await Promise.all(watched.map(judge));
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

async function judge(token: string): Promise<void> {
  const begun = process.hrtime.bigint();
  if ((await verdict(token)) === 'accepted') accepted.set(token, { begun, over: process.hrtime.bigint() });
}

async function verdict(token: string): Promise<Verdict> {
  const authorization = `Bearer ${token}`;
  const req = { method: 'GET', url: '/', headers: { authorization }, rawHeaders: ['Authorization', authorization] };
  try {
    await mode.authenticate(req as unknown as IncomingMessage);
    return 'accepted';
  } catch (error) {
    if (error instanceof InvalidToken && error.reason === 'revoked') return 'revoked';
    if (error instanceof StoreUnavailable) return 'unknown';
    throw error;
  }
}
