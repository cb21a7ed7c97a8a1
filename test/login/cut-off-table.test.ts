import { randomBytes } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { CutOffTable } from '../../lib/login/cut-off-table.ts';
import type { CutOff } from '../../lib/login/revocation.ts';
import type { Id } from '../../lib/login/shard.ts';
import { randomFrom, rounds, seedOfRun } from '../support/random.ts';

// What was given up already is none of its size.
setFlagsFromString('--expose-gc');
const gc: () => void = runInNewContext('gc');

const NOW = 1_700_000_000_000;
const SHARDS = 256;
const NEVER = Number.NEGATIVE_INFINITY;

const randomId = (): Id => randomBytes(16).toString('latin1');
const [subject, mine, other] = [randomId(), randomId(), randomId()];

// The first leaves the freeing to other threads, which the second awaits.
function collect(): void {
  gc();
  gc();
}

function cutOff(instant: number, spared?: Id, expiresAt = NOW + 60_000): CutOff {
  return { kind: 'subject', id: subject, instant, ...(spared === undefined ? {} : { spared }), expiresAt };
}

function sweepAll(table: CutOffTable, now: number): void {
  for (let part = 0; part < SHARDS; part++) table.sweep(now);
}

test('the greatest instant wins, and its spared login with it, in whatever order they come', () => {
  const [early, late] = [cutOff(NOW, mine), cutOff(NOW + 50, other)];
  for (const [first, second, news] of [
    [early, late, true],
    [late, early, false],
  ] as const) {
    const table = new CutOffTable();
    expect([table.add(first, NOW, 1), table.add(second, NOW, 1)]).toEqual([true, news]);
    expect([undefined, mine, other].map((login) => table.instantOf(subject, NOW, login))).toEqual([
      NOW + 50,
      NOW + 50,
      NEVER,
    ]);
    expect(table.size).toBe(1);
  }
});

test('of two in one millisecond only whom both spare is spared; whom the first spared and the second does not is news', () => {
  for (const [first, second, news, spared] of [
    [mine, mine, false, mine],
    [mine, other, true, undefined],
    [mine, undefined, true, undefined],
    [undefined, mine, false, undefined],
  ] as const) {
    const table = new CutOffTable();
    table.add(cutOff(NOW, first), NOW, 1);
    expect(table.add(cutOff(NOW, second), NOW, 1)).toBe(news);
    expect(table.instantOf(subject, NOW, mine)).toBe(spared === mine ? NEVER : NOW);
    expect([...table.unheard(2)]).toEqual([cutOff(NOW, spared)]);
  }
});

test('the same again lengthens its life and never shortens it', () => {
  const table = new CutOffTable();
  table.add(cutOff(NOW, undefined, NOW + 2_000), NOW, 1);
  expect(table.add(cutOff(NOW, undefined, NOW + 4_000), NOW, 1)).toBe(false);
  expect(table.add(cutOff(NOW, undefined, NOW + 1_000), NOW, 1)).toBe(false);
  expect([NOW + 3_999, NOW + 4_000].map((now) => table.instantOf(subject, now))).toEqual([NOW, NEVER]);
});

test('what is over counts no more, swept out or not, and keeps no earlier cut-off out', () => {
  const table = new CutOffTable();
  table.add(cutOff(NOW + 50, mine, NOW + 1_000), NOW, 1);
  expect(table.instantOf(subject, NOW + 1_000)).toBe(NEVER);
  expect(table.add(cutOff(NOW, other), NOW + 1_000, 1)).toBe(true);
  expect([mine, other].map((login) => table.instantOf(subject, NOW + 1_000, login))).toEqual([NOW, NEVER]);
  expect(table.size).toBe(1);
});

test('what was heard of in this round is not unheard; an earlier cut-off than is known is not that one', () => {
  const [heard, unheard, outdone] = [randomId(), randomId(), randomId()];
  const table = new CutOffTable();
  for (const id of [heard, unheard, outdone]) table.add({ ...cutOff(NOW), id }, NOW, 1);
  table.add({ ...cutOff(NOW), id: heard }, NOW, 2);
  table.add({ ...cutOff(NOW - 1), id: outdone }, NOW, 2);
  expect(new Set([...table.unheard(2)].map(({ id }) => id))).toEqual(new Set([unheard, outdone]));
});

