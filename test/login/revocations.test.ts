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
  }
  expect(revocationOf(cutOff(NOW))).toEqual({ kind: 'subject', id: subject, instant: NOW, expiresAt: NOW + 60_000 });
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
