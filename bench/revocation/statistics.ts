/** The quantiles that are reported of a set of measurements, in their unit. */
export interface Spread {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  return { count: sorted.length, p50: at(sorted, 0.5), p99: at(sorted, 0.99), max: at(sorted, 1) };
}

export function median(values: readonly number[]): number {
  return spreadOf(values).p50;
}

/** So many points of the distribution, from the least to the greatest, denser towards the end. */
export function distributionOf(values: readonly number[]): { readonly share: number; readonly value: number }[] {
  const sorted = values.toSorted((a, b) => a - b);
  const shares = [
    ...Array.from({ length: 99 }, (_, n) => n / 100),
    ...Array.from({ length: 11 }, (_, n) => 0.99 + n / 1000),
  ];
  return shares.map((share) => ({ share, value: at(sorted, share) }));
}

function at(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}
