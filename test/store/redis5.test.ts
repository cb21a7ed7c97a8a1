import { createClient } from 'redis5';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { redisStore } from '../../lib/index.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';

let redis: RedisServer;

beforeAll(async () => {
  redis = await startRedis();
});

afterAll(() => redis.stop());

for (const RESP of [2, 3] as const) {
  test(`node-redis 5 over RESP${RESP}: a revocation of one process is known in another`, async () => {
    const clients = [createClient({ url: redis.url, RESP }), createClient({ url: redis.url, RESP })];
    for (const client of clients) client.on('error', () => {});
    await Promise.all(clients.map((client) => client.connect()));
    const [here, there] = clients.map((client) => redisStore(client));
    if (here === undefined || there === undefined) throw new Error('two stores are needed');
    await Promise.all([here.ready(), there.ready()]);
    const before = there.health().revocations;
    await here.revokeToken({
      issuer: 'https://issuer.example',
      jti: `of-${RESP}`,
      expiresAt: new Date(Date.now() + 60_000),
    });
    await expect.poll(() => there.health().revocations).toBe(before + 1);
    await Promise.all([here.close(), there.close()]);
    await Promise.all(clients.map((client) => client.close()));
  });
}
