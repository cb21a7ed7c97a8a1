import { afterAll, beforeAll, expect, test } from 'vitest';
import { rounds, seedOfRun } from '../support/random.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';
import { playLog } from './log-model.ts';

// What one life does to Redis, it does to all of it.
const SERVERS = 3;

let servers: RedisServer[];
beforeAll(async () => {
  servers = await Promise.all(Array.from({ length: SERVERS }, () => startRedis()));
});
afterAll(() => Promise.all(servers.map((each) => each.stop())));

test(
  'D05, A-R07 to A-R12: whatever becomes of Redis, no revocation is lost while one process that knew it lives',
  async () => {
    const seed = seedOfRun();
    const lives = await Promise.allSettled(
      servers.map(async (redis, at) => {
        for (let life = 0; life < rounds(2); life++) await playLog(redis, seed + at + SERVERS * life);
      }),
    );
    expect(lives.flatMap((life) => (life.status === 'rejected' ? [life.reason] : []))).toEqual([]);
  },
  120_000 * rounds(1),
);
