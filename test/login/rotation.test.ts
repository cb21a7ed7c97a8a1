import { setTimeout as sleep } from 'node:timers/promises';
import { type AuthStore, memoryStore, redisStore } from 'portcullis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LoginStore } from '../../lib/store/ports.ts';
import { loginsOf, newLogin } from '../store/new-login.ts';
import { startProcess, type TestProcess } from '../support/processes.ts';
import { rounds, seedOfRun } from '../support/random.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';
import { playHistory, playHonestHistory } from './rotation-model.ts';

const GRACE = 80;
const LONG = 60_000;

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());

describe.each([
  ['memoryStore', async () => memoryStore()],
  ['redisStore', async () => redisStore(await redis.client(), { timeout: '5s' })],
] as [string, () => Promise<AuthStore>][])('%s', (_name, makeStore) => {
  let store: AuthStore;
  let logins: LoginStore;
  beforeAll(async () => {
    store = await makeStore();
    logins = loginsOf(store);
  });
  afterAll(() => store.close());

  async function family(facts = {}) {
    const login = newLogin({ mode: 'hybrid', ...facts });
    await logins.open(login);
    const present = async (generation: number, grace = LONG, soft = false) => {
      const rotation = await logins.rotate({ sid: login.sid, generation, grace, soft });
      return rotation.outcome === 'valid' ? rotation.generation : rotation.outcome;
    };
    return { login, present, softly: (generation: number, grace = LONG) => present(generation, grace, true) };
  }

  test("H05, A-H03: within grace parent and tip give the tip, and a login's first is rotated at once", async () => {
    const { present } = await family();
    expect(await present(0)).toBe(1);
    for (const generation of [0, 1, 1, 0]) expect(await present(generation)).toBe(1);
  });

  test('H03, A-H02: an answer says whose login it is, and whether its generation is new', async () => {
    const { login } = await family();
    const rotate = () => logins.rotate({ sid: login.sid, generation: 0, grace: LONG, soft: false });
    const { absolute, ...facts } = login;
    const answer = { outcome: 'valid', generation: 1, login: expect.objectContaining(facts) };
    expect(await rotate()).toEqual({ ...answer, renewed: true });
    expect(await rotate()).toEqual({ ...answer, renewed: false });
  });

  test('H01, H06: after grace a tip is rotated; a parent whose tip was seen in use is reuse', async () => {
    const { login, present } = await family();
    expect([await present(0, 0), await present(1, 0), await present(2, 0)]).toEqual([1, 2, 3]);
    await logins.seen({ ...login, generation: 3 });
    expect([await present(2, 0), await present(3, 0), await present(0, 0)]).toEqual(['reused', 'ended', 'ended']);
  });

  test('H04, A-H10: a lost answer logs nobody out: a new successor comes in the place of the lost one, again and again', async () => {
    const { present } = await family();
    await present(0, 0);
    expect([await present(0, 0), await present(0, 0), await present(0, 0)]).toEqual([2, 3, 4]);
    expect(await present(4, 0)).toBe(5);
  });

  test('A-H01: the lost successor that was replaced is void: who presents it ends the family', async () => {
    const { present } = await family();
    expect([await present(0, 0), await present(0, 0)]).toEqual([1, 2]);
    expect([await present(1), await present(2), await present(0)]).toEqual(['reused', 'ended', 'ended']);
  });

  test('a generation older than the parent ends the family, within grace too', async () => {
    const { present } = await family();
    await present(0, 0);
    await present(1, 0);
    expect([await present(0), await present(2)]).toEqual(['reused', 'ended']);
  });

  test('H18, A-H19: a generation that Redis lost becomes the tip, and what it knew last is spent', async () => {
    const { present } = await family();
    expect([await present(0, 0), await present(5), await present(5), await present(6)]).toEqual([1, 6, 6, 6]);
    expect(await present(1)).toBe('reused');
  });

  test('only what is seen of the tip counts', async () => {
    const { login, present } = await family();
    await present(0, 0);
    for (const generation of [0, 2, -1]) await logins.seen({ ...login, generation });
    // What another issuer wrote into its token, or somebody else's.
    await logins.seen({ ...login, generation: 1, issuer: 'https://other.example' });
    await logins.seen({ ...login, generation: 1, subject: 'mallory' });
    expect(await present(0, 0)).toBe(2);
    await logins.seen({ ...login, generation: 2 });
    expect(await present(0, 0)).toBe('reused');
  });

  test('softly, the tip and its parent within grace are renewed, and nothing is judged', async () => {
    const { login, present, softly } = await family();
    expect([await softly(0), await softly(0), await softly(1)]).toEqual([1, 1, 1]);
    expect([await softly(1, 0), await softly(2, 0)]).toEqual([2, 3]);
    await logins.seen({ ...login, generation: 3 });
    for (const generation of [2, 1, 0, 4, 99]) expect(await softly(generation, 0)).toBe('declined');
    expect(await present(3, 0)).toBe(4);
  });

  test('A-H07, A-H08: of thief and victim, whoever comes second ends the family', async () => {
    const { login, present } = await family();
    await present(0, 0);
    const stolen = 1;
    expect(await present(stolen, 0)).toBe(2);
    await logins.seen({ ...login, generation: 2 });
    expect([await present(stolen, 0), await present(2, 0)]).toEqual(['reused', 'ended']);
  });

  test('H12: what has ended stays so until its absolute end: neither rotation, nor seeing, nor opening makes it live', async () => {
    const { login, present, softly } = await family({ idle: 500 });
    await present(0, 0);
    await present(1, 0);
    expect(await present(0)).toBe('reused');
    await logins.seen({ ...login, generation: 2 });
    expect(await logins.open(login)).toBeUndefined();
    await sleep(600);
    for (const generation of [0, 1, 2, 3, 50])
      expect([await present(generation), await softly(generation)]).toEqual(['ended', 'ended']);
    expect((await logins.find(login.sid)).login).toBeUndefined();
  });

  test('H12, A-H14: ended while it is rotated, a family is dead, whichever came first', async () => {
    for (let round = 0; round < 100; round++) {
      const { login, present } = await family();
      const ending = [{ sid: login.sid, endsAt: Date.now() + login.absolute }];
      await Promise.all([
        present(0),
        round % 2 === 0
          ? logins.end(login.subject, ending)
          : sleep(round % 3).then(() => logins.end(login.subject, ending)),
        present(0, 0),
        present(1, 0),
      ]);
      expect([await present(1), await present(0), await present(9)]).toEqual(['ended', 'ended', 'ended']);
    }
  });

  test.concurrent('H07, A-H17: a rotation gives the whole idle time again, and never moves the absolute end', async () => {
    const { login, present } = await family({ idle: 1_000, absolute: 2_000 });
    const endsAt = (await logins.find(login.sid)).login?.endsAt;
    let generation = 0;
    for (let turn = 0; turn < 3; turn++) {
      await sleep(500);
      generation = (await present(generation, 0)) as number;
    }
    expect((await logins.find(login.sid)).login?.endsAt).toBe(endsAt);
    await sleep(600);
    expect(await present(generation, 0)).toBe('expired');
  });

  test.concurrent('what was never opened, a session, and what was idle for too long have no family', async () => {
    expect((await logins.rotate({ sid: 'unknown', generation: 0, grace: 0, soft: false })).outcome).toBe('expired');
    const { login: session } = await family({ mode: 'session' });
    expect((await logins.rotate({ sid: session.sid, generation: 0, grace: 0, soft: false })).outcome).toBe('expired');
    const { present } = await family({ idle: 60 });
    await sleep(100);
    expect(await present(0)).toBe('expired');
  });

  test.concurrent('H02: of fifty at once one is new, and all have the same successor', async () => {
    const { login } = await family();
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => logins.rotate({ sid: login.sid, generation: 0, grace: LONG, soft: false })),
    );
    expect(answers.map((answer) => (answer.outcome === 'valid' ? answer.generation : 'none'))).toEqual(
      Array(50).fill(1),
    );
    expect(answers.filter((answer) => answer.outcome === 'valid' && answer.renewed)).toHaveLength(1);
  });

  test.concurrent(
    'random histories of victim, thief, tabs, lost answers, late requests and lost writes go by the rules',
    async () => {
      let seed = seedOfRun();
      let played = 0;
      while (played < rounds(320)) {
        const seeds = Array.from({ length: 160 }, () => seed++);
        const done = await Promise.all(seeds.map((each) => playHistory(logins, each, GRACE)));
        played += done.filter(Boolean).length;
      }
    },
    120_000 * rounds(1),
  );

  test.concurrent(
    'random histories of a client alone never log it out',
    async () => {
      let seed = seedOfRun();
      for (let played = 0; played < rounds(160); played += 160) {
        await Promise.all(Array.from({ length: 160 }, () => playHonestHistory(logins, seed++, GRACE)));
      }
    },
    120_000 * rounds(1),
  );
});

describe('two processes', () => {
  let processes: TestProcess[];
  beforeAll(async () => {
    const MODULE = new URL('./rotation.child.ts', import.meta.url);
    processes = await Promise.all([1, 2].map(() => startProcess(MODULE, { env: { REDIS_URL: redis.url } })));
  });
  afterAll(() => Promise.all(processes.map((each) => each.stop())));

  test('H02, A-H04: of fifty rotations in each at once, one is new, and all have the same successor', async () => {
    const store = redisStore(await redis.client(), { timeout: '5s' });
    const login = newLogin({ mode: 'hybrid' });
    await loginsOf(store).open(login);
    for (let generation = 0; generation < 2; generation++) {
      const answers: (readonly [number, boolean])[] = (
        await Promise.all(processes.map((each) => each.call('rotate', login.sid, generation, 50)))
      ).flat();
      expect(answers.map(([given]) => given)).toEqual(Array(100).fill(generation + 1));
      expect(answers.filter(([, renewed]) => renewed)).toHaveLength(1);
      await sleep(1_100);
    }
    await store.close();
  });
});
