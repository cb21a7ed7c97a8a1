import { type AuthStore, memoryStore, redisStore } from 'portcullis';
import { afterAll, beforeAll } from 'vitest';
import { type RedisServer, startRedis } from '../support/redis-server.ts';

let redis: RedisServer | undefined;
let count = 0;

/** Each kind of store, and what makes a fresh one. A file that asks for them gets a Redis of its own. */
export function everyStore(): [name: string, make: () => Promise<AuthStore>][] {
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis?.stop());
  return [
    ['memory', async () => memoryStore()],
    ['Redis', async () => redisStore(await (redis as RedisServer).client(), { prefix: `t${count++}:` })],
  ];
}
