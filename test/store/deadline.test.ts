import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type AuthStore, redisStore, StoreUnavailable } from 'portcullis';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { partsOf } from '../../lib/login/auth-store.ts';
import { Deadline } from '../../lib/store/deadline.ts';
import { type RedisClient, type RedisServer, startRedis } from '../support/redis-server.ts';
import { loginsOf, newLogin } from './new-login.ts';

const TIMEOUT = 100;

let redis: RedisServer;
let client: RedisClient;
let store: AuthStore;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());
beforeEach(async () => {
  client = await redis.client();
  store = redisStore(client, { prefix: `${randomUUID()}:`, timeout: `${TIMEOUT}ms` });
  await store.ready();
});
afterEach(async () => {
  redis.thaw();
  await store.close();
  client.destroy();
});

const token = () => ({ issuer: 'issuer', jti: randomUUID(), expiresAt: new Date(Date.now() + 60_000) });
const callback = (work: (done: (error: unknown) => void) => void) =>
  new Promise<void>((resolve, reject) => work((error) => (error ? reject(error) : resolve())));

const facts = newLogin();
const VERBS: [string, () => Promise<unknown>][] = [
  ['open', () => partsOf('test', store).logins.open(newLogin(), '{}', {})],
  ['find', () => loginsOf(store).find(facts.sid)],
  ['rotate', () => loginsOf(store).rotate({ sid: facts.sid, generation: 0, grace: 1, soft: false })],
  ['seen', () => loginsOf(store).seen({ ...facts, generation: 0 })],
  ['createRow', () => loginsOf(store).createRow(facts.sid, '{}', 1_000)],
  ['updateRow', () => loginsOf(store).updateRow(facts.sid, '{}', '{}', 1_000)],
  ['touchRow', () => loginsOf(store).touchRow(facts.sid, 1_000)],
  ['dropRow', () => loginsOf(store).dropRow(facts.sid)],
  ['allRows', () => loginsOf(store).allRows()],
  ['logins', () => store.logins('ann')],
  ['revokeLogin', () => store.revokeLogin(facts)],
  ['revokeToken', () => store.revokeToken(token())],
  ['revokeSubject', () => store.revokeSubject('ann')],
  ['revokeKey', () => store.revokeKey({ issuer: 'issuer', kid: 'k' })],
  ['sessions().get', () => callback((done) => store.sessions().get('id', done))],
  ['sessions().destroy', () => callback((done) => store.sessions().destroy('id', done))],
];

test.each(VERBS)('L05, A-R03: while Redis stands still, %s rejects with StoreUnavailable', async (_name, verb) => {
  redis.freeze();
  await expect(verb()).rejects.toThrow(StoreUnavailable);
});

test('A-R02: while Redis is away every verb rejects with StoreUnavailable, and works once it is back', async () => {
  await redis.kill();
  for (const [name, verb] of VERBS) await expect(verb(), name).rejects.toThrow(StoreUnavailable);
  await redis.restart();
  for (const [name, verb] of VERBS) {
    const outcome = () =>
      verb().then(
        () => 'done',
        () => 'refused',
      );
    await expect.poll(outcome, { timeout: 5_000, message: name }).toBe('done');
  }
});

test('L05, D12: what is answered says 503, to try again, and nothing of Redis', async () => {
  redis.freeze();
  const error = await loginsOf(store)
    .find(facts.sid)
    .catch((reason) => reason);
  expect([error.status, error.headers]).toEqual([503, { 'Retry-After': '1' }]);
  expect(error.message).not.toMatch(/redis|127\.0\.0\.1|\d{4}/i);
});

test('A-R18: an error of Redis is StoreUnavailable too', async () => {
  await client.configSet('maxmemory', '1');
  await expect(store.revokeToken(token())).rejects.toThrow(StoreUnavailable);
  await client.configSet('maxmemory', '0');
  await store.revokeToken(token());
});

