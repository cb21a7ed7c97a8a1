import { randomBytes } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { IdTable } from '../../lib/login/id-table.ts';
import { FOREVER, type Id } from '../../lib/login/shard.ts';
import { randomFrom, rounds, seedOfRun } from '../support/random.ts';

// What was given up already is none of its size.
setFlagsFromString('--expose-gc');
const collect: () => void = runInNewContext('gc');

const START = 1_700_000_000_000;
const SHARDS = 256;

const randomId = (): Id => randomBytes(16).toString('latin1');

function sweepAll(table: IdTable, now: number): void {
  for (let part = 0; part < SHARDS; part++) table.sweep(now);
}

test('D14: whatever is added, asked, forgotten and expires, it agrees with a Map', () => {
  const seed = seedOfRun();
  for (let round = 0; round < rounds(12); round++) {
    const random = randomFrom(seed + round);
    const table = new IdTable();
    const oracle = new Map<Id, number>();
    // Some share a part of the table, or all but one word: neighbours, and those that collide.
    const stem = randomId();
    const ids = Array.from({ length: 800 }, (_, at) => {
      if (at % 3 === 0) return randomId();
      return at % 3 === 1 ? stem.slice(0, 1) + randomId().slice(1) : stem.slice(0, 12) + randomId().slice(12);
    });
    let now = START;
    for (let step = 0; step < 6_000; step++) {
      const id = ids[Math.floor(random() * ids.length)] as Id;
      const what = random();
      if (what < 0.5) {
        const expiry = Math.ceil((now + random() * 60_000) / 1000) * 1000;
        const stands = oracle.get(id) ?? 0;
        expect(table.add(id, expiry - Math.floor(random() * 999), 1), `seed ${seed + round}`).toBe(stands < expiry);
        oracle.set(id, Math.max(stands, expiry));
      } else if (what < 0.95) {
        expect(table.has(id, now), `seed ${seed + round}`).toBe((oracle.get(id) ?? 0) > now);
      } else {
        now += Math.floor(random() * 5_000);
        table.sweep(now);
      }
    }
    sweepAll(table, now);
    for (const [id, expiry] of oracle) if (expiry <= now) oracle.delete(id);
    expect(table.size).toBe(oracle.size);
    const told = [...table.unheard(2)].map(({ id, expiresAt }) => [id, expiresAt] as const);
    expect(new Map(told)).toEqual(oracle);
    expect(told).toHaveLength(oracle.size);
    expect([...table.unheard(1)]).toEqual([]);
  }
});

test('an id is held until the second in which it expires is over, and for ever at the most', () => {
  const table = new IdTable();
  const [id, eternal] = [randomId(), randomId()];
  table.add(id, START + 1, 1);
  table.add(eternal, Number.MAX_SAFE_INTEGER, 1);
  expect([table.has(id, START + 1), table.has(id, START + 999), table.has(id, START + 1_000)]).toEqual([
    true,
    true,
    false,
  ]);
  expect([table.has(eternal, FOREVER - 1), table.has(eternal, FOREVER)]).toEqual([true, false]);
});

test('what was heard of in this round is not unheard; of a shorter life than is known, it is', () => {
  const table = new IdTable();
  const [heard, unheard, shortened, lengthened] = [randomId(), randomId(), randomId(), randomId()];
  for (const id of [heard, unheard, shortened, lengthened]) table.add(id, START + 5_000, 1);
  table.add(heard, START + 5_000, 2);
  table.add(shortened, START + 4_000, 2);
  table.add(lengthened, START + 6_000, 2);
  expect(new Set([...table.unheard(2)].map(({ id }) => id))).toEqual(new Set([unheard, shortened]));
});

test('D14: a hundred thousand take at most a hundred bytes each, and none once they have expired', () => {
  const table = new IdTable();
  const count = 100_000;
  collect();
  const before = process.memoryUsage().arrayBuffers;
  for (let at = 0; at < count; at++) table.add(randomId(), START, 1);
  expect(table.size).toBe(count);
  collect();
  expect((process.memoryUsage().arrayBuffers - before) / count).toBeLessThan(100);
  sweepAll(table, START + 1_000);
  expect(table.size).toBe(0);
  expect([...table.unheard(2)]).toEqual([]);
});