test('every instant up to 2^53 and every login is held as it was', () => {
  const instants = [0, 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, NOW, Number.MAX_SAFE_INTEGER];
  const cutOffs = instants.map((instant) => ({ ...cutOff(instant, randomId()), id: randomId() }));
  const table = new CutOffTable();
  for (const its of cutOffs) table.add(its, NOW, 1);
  expect(new Set([...table.unheard(2)])).toEqual(new Set(cutOffs));
});

test('D14: whatever is cut off, asked, forgotten and expires, it agrees with a Map', () => {
  const seed = seedOfRun();
  for (let round = 0; round < rounds(12); round++) {
    const random = randomFrom(seed + round);
    const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(random() * items.length)] as Item;
    const table = new CutOffTable();
    const oracle = new Map<Id, CutOff>();
    // Some share all but one word: those collide.
    const stem = randomId();
    const ids = Array.from({ length: 800 }, (_, at) =>
      at % 2 === 0 ? randomId() : stem.slice(0, 12) + randomId().slice(12),
    );
    let now = NOW;
    for (let step = 0; step < 6_000; step++) {
      const id = pick(ids);
      const what = random();
      if (what < 0.5) {
        const expiresAt = Math.ceil((now + 1 + random() * 60_000) / 1000) * 1000;
        const its = { ...cutOff(NOW + Math.floor(random() * 5), pick([mine, other, undefined]), expiresAt), id };
        const [kept, news] = bothOf(oracle.get(id), its, now);
        expect(table.add(its, now, 1), `seed ${seed + round}`).toBe(news);
        oracle.set(id, kept);
      } else if (what < 0.95) {
        const login = pick([mine, other, undefined]);
        const stands = oracle.get(id);
        const holds =
          stands !== undefined && stands.expiresAt > now && !(login !== undefined && stands.spared === login);
        expect(table.instantOf(id, now, login), `seed ${seed + round}`).toBe(holds ? stands.instant : NEVER);
      } else {
        now += Math.floor(random() * 5_000);
        table.sweep(now);
      }
    }
    sweepAll(table, now);
    const live = [...oracle.values()].filter(({ expiresAt }) => expiresAt > now);
    expect(table.size).toBe(live.length);
    const told = [...table.unheard(2)];
    expect(told).toHaveLength(live.length);
    expect(new Set(told)).toEqual(new Set(live));
    expect([...table.unheard(1)]).toEqual([]);
  }
});

/** What stands after both, and whether that is news. */
function bothOf(stands: CutOff | undefined, its: CutOff, now: number): [CutOff, boolean] {
  if (stands === undefined || stands.expiresAt <= now || stands.instant < its.instant) return [its, true];
  if (stands.instant > its.instant) return [stands, false];
  const { spared, ...rest } = { ...stands, expiresAt: Math.max(stands.expiresAt, its.expiresAt) };
  const agreed = spared === its.spared && spared !== undefined ? { ...rest, spared } : rest;
  return [agreed, spared !== undefined && spared !== its.spared];
}

test('D14: however many are held, they take at most a hundred bytes each, and none once they have expired', () => {
  const table = new CutOffTable();
  collect();
  const before = process.memoryUsage().arrayBuffers;
  for (let count = 1; count <= 120_000; count++) {
    table.add({ ...cutOff(NOW, mine), id: randomId() }, NOW, 1);
    // From one growth to the next, so that the worst is among them.
    if (count < 50_000 || count % 4_000 !== 0) continue;
    collect();
    expect((process.memoryUsage().arrayBuffers - before) / count, `${count}`).toBeLessThan(100);
  }
  expect(table.size).toBe(120_000);
  sweepAll(table, NOW + 60_000);
  expect(table.size).toBe(0);
  expect([...table.unheard(2)]).toEqual([]);
});