test('L07: while Redis stands still nothing piles up: a request in a tenth of a second asks, the others fail at once', async () => {
  redis.freeze();
  await expect(loginsOf(store).find(facts.sid)).rejects.toThrow(StoreUnavailable);
  let sent = 0;
  const send = client.sendCommand.bind(client);
  client.sendCommand = ((...args: Parameters<typeof send>) => {
    sent += 1;
    return send(...args);
  }) as typeof send;
  const until = performance.now() + 500;
  let refused = 0;
  while (performance.now() < until) {
    await Promise.allSettled(Array.from({ length: 50 }, () => loginsOf(store).find(facts.sid)));
    refused += 50;
    await sleep(1);
  }
  expect(refused).toBeGreaterThan(100);
  // The heartbeat asks as well, within the same measure.
  expect(sent).toBeLessThanOrEqual(Math.ceil((performance.now() - until + 500) / 100) + 2);
});

test('L05: once thawed, it answers by itself', async () => {
  redis.freeze();
  await Promise.allSettled(Array.from({ length: 100 }, () => loginsOf(store).find(facts.sid)));
  redis.thaw();
  await expect.poll(() => store.logins('ann').catch(() => 'refused'), { timeout: 5_000 }).toEqual([]);
});

test('L07: while the client is offline nothing waits in its queue', async () => {
  await redis.kill();
  await expect.poll(() => client.isReady, { timeout: 5_000 }).toBe(false);
  const login = newLogin();
  await Promise.allSettled(Array.from({ length: 200 }, () => loginsOf(store).putRow(login.sid, 'late', 60_000)));
  await redis.restart();
  await expect.poll(() => client.isReady, { timeout: 5_000 }).toBe(true);
  await sleep(50);
  expect((await loginsOf(store).find(login.sid)).row).toBeUndefined();
});

test('a login that timed out does not count, though Redis opens it at the thaw', async () => {
  const { logins } = partsOf('test', store);
  // So that Redis knows the scripts, and the one command it gets late is the one that opens.
  await logins.open(newLogin(), '{}', {});
  const login = newLogin();
  // The name is written, the record is on its way.
  atSecondCommandFor(client, login.sid, () => redis.freeze());
  const opening = expect(logins.open(login, '{}', {})).rejects.toThrow(StoreUnavailable);
  await sleep(TIMEOUT + 100);
  await opening;
  redis.thaw();
  await expect.poll(() => store.logins('ann').catch(() => 'refused'), { timeout: 5_000 }).toEqual([]);
  await sleep(50);
  expect(await store.logins(login.subject)).toEqual([]);
});

test('nor does one whose answer was lost with the connection', async () => {
  const wire = await wireTo(redis.port);
  const distant = await redis.client({ url: `redis://127.0.0.1:${wire.port}` });
  const other = redisStore(distant, { prefix: `${randomUUID()}:` });
  await other.ready();
  const { logins } = partsOf('test', other);
  await logins.open(newLogin(), '{}', {});
  const login = newLogin();
  atSecondCommandFor(distant, login.sid, wire.cutAnswers);
  await expect(logins.open(login, '{}', {})).rejects.toThrow(StoreUnavailable);
  await expect.poll(() => other.logins(login.subject).catch(() => 'refused'), { timeout: 5_000 }).toEqual([]);
  await expect.poll(() => logins.isRevoked(login.sid), { timeout: 5_000 }).toBe(true);
  expect((await loginsOf(other).find(login.sid)).login).toBeDefined();
  await other.close();
  distant.destroy();
  wire.close();
});

test('a rotation that timed out yields its successor again', async () => {
  const login = newLogin({ mode: 'hybrid' });
  await loginsOf(store).open(login);
  const rotate = () => loginsOf(store).rotate({ sid: login.sid, generation: 0, grace: 60_000, soft: false });
  redis.freeze();
  await expect(rotate()).rejects.toThrow(StoreUnavailable);
  redis.thaw();
  await expect
    .poll(() => rotate().catch(() => 'refused'), { timeout: 5_000 })
    .toMatchObject({ outcome: 'valid', generation: 1 });
});

