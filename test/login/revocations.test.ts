import { expect, test, vi } from 'vitest';
import { entryOf, idOf, revocationOf } from '../../lib/login/revocation.ts';
import { Revocations } from '../../lib/login/revocations.ts';

const NOW = 1_700_000_000_000;
const known = () => {
  const clock = { now: NOW };
  return { clock, revocations: new Revocations(() => clock.now) };
};
const subject = idOf.subject('issuer', 'ann');
const cutOff = (instant: number, expiresAt = NOW + 60_000) =>
  entryOf({ kind: 'subject', id: subject, instant, expiresAt });
const issued = (issuedAt: number, leeway = 0) => ({ subjects: [subject], issuedAt, leeway });
const stamped = (stamp: number) => ({ subjects: [subject], stamp, issuedAt: 0, leeway: 60_000 });

test('D04: of a stamped token the stamp decides, to the millisecond; of another its iat, less the leeway', () => {
  const { revocations } = known();
  revocations.learn(cutOff(NOW));
  expect([NOW - 1, NOW, NOW + 1].map((stamp) => revocations.reach(stamped(stamp)))).toEqual([true, true, false]);
  expect([NOW, NOW + 1].map((iat) => revocations.reach(issued(iat)))).toEqual([true, false]);
  expect([NOW + 5_000, NOW + 5_001].map((iat) => revocations.reach(issued(iat, 5_000)))).toEqual([true, false]);
});

test('the greatest cut-off wins, in whatever order they are learnt', () => {
  for (const instants of [
    [NOW, NOW + 50],
    [NOW + 50, NOW],
  ]) {
    const { revocations } = known();
    for (const instant of instants) revocations.learn(cutOff(instant));
    expect(revocations.cutOff([subject])).toBe(NOW + 50);
    expect(revocations.size).toBe(1);
  }
});

test('the login that a cut-off spares is spared, by whatever it carries; of two in one millisecond, only by both', () => {
  const [mine, other] = [idOf.login('mine'), idOf.login('other')];
  const sparing = (spared: string | undefined, instant = NOW) =>
    entryOf({ kind: 'subject', id: subject, instant, spared, expiresAt: NOW + 60_000 });
  const reached = (...entries: ReturnType<typeof sparing>[]) => {
    const { revocations } = known();
    for (const entry of entries) revocations.learn(entry);
    const all = [mine, other, undefined];
    return all.map((login) =>
      revocations.reach({ ...stamped(NOW), ...(login === undefined ? {} : { spared: login }) }),
    );
  };
  expect(reached(sparing(mine))).toEqual([false, true, true]);
  expect(reached(sparing(mine), sparing(other, NOW + 1))).toEqual([true, false, true]);
  expect(reached(sparing(other, NOW + 1), sparing(mine))).toEqual([true, false, true]);
  expect(reached(sparing(mine), sparing(mine))).toEqual([false, true, true]);
  expect(reached(sparing(mine), sparing(other))).toEqual([true, true, true]);
  expect(reached(sparing(mine), sparing(undefined))).toEqual([true, true, true]);
  expect(reached(sparing(undefined), sparing(mine))).toEqual([true, true, true]);
});

test('H13: where the store’s clock is behind, the iat of others is read by it, and a stamp as it stands', () => {
  const revocations = new Revocations(
    () => NOW,
    () => 3_600_000,
  );
  revocations.learn(cutOff(NOW));
  expect([NOW + 3_600_000, NOW + 3_600_001].map((iat) => revocations.reach(issued(iat)))).toEqual([true, false]);
  expect([NOW, NOW + 1].map((stamp) => revocations.reach(stamped(stamp)))).toEqual([true, false]);
});

test('nothing holds longer than it was to, and what expired leaves', () => {
  const { revocations, clock } = known();
  const token = idOf.token('issuer', 'a');
  revocations.learn(cutOff(NOW, NOW + 1_000));
  revocations.learn(entryOf({ kind: 'token', id: token, expiresAt: NOW + 1_000 }));
  clock.now = NOW + 1_000;
  expect(revocations.reach(issued(0))).toBe(false);
  expect(revocations.reach({ token, issuedAt: 0, leeway: 0 })).toBe(false);
  for (let part = 0; part < 256; part++) revocations.sweep();
  expect(revocations.size).toBe(0);
});

test('what the log does not tell again is given back as it stood there, to the second; told again, it is nothing new', () => {
  const { revocations } = known();
  const stood = [
    entryOf({ kind: 'token', id: idOf.token('issuer', 'a'), expiresAt: NOW + 60_000 }),
    entryOf({ kind: 'subject', id: subject, instant: NOW + 1, spared: idOf.login('mine'), expiresAt: NOW + 60_000 }),
    entryOf({ kind: 'subject', id: idOf.subject(undefined, 'ann'), instant: NOW, expiresAt: NOW + 60_000 }),
  ];
  for (const { member, expiresAt } of stood) revocations.learn({ member, expiresAt: expiresAt - 999 });
  expect([...revocations.unheard()]).toEqual([]);
  revocations.beginRound();
  const lacking = [...revocations.unheard()];
  expect(new Set(lacking)).toEqual(new Set(stood));
  expect(lacking.map((entry) => revocations.learn(entry))).toEqual([false, false, false]);
  expect([...revocations.unheard()]).toEqual([]);
});

test('kinds, issuers and names are told apart, whatever they are made of', () => {
  const ids = [
    idOf.token('a', 'b'),
    idOf.token('ab', ''),
    idOf.token('', 'ab'),
    idOf.token(undefined, 'b'),
    idOf.token('a","b', ''),
    idOf.key('a', 'b'),
    idOf.subject('a', 'b'),
    idOf.subject(undefined, 'b'),
    idOf.subject('', 'b'),
    idOf.login('b'),
  ];
  expect(new Set(ids).size).toBe(ids.length);
});

test('what is written to the log is read from it as it was; anything else is nothing', () => {
  for (const kind of ['token', 'login', 'key'] as const) {
    const revocation = { kind, id: idOf.login('x'), expiresAt: NOW };
    expect(revocationOf(entryOf(revocation))).toEqual(revocation);
    // A whole second, as a process that puts it back after a loss would write it.
    expect(entryOf({ ...revocation, expiresAt: NOW - 999 })).toEqual(entryOf(revocation));
  }
  expect(revocationOf(cutOff(NOW))).toEqual({ kind: 'subject', id: subject, instant: NOW, expiresAt: NOW + 60_000 });
  const sparing = { kind: 'subject', id: subject, instant: NOW, spared: idOf.login('x'), expiresAt: NOW } as const;
  expect(revocationOf(entryOf(sparing))).toEqual(sparing);
  const { member } = cutOff(NOW);
  for (const alien of ['', 'x', `${member}0000`, `${member}x`, member.slice(0, 20), `x${member}`, 't:', 'epoch:x']) {
    expect(revocationOf({ member: alien, expiresAt: NOW }), alien).toBeUndefined();
  }
  expect(revocationOf({ member, expiresAt: Number.NaN })).toBeUndefined();
});

test('who watches is called once, by what reaches them, and by nothing else', () => {
  const { revocations } = known();
  const [old, late] = [vi.fn(), vi.fn()];
  revocations.watch(stamped(NOW), old);
  revocations.watch(stamped(NOW + 100), late);
  revocations.learn(cutOff(NOW + 50));
  revocations.learn(cutOff(NOW + 60));
  expect([old.mock.calls.length, late.mock.calls.length]).toEqual([1, 0]);
});
