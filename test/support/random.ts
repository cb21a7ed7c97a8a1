/** Numbers from 0 to 1 that the same seed gives again (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** How many rounds a random test plays: many more with `TEST_ROUNDS=20`, a factor. */
export function rounds(usual: number): number {
  return Math.ceil(usual * Number(process.env.TEST_ROUNDS ?? 1));
}

/** A seed of its own for each run, unless `TEST_SEED` says which; a test that fails names it. */
export function seedOfRun(): number {
  return Number(process.env.TEST_SEED ?? Math.floor(Math.random() * 1_000_000_000));
}