test('A-R21: a pause of writes alone is met by the deadline', async () => {
  const operator = await redis.client();
  await operator.sendCommand(['CLIENT', 'PAUSE', '60000', 'WRITE']);
  await expect(store.revokeToken(token())).rejects.toThrow(StoreUnavailable);
  await operator.sendCommand(['CLIENT', 'UNPAUSE']);
  await expect.poll(() => store.logins('ann').catch(() => 'refused'), { timeout: 5_000 }).toEqual([]);
});

test('what the application set on its client does not reach our commands', async () => {
  const { RESP_TYPES } = await import('redis');
  const odd = await redis.client({
    commandOptions: { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer, [RESP_TYPES.DOUBLE]: String }, timeout: 1 },
  });
  const other = redisStore(odd as never, { prefix: `${randomUUID()}:`, timeout: '5s' });
  const login = newLogin();
  await partsOf('test', other).logins.open(login, '{}', {});
  expect(await other.logins(login.subject)).toHaveLength(1);
  expect((await loginsOf(other).find(login.sid)).row).toBe('{}');
  await other.close();
});

test('a deadline settles as the work does, or rejects; overdue counts what is late until it settles', async () => {
  const deadline = new Deadline(30, () => new Error('late'));
  expect(await deadline.meet(Promise.resolve(1))).toBe(1);
  await expect(deadline.meet(Promise.reject(new Error('own')))).rejects.toThrow('own');
  const held: ((value: number) => void)[] = [];
  const works = Array.from({ length: 3 }, () => new Promise<number>((resolve) => held.push(resolve)));
  const results = await Promise.allSettled(works.map((work) => deadline.meet(work)));
  expect(results.map((result) => (result as PromiseRejectedResult).reason.message)).toEqual(['late', 'late', 'late']);
  expect(deadline.overdue).toBe(3);
  for (const resolve of held) resolve(5);
  await Promise.all(works);
  expect(deadline.overdue).toBe(0);
});

test('of many at different times each has its own time', async () => {
  const deadline = new Deadline(100, () => new Error('late'));
  const never = new Promise(() => {});
  const first = deadline.meet(never).catch(() => 'late');
  await sleep(60);
  const soon = deadline.meet(sleep(60, 'in time'));
  const last = deadline.meet(never).catch(() => 'late');
  expect([await first, await soon, await last]).toEqual(['late', 'in time', 'late']);
});

test('A-R24: an answer that came while this process was busy is not late', async () => {
  redis.freeze();
  const answer = loginsOf(store).find(facts.sid);
  // It is on its way now; what it gets it can read only when this process has time again, and looks at its timers first.
  await sleep(TIMEOUT / 4);
  await new Promise(setImmediate);
  redis.thaw();
  const until = performance.now() + 2 * TIMEOUT;
  while (performance.now() < until);
  expect((await answer).login).toBeUndefined();
});

function atSecondCommandFor(client: RedisClient, sid: string, act: () => void): void {
  const send = client.sendCommand.bind(client);
  let commands = 0;
  client.sendCommand = ((...args: Parameters<typeof send>) => {
    if (String(args[0]).includes(sid) && ++commands === 2) act();
    return send(...args);
  }) as typeof send;
}

/** A wire to Redis that can lose the answers, and break. */
async function wireTo(port: number) {
  let cut = false;
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    near.pipe(far);
    far.on('data', (answer) => {
      if (cut) near.destroy();
      else near.write(answer);
    });
    near.on('close', () => {
      cut = false;
      far.destroy();
    });
    for (const end of [near, far]) end.on('error', () => {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    cutAnswers() {
      cut = true;
    },
    close: () => void server.close(),
  };
}
