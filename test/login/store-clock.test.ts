import { expect, test } from 'vitest';
import { StoreClock } from '../../lib/login/store-clock.ts';

test('H13: it goes by the answer that was quickest, whatever this machine believes', () => {
  const clock = new StoreClock();
  expect(clock.measured).toBe(false);
  const at = performance.now();
  const error = () => Math.abs(clock.now() - performance.now() - 1_000_000);
  clock.measure(1_000_000 + at + 90, at, at + 200);
  expect(clock.measured).toBe(true);
  expect(error()).toBeLessThan(20);
  clock.measure(1_000_000 + at + 1, at, at + 2);
  expect(error()).toBeLessThan(0.5);
  clock.measure(1_000_000 + at + 150, at, at + 300);
  expect(error()).toBeLessThan(0.5);
});

test('A-R20: a clock that was set, or that of another server, is believed at once', () => {
  const clock = new StoreClock();
  const at = performance.now();
  for (let sample = 0; sample < 8; sample++) clock.measure(5_000_000 + at + 1, at, at + 2);
  for (const jump of [3_600_000, -3_600_000]) {
    clock.measure(5_000_000 + jump + at + 50, at, at + 100);
    expect(Math.abs(clock.now() - performance.now() - 5_000_000 - jump)).toBeLessThan(1);
  }
});
