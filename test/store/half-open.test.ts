import { expect, test } from 'vitest';
import { redisStore } from '../../lib/index.ts';
import { startRedis } from '../support/redis-server.ts';
import { startProxy } from '../support/tcp-proxy.ts';

test('A-R04: what we send does not keep a connection alive whose other end has vanished', async () => {
  const redis = await startRedis();
  const proxy = await startProxy(redis.port);
  const client = await redis.client({
    url: proxy.url,
    disableOfflineQueue: true,
    pingInterval: 300,
    socket: { socketTimeout: 1_000, reconnectStrategy: () => 100 },
  });
  const store = redisStore(client as never, { timeout: '100ms' });
  await store.ready();
  const reconnecting = new Promise((resolve) => client.once('reconnecting', resolve));
  proxy.swallow();
  await reconnecting;
  proxy.heal();
  await expect.poll(() => store.health().fresh, { timeout: 10_000 }).toBe(true);
  await store.close();
  await redis.stop();
  await proxy.stop();
});
