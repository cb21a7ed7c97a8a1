import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import request from 'supertest';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { endWithUs } from '../support/last-will.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';
import { ANN, browser, logIn } from './start-example.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const started: ChildProcess[] = [];

/** As `npm start` does: what is built already is not built again. */
async function start(env: Readonly<Record<string, string>>, command = [process.execPath, 'scripts/start.mjs']) {
  const [program = '', ...args] = command;
  const child = spawn(program, args, {
    cwd: ROOT,
    env: { ...process.env, PORT: '0', SECRET: '', SIGNING_KEY: '', REDIS_URL: '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A process group of its own, so that what a child leaves behind can be ended as well.
    detached: true,
  });
  started.push(child);
  child.once('exit', endWithUs(child.pid as number));
  const said = { text: '' };
  const url = await new Promise<string>((resolve, reject) => {
    const listen = (text: unknown) => {
      said.text += text;
      const [found] = /http:\/\/localhost:\d+/.exec(said.text) ?? [];
      if (found !== undefined) resolve(found.replace('localhost', '127.0.0.1'));
    };
    child.stdout.on('data', listen);
    child.stderr.on('data', listen);
    child.once('exit', (code) => reject(new Error(`it ended (${code}): ${said.text}`)));
  });
  return { child, url, said };
}

async function ends(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  const exit = once(child, 'exit');
  child.kill(signal);
  const [code] = await exit;
  return code;
}

function endGroup({ pid }: ChildProcess): void {
  try {
    process.kill(-(pid as number), 'SIGKILL');
  } catch {
    // None of it is left.
  }
}

let redis: RedisServer | undefined;

beforeAll(async () => {
  // The first start builds.
  const { child } = await start({ PATH: await pathWithoutRedis() });
  await ends(child, 'SIGTERM');
}, 90_000);

afterEach(async () => {
  for (const child of started.splice(0)) endGroup(child);
  await redis?.stop();
  redis = undefined;
});

test('the process holds exactly one connection to Redis, whichever doors are used, and ends when asked to', async () => {
  redis = await startRedis();
  const { child, url, said } = await start({ REDIS_URL: redis.url });
  expect(said.text).toContain(redis.url);
  const connections = async () => {
    const clients = (await redis?.cli('CLIENT', 'LIST'))?.split('\n') ?? [];
    return clients.filter((line) => !line.includes('cmd=client|list'));
  };
  expect(await connections()).toHaveLength(1);

  const [web, app] = [browser(url), browser(url)];
  await logIn(web, '/web').expect(303);
  await web.get('/web/').expect(200);
  await logIn(app, '/app').expect(303);
  const { body: pair } = await request(url).post('/mobile/login').send(ANN).expect(200);
  const token = `Bearer ${pair.access_token}`;
  await request(url).get('/api/notes').set('Authorization', token).expect(200);
  await web.post('/web/logout-everywhere').expect(303);
  await request(url).get('/api/notes').set('Authorization', token).expect(401);

  const [only, ...others] = await connections();
  expect(others).toEqual([]);
  expect(only).toContain('name=portcullis-example');
  expect(only).toMatch(/ sub=1 .* resp=3/);
  expect(await ends(child, 'SIGTERM')).toBe(0);
  await expect.poll(connections).toEqual([]);
});

test('without REDIS_URL it runs a Redis of its own, which ends with it', async () => {
  const { child, url, said } = await start({});
  const [, port] = /on port (\d+)/.exec(said.text) ?? [];
  expect(port).toBeDefined();
  await logIn(browser(url), '/web').expect(303);
  expect(await ends(child, 'SIGINT')).toBe(0);
  await expect(fetch(`http://127.0.0.1:${port}`)).rejects.toThrow('fetch failed');
});

test('npm start ends it too, when npm is told to stop', async () => {
  redis = await startRedis();
  const { child, url } = await start({ REDIS_URL: redis.url }, ['npm', 'start']);
  await logIn(browser(url), '/web').expect(303);
  await ends(child, 'SIGTERM');
  const clients = async () => (await redis?.cli('CLIENT', 'LIST'))?.includes('portcullis-example');
  await expect.poll(clients, { timeout: 5_000 }).toBe(false);
  await expect(fetch(url)).rejects.toThrow('fetch failed');
});

test('with no Redis at all it keeps logins in memory, and says so', async () => {
  const { child, url, said } = await start({ PATH: await pathWithoutRedis() });
  expect(said.text).toContain('logins are kept in this process');
  const ann = browser(url);
  await logIn(ann, '/app').expect(303);
  await ann.get('/app/').expect(200);
  expect(await ends(child, 'SIGTERM')).toBe(0);
});

test('it starts while Redis is away, answers 503, and heals by itself when it comes', async () => {
  redis = await startRedis();
  await redis.kill();
  const { child, url, said } = await start({ REDIS_URL: redis.url });
  await request(url).get('/health').expect(503);
  await logIn(browser(url), '/web').expect(503).expect('Retry-After', '1');
  expect(said.text.match(/Redis is away/g)).toHaveLength(1);
  await redis.restart();
  await expect.poll(async () => (await fetch(`${url}/health`)).status, { timeout: 10_000 }).toBe(200);
  await logIn(browser(url), '/web').expect(303);
  expect(await ends(child, 'SIGTERM')).toBe(0);
});

test('it says which secrets it made up, and takes those it is given', async () => {
  redis = await startRedis();
  const env = { REDIS_URL: redis.url, SECRET: 'x7Jq-2vN_example-only-Zk4Tn8WcRb5hLmPq' };
  const first = await start(env);
  expect(first.said.text).toContain('made for this run only: SIGNING_KEY.');
  const ann = browser(first.url);
  const { headers } = await logIn(ann, '/web').expect(303);
  await ends(first.child, 'SIGTERM');
  const second = await start(env);
  const [cookie = ''] = String(headers['set-cookie']).split(';');
  await request(second.url).get('/web/').set('Cookie', cookie).expect(200);
  await ends(second.child, 'SIGTERM');
});

test('a port that is taken is said, and ends it', async () => {
  const first = await start({ PATH: await pathWithoutRedis() });
  const second = spawn(process.execPath, ['scripts/start.mjs'], {
    cwd: ROOT,
    env: { ...process.env, PORT: new URL(first.url).port, PATH: await pathWithoutRedis() },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  second.stderr.on('data', (text) => {
    said += text;
  });
  const [code] = await once(second, 'exit');
  expect(code).toBe(1);
  expect(said).toContain('Set PORT to another port');
  await ends(first.child, 'SIGTERM');
});

const folders: string[] = [];

async function pathWithoutRedis(): Promise<string> {
  const bin = await mkdtemp(join(tmpdir(), 'portcullis-bin-'));
  folders.push(bin);
  await symlink('/bin/sh', join(bin, 'sh'));
  await symlink(process.execPath, join(bin, 'node'));
  return bin;
}

afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
});
