import { setTimeout as sleep } from 'node:timers/promises';
import type { RedisServer } from '../../test/support/redis-server.ts';
import { startProxy } from '../../test/support/tcp-proxy.ts';
import { monotonic } from './clock.ts';
import { startServer, stopAll } from './fleet.ts';
import type { BenchOptions } from './options.ts';
import type { Revoked } from './server.child.ts';
import { makeTokens } from './tokens.ts';

/** How one process came back after it was cut off, in milliseconds. */
export interface CatchUp {
  /** `frozen`: it stood still (SIGSTOP), its connection open. `refused`: its connection ended, and it got no other. */
  readonly how: 'frozen' | 'refused';
  readonly seconds: number;
  readonly revocations: number;
  /** From the end of the cut until it knew every revocation; its reconnecting is part of it. */
  readonly caughtUp: number;
  /** Of a hundred of the revoked tokens, sent to it then: how many it did not refuse. */
  readonly accepted: number;
}

export async function measureCatchUp(
  redis: RedisServer,
  how: CatchUp['how'],
  { cut, cutRevocations }: Pick<BenchOptions, 'cut' | 'cutRevocations'>,
): Promise<CatchUp> {
  const proxy = await startProxy(redis.port);
  const [revoker, victim] = await Promise.all([startServer('jwt', redis.url), startServer('jwt', proxy.url)]);
  try {
    const tokens = makeTokens(cutRevocations);
    const { revocations } = await victim.process.call('health');
    if (how === 'refused') proxy.refuse();
    else victim.process.freeze();
    const begun = monotonic();
    const end = sleep(cut * 1_000);
    const revoked: Revoked[] = await revoker.process.call('revoke', tokens, (cut * 500) / cutRevocations);
    await end;
    const healed = monotonic();
    if (how === 'refused') proxy.heal();
    else victim.process.thaw();
    const knew: number = await victim.process.call('knows', revocations + revoked.length);
    const accepted = await acceptedOf(victim.url, tokens.slice(0, 100));
    return { how, seconds: (healed - begun) / 1_000, revocations: revoked.length, caughtUp: knew - healed, accepted };
  } finally {
    await stopAll([revoker, victim]);
    await proxy.stop();
  }
}

async function acceptedOf(url: string, tokens: readonly string[]): Promise<number> {
  let accepted = 0;
  for (const token of tokens) {
    const { status } = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
    if (status !== 401) accepted += 1;
  }
  return accepted;
}
