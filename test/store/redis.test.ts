import { redisStore } from 'portcullis';
import { afterAll, beforeAll } from 'vitest';
import { type RedisServer, startRedis } from '../support/redis-server.ts';
import { storeContract } from './contract.ts';

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());

let stores = 0;

storeContract('redisStore', async () =>
  redisStore(await redis.client(), { prefix: `test-${stores++}:`, timeout: '5s', maxStaleness: '30s' }),
);
