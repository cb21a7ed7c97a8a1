import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from 'redis';
import { afterEach, expect, test, vi } from 'vitest';
import { findRedis } from '../../example-app/redis.ts';
import { startProcess } from '../support/processes.ts';

afterEach(() => vi.unstubAllEnvs());

test('REDIS_URL is used as it is, and shown without its password', async () => {
  vi.stubEnv('REDIS_URL', 'redis://someone:pass@redis.example:6379/2');
  const { url, say } = await findRedis();
  expect(url).toBe('redis://someone:pass@redis.example:6379/2');
  expect(say).toContain('redis://redis.example:6379/2');
  expect(say).not.toContain('pass@');
});

test('without REDIS_URL a redis-server of its own is started, and ended by close', async () => {
  vi.stubEnv('REDIS_URL', undefined);
  const { url, say, close } = await findRedis();
  expect(await ping(url)).toBe('PONG');
  expect(say).toContain(new URL(url as string).port);
  await close();
  await expect(ping(url)).rejects.toThrow('ECONNREFUSED');
});

test('the redis-server ends with its process, though that be killed', async () => {
  const child = await startProcess(new URL('./redis.child.ts', import.meta.url), { env: { REDIS_URL: '' } });
  const { url } = await child.call('find');
  expect(await ping(url)).toBe('PONG');
  process.kill(child.pid, 'SIGKILL');
  await expect.poll(() => ping(url).catch((error) => error.code), { timeout: 10_000 }).toBe('ECONNREFUSED');
  await child.stop();
});

test('without any redis-server there is none, and that is said', async () => {
  vi.stubEnv('REDIS_URL', undefined);
  const bin = await mkdtemp(join(tmpdir(), 'portcullis-bin-'));
  await symlink('/bin/sh', join(bin, 'sh'));
  vi.stubEnv('PATH', bin);
  const { url, say } = await findRedis();
  await rm(bin, { recursive: true });
  expect(url).toBeUndefined();
  expect(say).toContain('in this process');
});

async function ping(url: string | undefined): Promise<string> {
  const client = createClient({ url: url as string, socket: { reconnectStrategy: false } });
  client.on('error', () => {});
  await client.connect();
  try {
    return await client.ping();
  } finally {
    client.destroy();
  }
}
