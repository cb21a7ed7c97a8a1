import { once } from 'node:events';
import { afterEach, expect, test } from 'vitest';
import { type AuthStore, redisStore } from '../../lib/index.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';

const ended: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const end of ended.splice(0).reverse()) await end();
});

async function start(args: string[] = []): Promise<RedisServer> {
  const redis = await startRedis({ args });
  ended.push(() => redis.stop());
  return redis;
}

async function warningsOf(redis: RedisServer, options: object = {}): Promise<string[]> {
  const warnings: string[] = [];
  const hear = (warning: Error & { code?: string }) => warnings.push(warning.code ?? '');
  process.on('warning', hear);
  const store: AuthStore = redisStore((await redis.client(options)) as never);
  await store.ready();
  // Two heartbeats: whatever is asked at the start has been answered.
  await new Promise((resolve) => setTimeout(resolve, 300));
  process.off('warning', hear);
  await store.close();
  return warnings.filter((code) => code.startsWith('PORTCULLIS_'));
}

test('L11: an evicting maxmemory-policy is warned of by name, noeviction is not', async () => {
  const redis = await start();
  expect(await warningsOf(redis)).toEqual([]);
  for (const policy of [
    'allkeys-lru',
    'allkeys-lfu',
    'allkeys-random',
    'volatile-lru',
    'volatile-ttl',
    'volatile-random',
  ]) {
    await redis.cli('CONFIG', 'SET', 'maxmemory-policy', policy);
    const warned = once(process, 'warning');
    expect(await warningsOf(redis), policy).toEqual(['PORTCULLIS_EVICTION']);
    expect(String((await warned)[0])).toContain(policy);
  }
});

test('replicas without min-replicas-to-write are warned of', async () => {
  const primary = await start();
  const replica = await start(['--replicaof', '127.0.0.1', String(primary.port)]);
  await expect.poll(() => replica.cli('INFO', 'replication'), { timeout: 15_000 }).toContain('master_link_status:up');
  expect(await warningsOf(primary)).toEqual(['PORTCULLIS_REPLICAS']);
  await primary.cli('CONFIG', 'SET', 'min-replicas-to-write', '1');
  expect(await warningsOf(primary)).toEqual([]);
});

test('a server that does not let itself be asked is taken as it is', async () => {
  const redis = await start();
  await redis.cli('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru');
  await redis.cli('ACL', 'SETUSER', 'app', 'on', '>pass', '~*', '&*', '+@all', '-info', '-config');
  expect(await warningsOf(redis, { username: 'app', password: 'pass' })).toEqual([]);
});
