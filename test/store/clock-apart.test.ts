import { expect, test } from 'vitest';
import { redisStore } from '../../lib/index.ts';
import { knows, revoke } from '../login/taken-back.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';
import { withShiftedClock } from '../support/shifted-clock.ts';

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
