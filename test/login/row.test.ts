import { expect, test } from 'vitest';
import { fieldsOf, mergeRow } from '../../lib/login/row.ts';
import { randomFrom, rounds, seedOfRun } from '../support/random.ts';

const merge = (before: object, after: object, standing: object) => {
  const { row, conflicts } = mergeRow(JSON.stringify(before), JSON.stringify(after), JSON.stringify(standing));
  return { row: JSON.parse(row), conflicts };
};

test.each([
  ['a change', { a: 1 }, { a: 2 }, { a: 1, b: 9 }, { a: 2, b: 9 }, []],
  ['an addition', {}, { a: 1 }, { b: 9 }, { b: 9, a: 1 }, []],
  ['a deletion', { a: 1 }, {}, { a: 1, b: 9 }, { b: 9 }, []],
  ['nothing', { a: 1 }, { a: 1 }, { b: 9 }, { b: 9 }, []],
  ['the same as another did', { a: 1 }, { a: 2 }, { a: 2, b: 9 }, { a: 2, b: 9 }, []],
  ['what another changed too', { a: 1 }, { a: 2 }, { a: 3 }, { a: 2 }, ['a']],
  ['what another deleted', { a: 1 }, { a: 2 }, { b: 9 }, { b: 9, a: 2 }, ['a']],
  ['a deletion of what another changed', { a: 1 }, {}, { a: 3 }, {}, ['a']],
  ['the cookie', { cookie: 1 }, { cookie: 2 }, { cookie: 3 }, { cookie: 2 }, []],
] as [string, object, object, object, object, string[]][])(
  'S10: %s is laid over what stands',
  (_what, before, after, standing, row, conflicts) => {
    expect(merge(before, after, standing)).toEqual({ row, conflicts });
  },
);

test('fields with the names of methods and of the prototype are fields', () => {
  const before = '{"__proto__":{"a":1},"constructor":1}';
  const { row } = mergeRow(
    before,
    '{"__proto__":{"a":2},"constructor":1}',
    '{"__proto__":{"a":1},"constructor":1,"toString":[]}',
  );
  expect(row).toBe('{"__proto__":{"a":2},"constructor":1,"toString":[]}');
  expect([...(fieldsOf(row) as Map<string, string>).keys()]).toEqual(['__proto__', 'constructor', 'toString']);
});

test('S10: requests that change fields of their own all win, in whatever order they save', () => {
  const seed = seedOfRun();
  for (let round = 0; round < rounds(200); round++) {
    const random = randomFrom(seed + round);
    const base = Object.fromEntries(Array.from({ length: 6 }, (_, at) => [`f${at}`, Math.floor(random() * 3)]));
    const before = JSON.stringify(base);
    const wanted: Record<string, number> = { ...base };
    const saves = Object.keys(base).map((name) => {
      const after: Record<string, number> = { ...base };
      const value = Math.floor(random() * 4);
      if (value === 3) {
        delete after[name];
        delete wanted[name];
      } else after[name] = wanted[name] = value;
      return JSON.stringify(after);
    });
    let standing = before;
    for (const after of saves.sort(() => random() - 0.5)) {
      const { row, conflicts } = mergeRow(before, after, standing);
      expect(conflicts).toEqual([]);
      standing = row;
    }
    expect(JSON.parse(standing), `seed ${seed + round}`).toEqual(wanted);
  }
});
