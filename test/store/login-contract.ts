import { setTimeout as sleep } from 'node:timers/promises';
import type { AuthStore } from 'portcullis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { LoginStore } from '../../lib/store/ports.ts';
import { loginsOf, newLogin } from './new-login.ts';

const LOOK_ONLY = undefined;

/** LoginStore, sentence by sentence. */
export function loginContract(makeStore: () => Promise<AuthStore>): void {
  let store: AuthStore;
  let logins: LoginStore;
  beforeAll(async () => {
    store = await makeStore();
    logins = loginsOf(store);
  });
  afterAll(() => store.close());

  test('a login is found as it was opened, with its row', async () => {
    const facts = newLogin({ ip: '127.0.0.1', userAgent: 'a browser', persistent: true });
    const opened = await logins.open(facts, '{"cookie":{}}');
    const { absolute, ...kept } = facts;
    expect(opened).toEqual({
      ...kept,
      createdAt: expect.any(Number),
      lastSeenAt: opened?.createdAt,
      endsAt: (opened?.createdAt as number) + absolute,
      expiresAt: (opened?.createdAt as number) + facts.idle,
    });
    expect(await logins.find(facts.sid)).toEqual({ login: opened, row: '{"cookie":{}}', corrupt: false });
  });

  test('what nobody opened is not found', async () => {
    expect(await logins.find(newLogin().sid)).toEqual({ login: undefined, row: undefined, corrupt: false });
  });

  test('of a refresh-token family it is told where it stands, and how old its tip is; to look changes nothing', async () => {
    const facts = newLogin({ mode: 'hybrid' });
    await logins.open(facts);
    expect((await logins.find(facts.sid)).family).toEqual({ tip: 0, parent: -1, age: expect.any(Number) });
    await logins.rotate({ sid: facts.sid, generation: 0, grace: 0, soft: false });
    await sleep(60);
    await logins.rotate({ sid: facts.sid, generation: 6, grace: 0, soft: false });
    const young = (await logins.find(facts.sid)).family;
    expect(young).toEqual({ tip: 7, parent: 6, age: expect.any(Number) });
    await sleep(60);
    const older = (await logins.find(facts.sid, { after: 0, idle: 1 })).family;
    expect(older).toMatchObject({ tip: 7, parent: 6 });
    expect(older?.age).toBeGreaterThan((young?.age as number) + 50);
    const session = newLogin();
    await logins.open(session);
    expect((await logins.find(session.sid)).family).toBeUndefined();
  });

  test('claims come back as JSON keeps them: empty arrays, large numbers, hostile names', async () => {
    const claims = JSON.parse(
      '{"none":[],"big":9007199254740991,"deep":{"a":[{}]},"__proto__":{"x":1},"}{*\\r\\n":"ü"}',
    );
    const facts = newLogin({ identity: { scopes: [], roles: [], authenticatedAt: 1, claims } });
    await logins.open(facts);
    const { login } = await logins.find(facts.sid);
    expect(JSON.stringify(login?.identity)).toBe(JSON.stringify(facts.identity));
  });

  test('what the opener changes afterwards changes nothing that was opened', async () => {
    const claims: Record<string, unknown> = { name: 'Ann' };
    const facts = newLogin({ identity: { scopes: [], roles: [], authenticatedAt: 1, claims } });
    await logins.open(facts);
    claims.name = 'Eve';
    expect((await logins.find(facts.sid)).login?.identity.claims).toEqual({ name: 'Ann' });
  });

  test('a sid that is taken is not opened again', async () => {
    const facts = newLogin();
    await logins.open(facts);
    expect(await logins.open({ ...facts, subject: 'another' })).toBeUndefined();
    expect((await logins.find(facts.sid)).login?.subject).toBe(facts.subject);
  });

  test.concurrent('S06: unused for its idle time, a login and its row are over', async () => {
    const facts = newLogin({ idle: 400 });
    await logins.open(facts, '{}');
    expect((await logins.find(facts.sid)).login).toBeDefined();
    await sleep(500);
    expect(await logins.find(facts.sid)).toEqual({ login: undefined, row: undefined, corrupt: false });
    expect(await logins.list(facts.subject)).toEqual([]);
  });

  test.concurrent('S06: used, it gets its whole idle time again, and its row with it; looked at only, it does not', async () => {
    const facts = newLogin({ idle: 1_000 });
    const opened = await logins.open(facts, '{}');
    const looked = newLogin({ idle: 1_000 });
    await logins.open(looked, '{}');
    for (let use = 0; use < 3; use++) {
      await sleep(400);
      await logins.find(facts.sid, { after: 10, idle: 1 });
      await logins.find(looked.sid, LOOK_ONLY);
    }
    const found = await logins.find(facts.sid);
    expect(found.row).toBe('{}');
    expect(found.login?.lastSeenAt).toBeGreaterThan((opened?.lastSeenAt as number) + 1_000);
    expect(found.login?.expiresAt).toBe((found.login?.lastSeenAt as number) + 1_000);
    expect(await logins.find(looked.sid)).toMatchObject({ login: undefined, row: undefined });
  });

  test.concurrent('a touch is not written before `after` has passed', async () => {
    const facts = newLogin();
    const opened = await logins.open(facts);
    await sleep(20);
    await logins.find(facts.sid, { after: 10_000, idle: 1 });
    expect((await logins.find(facts.sid)).login?.lastSeenAt).toBe(opened?.lastSeenAt);
  });

  test.concurrent('S07: however busy, it ends at its absolute end, and so does its row', async () => {
    const facts = newLogin({ idle: 1_000, absolute: 1_200 });
    await logins.open(facts, '{}');
    await sleep(600);
    const busy = await logins.find(facts.sid, { after: 0, idle: 60_000 });
    expect(busy.login?.expiresAt).toBe(busy.login?.endsAt);
    await sleep(700);
    expect(await logins.find(facts.sid, { after: 0, idle: 60_000 })).toMatchObject({
      login: undefined,
      row: undefined,
    });
  });

  test.concurrent('a lone row is touched too, by the idle time given', async () => {
    const { sid } = newLogin();
    await logins.createRow(sid, '{}', 800);
    await sleep(100);
    await logins.find(sid, { after: 50, idle: 60_000 });
    await sleep(800);
    expect((await logins.find(sid)).row).toBe('{}');
  });

  test('S11: the index names a login with its absolute end; only its own subject has it', async () => {
    const facts = newLogin();
    const opened = await logins.open(facts);
    expect(await logins.index(facts.subject)).toEqual([{ sid: facts.sid, endsAt: opened?.endsAt }]);
    expect(await logins.endOf(facts.subject, facts.sid)).toBe(opened?.endsAt);
    expect(await logins.endOf('nobody', facts.sid)).toBeUndefined();
    expect(await logins.index('nobody')).toEqual([]);
  });

  test('H12, S09: what was ended is gone, row and index too, and its sid is never opened again', async () => {
    const facts = newLogin({ mode: 'hybrid' });
    const opened = await logins.open(facts, '{}');
    const ended = [{ sid: facts.sid, endsAt: opened?.endsAt as number }];
    await logins.end(facts.subject, ended);
    await logins.end(facts.subject, ended);
    expect(await logins.find(facts.sid)).toMatchObject({ login: undefined, row: undefined });
    expect(await logins.index(facts.subject)).toEqual([]);
    expect(await logins.open(facts)).toBeUndefined();
    expect(await logins.rotate({ sid: facts.sid, generation: 0, grace: 50, soft: false })).toEqual({
      outcome: 'ended',
    });
  });

  test('S11, A-H15: a login ended between its name and its record stays shut', async () => {
    const facts = newLogin();
    await logins.end(facts.subject, [{ sid: facts.sid, endsAt: Date.now() + 3_600_000 }]);
    expect(await logins.open(facts, '{}')).toBeUndefined();
    expect(await logins.find(facts.sid)).toMatchObject({ login: undefined, row: undefined });
  });

  test('ending what is unknown, or nothing, is no error', async () => {
    await logins.end('nobody', []);
    await logins.end('nobody', [{ sid: newLogin().sid, endsAt: Date.now() - 1 }]);
  });

  test('the list shows the logins that stand, in every mode, the latest first', async () => {
    const { subject } = newLogin();
    const [first, second, third] = [
      newLogin({ subject }),
      newLogin({ subject, mode: 'hybrid' }),
      newLogin({ subject }),
    ];
    for (const each of [first, second, third]) {
      await logins.open(each);
      await sleep(3);
    }
    await logins.end(subject, [{ sid: first.sid, endsAt: Date.now() + 60_000 }]);
    expect((await logins.list(subject)).map(({ sid, mode }) => [sid, mode])).toEqual([
      [third.sid, 'session'],
      [second.sid, 'hybrid'],
    ]);
  });

  test('subjects are told apart whatever they are made of', async () => {
    const names = ['{', '}', '{}*', 'a\r\nDEL b', '\u0000', '*', '?', 'ü', '', 'x'.repeat(10_000)];
    for (const subject of names) await logins.open(newLogin({ subject }));
    for (const subject of names) expect((await logins.list(subject)).map((login) => login.subject)).toEqual([subject]);
  });

  test('a row is created where nothing stands only', async () => {
    const { sid } = newLogin();
    expect(await logins.createRow(sid, 'one', 60_000)).toBe(true);
    expect(await logins.createRow(sid, 'two', 60_000)).toBe(false);
    expect((await logins.find(sid)).row).toBe('one');
  });

  test('S10: a row is updated in the place of exactly what was expected; of another it is told', async () => {
    const { sid } = newLogin();
    await logins.createRow(sid, 'one', 60_000);
    expect(await logins.updateRow(sid, 'one', 'two', 60_000)).toEqual({ outcome: 'stored' });
    expect(await logins.updateRow(sid, 'one', 'three', 60_000)).toEqual({ outcome: 'conflict', row: 'two' });
    expect((await logins.find(sid)).row).toBe('two');
  });

  test('S09: a row that is gone stays gone: neither an update nor a touch brings it back', async () => {
    const { sid } = newLogin();
    await logins.createRow(sid, 'one', 60_000);
    await logins.dropRow(sid);
    expect(await logins.updateRow(sid, 'one', 'two', 60_000)).toEqual({ outcome: 'gone' });
    await logins.touchRow(sid, 60_000);
    expect((await logins.find(sid)).row).toBeUndefined();
  });

  test('of fifty updates at once that expect the same, one is stored', async () => {
    const { sid } = newLogin();
    await logins.createRow(sid, 'base', 60_000);
    const updates = await Promise.all(
      Array.from({ length: 50 }, (_, at) => logins.updateRow(sid, 'base', `by ${at}`, 60_000)),
    );
    expect(updates.filter(({ outcome }) => outcome === 'stored')).toHaveLength(1);
  });

  test('a row lives as long as it was given, and is put over whatever stands', async () => {
    const { sid } = newLogin();
    await logins.putRow(sid, 'one', 100);
    await logins.putRow(sid, 'two', 60_000);
    await sleep(150);
    expect((await logins.find(sid)).row).toBe('two');
    await logins.touchRow(sid, 50);
    await sleep(100);
    expect((await logins.find(sid)).row).toBeUndefined();
  });

  test('all rows are told, each under its id', async () => {
    const ids = Array.from({ length: 700 }, () => newLogin().sid);
    await Promise.all(ids.map((id) => logins.createRow(id, `row of ${id}`, 60_000)));
    const rows = new Map((await logins.allRows()).map(({ id, row }) => [id, row]));
    for (const id of ids) expect(rows.get(id)).toBe(`row of ${id}`);
  });
}
