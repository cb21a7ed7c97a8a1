/** Milliseconds of the machine's monotonic clock: the same one in every process on it. */
export function monotonic(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** Resolves after a random time whose mean is `mean` milliseconds, as visitors come. */
export function randomPause(mean: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, -Math.log(1 - Math.random()) * mean));
}
