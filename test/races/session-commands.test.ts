import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { redisStore } from 'portcullis';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  COOKIE,
  dataOf,
  logIn,
  type SessionApp,
  type SessionAppOptions,
  sessionApp,
  subjectOf,
} from '../session/app.ts';
import type { Browser } from '../support/browser.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';

let redis: RedisServer;
let monitor: Monitor;
const clean: (() => unknown)[] = [];
beforeEach(async () => {
  redis = await startRedis();
  monitor = await monitorOf(redis);
});
afterEach(async () => {
  for (const end of clean.splice(0).reverse()) await end();
  await redis.stop();
});

async function open(options: Partial<SessionAppOptions> = {}): Promise<SessionApp> {
  const store = redisStore(await redis.client({ name: 'app' }), { timeout: '5s' });
  clean.push(() => store.close());
  await store.ready();
  const app = await sessionApp({
    store,
    routes(express) {
      express.get('/read', (req, res) => void res.json(dataOf(req).colour ?? null));
    },
    ...options,
  });
  clean.push(() => app.server.close());
  return app;
}

/** All that Redis was told to do. */
interface Monitor {
  during(work: () => Promise<unknown>): Promise<Told>;
}

interface Told {
  /** By clients, but for what our process sends without being asked anything. */
  readonly sent: readonly string[];
  /** How often it sent that. */
  readonly unasked: number;
  readonly inScripts: readonly string[];
}

async function monitorOf(server: RedisServer): Promise<Monitor> {
  const lines: string[] = [];
  const eye = await server.client();
  await eye.monitor((line: unknown) => void lines.push(String(line)));
  let marks = 0;
  // Redis says what it did in the order it did it: once the mark is seen, so is all that came before.
  const untilNow = async () => {
    const text = `mark ${marks++}`;
    await server.cli('ECHO', text);
    while (!lines.some((line) => line.endsWith(`"ECHO" "${text}"`))) await sleep(5);
    return lines.splice(0).filter((line) => !line.includes('"ECHO" "mark'));
  };
  return {
    async during(work) {
      await untilNow();
      const names = () => lines.filter(isSent).map(nameOf);
      // The heartbeat: what comes again though nobody asks.
      while (new Set(names()).size === names().length) await sleep(20);
      const usual = new Set(names());
      await untilNow();
      await work();
      const seen = await untilNow();
      const all = seen.filter(isSent).map(nameOf);
      const sent = all.filter((name) => !usual.has(name));
      return { sent, unasked: all.length - sent.length, inScripts: seen.filter((line) => !isSent(line)) };
    },
  };
}

const isSent = (line: string): boolean => !/^\S+ \[\d+ lua\]/.test(line);
/** The command, and of a script which. */
const nameOf = (line: string): string => /\] "(EVALSHA" "\w+|\w+)"/.exec(line)?.[1] ?? line;

async function times(count: number, work: (n: number) => Promise<unknown>): Promise<void> {
  for (let n = 0; n < count; n++) await work(n);
}

test('2: a request that needs only req.auth costs one command, and in the first minute it writes nothing', async () => {
  const app = await open();
  const client = app.browser();
  await logIn(client);
  await client.get('/set?colour=red');
  const { sent, unasked, inScripts } = await monitor.during(() =>
    times(50, async () => expect(await subjectOf(client)).toBe('ann')),
  );
  expect(sent).toHaveLength(50);
  expect(new Set(sent).size).toBe(1);
  // Once a second, however many requests come.
  expect(unasked).toBeLessThan(50);
  const ofLogins = inScripts.filter((line) => /(login|row):\{/.test(line));
  expect(ofLogins.length).toBeGreaterThanOrEqual(50);
  expect(ofLogins.filter((line) => !/"(HMGET|GET)"/i.test(line))).toEqual([]);
});

test('req.session costs nothing more to read, and one command more to change', async () => {
  const app = await open();
  const client = app.browser();
  await logIn(client);
  await client.get('/set?colour=red');
  // Redis learns each script once.
  await client.get('/set?colour=blue');
  const reading = await monitor.during(() =>
    times(20, async () => expect((await client.get('/read')).json).toBe('blue')),
  );
  expect(reading.sent).toHaveLength(20);
  const changing = await monitor.during(() =>
    times(20, async (n) => expect((await client.get(`/set?colour=${n}`)).json).toEqual({ colour: `${n}` })),
  );
  expect(changing.sent).toHaveLength(40);
});

test('a visitor without a cookie costs no command, read req.session or not; nor does one who is refused', async () => {
  const app = await open();
  const strict = await open({ required: true });
  const { sent } = await monitor.during(() =>
    times(20, async () => {
      expect(await subjectOf(app.browser())).toBeNull();
      expect((await app.browser().get('/read')).json).toBeNull();
      expect((await strict.browser().get('/me')).status).toBe(401);
    }),
  );
  expect(sent).toEqual([]);
});

test('S15: a malformed, unsigned or forged cookie costs no command', async () => {
  const app = await open();
  const other = await open({ secret: randomBytes(32).toString('base64url') });
  const [client, stranger] = [app.browser(), other.browser()];
  await logIn(client);
  await logIn(stranger);
  const good = client.jar.get(COOKIE) as string;
  const [id = '', mac = ''] = good.split('.');
  const bent = [
    stranger.jar.get(COOKIE) as string,
    `${id}.${mac.startsWith('A') ? 'B' : 'A'}${mac.slice(1)}`,
    `${id.slice(0, -1)}${id.endsWith('A') ? 'B' : 'A'}.${mac}`,
    good.slice(0, -1),
    `${good}A`,
    id,
    id.slice('s%3A'.length),
    `.${mac}`,
    '',
    's%3A.',
    '%',
    '%00',
    'j%3A%7B%7D',
    `s%3A${'a'.repeat(3_000)}.${mac}`,
    `s%3A*.${mac}`,
  ];
  const { sent } = await monitor.during(async () => {
    for (const value of bent) expect([value, await subjectOf(bringing(app, value))]).toEqual([value, null]);
  });
  expect(sent).toEqual([]);
  expect(await subjectOf(client)).toBe('ann');
});

test('the process holds one connection to Redis, used by many at once', async () => {
  const clients = async () =>
    (await redis.cli('CLIENT', 'LIST')).split('\n').filter((line) => !line.includes('cmd=client|list'));
  const before = await clients();
  const app = await open();
  await Promise.all(
    Array.from({ length: 20 }, async (_, n) => {
      const client = app.browser();
      await logIn(client, { subject: `user-${n}` });
      await client.get('/set?colour=red');
      expect(await subjectOf(client)).toBe(`user-${n}`);
    }),
  );
  const after = await clients();
  expect(after).toHaveLength(before.length + 1);
  expect(after.filter((line) => line.includes(' name=app '))).toHaveLength(1);
});

function bringing(app: SessionApp, value: string): Browser {
  const client = app.browser();
  client.jar.set(COOKIE, value);
  return client;
}
