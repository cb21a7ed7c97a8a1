import { expect, test } from 'vitest';
import { StoreClock } from '../../lib/login/store-clock.ts';

const both = (clock: number, ahead = 0) => ({ clock, logTime: clock + ahead });

test('H13: it goes by the answer that was quickest, whatever this machine believes', () => {
  const clock = new StoreClock();
  expect(clock.measured).toBe(false);
  const at = performance.now();
  const error = () => Math.abs(clock.now() - performance.now() - 1_000_000);
  clock.measure(both(1_000_000 + at + 90), at, at + 200);
  expect(clock.measured).toBe(true);
  expect(error()).toBeLessThan(20);
  clock.measure(both(1_000_000 + at + 1), at, at + 2);
  expect(error()).toBeLessThan(0.5);
  clock.measure(both(1_000_000 + at + 150), at, at + 300);
  expect(error()).toBeLessThan(0.5);
});

test('A-R20: a clock that was set, or that of another server, is believed at once', () => {
  const clock = new StoreClock();
  const at = performance.now();
  for (let sample = 0; sample < 8; sample++) clock.measure(both(5_000_000 + at + 1), at, at + 2);
  for (const jump of [3_600_000, -3_600_000]) {
    clock.measure(both(5_000_000 + jump + at + 50), at, at + 100);
    expect(Math.abs(clock.now() - performance.now() - 5_000_000 - jump)).toBeLessThan(1);
  }
});

test('log time lies between the earliest and the latest it can be, whichever way took how long', () => {
  for (const there of [0, 10, 50, 90, 100]) {
    const clock = new StoreClock();
    const at = performance.now();
    clock.measure(both(7_000_000 + at + there, 3_600_000), at, at + 100);
    const truth = () => 7_000_000 + 3_600_000 + performance.now();
    expect(clock.earliest()).toBeLessThanOrEqual(truth() + 0.001);
    expect(clock.latest()).toBeGreaterThanOrEqual(truth() - 1);
    expect(clock.latest() - clock.earliest()).toBeLessThan(101);
  }
});
