import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RedisServer, startRedis } from './redis-server.ts';

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis({ args: ['--maxmemory', '123mb'] });
});
afterAll(() => redis.stop());

test('a server is started with the arguments given, and reached by client and by redis-cli', async () => {
  const client = await redis.client();
  await client.set('colour', 'red');
  expect(await redis.cli('GET', 'colour')).toBe('red');
  expect(await client.configGet('maxmemory')).toMatchObject({ maxmemory: String(123 * 1024 ** 2) });
  expect(redis.url).toBe(`redis://127.0.0.1:${redis.port}`);
});

test('a frozen server answers once it is thawed', async () => {
  const client = await redis.client();
  redis.freeze();
  const answer = client.ping();
  expect(await Promise.race([answer, sleep(200, 'nothing')])).toBe('nothing');
  redis.thaw();
  expect(await answer).toBe('PONG');
});

test('a killed server refuses, and comes back empty at the same port', async () => {
  const client = await redis.client();
  await client.set('colour', 'red');
  const { pid } = redis;
  await redis.kill();
  expect(() => process.kill(pid, 0)).toThrow('ESRCH');
  await expect(redis.cli('PING')).rejects.toThrow('refused');
  await redis.restart();
  expect(await client.get('colour')).toBeNull();
  expect(redis.pid).not.toBe(pid);
});

test('stop ends the server, frozen or not, and closes its clients', async () => {
  const other = await startRedis();
  const client = await other.client();
  other.freeze();
  await other.stop();
  await other.stop();
  expect(client.isOpen).toBe(false);
  expect(() => process.kill(other.pid, 0)).toThrow('ESRCH');
});

test('arguments that redis-server refuses are told', async () => {
  await expect(startRedis({ args: ['--no-such-option', 'x'] })).rejects.toThrow('did not start');
});
