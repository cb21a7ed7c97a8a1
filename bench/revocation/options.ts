import { parseArgs } from 'node:util';

/** How much is measured. */
export interface BenchOptions {
  /** Server processes, 2 to 8. */
  readonly processes: number;
  readonly revocations: number;
  /** Revocations a second, all processes together, at random moments. */
  readonly rate: number;
  /** Connections of the loader to each server, each with one request under way. */
  readonly connections: number;
  /** Sizes at which memory and check time are measured. */
  readonly entries: readonly number[];
  /** How long one process is cut off, in seconds, and what is revoked meanwhile. */
  readonly cut: number;
  readonly cutRevocations: number;
  /** Requests by which the cost of one is measured, and how often each way has its turn. */
  readonly requests: number;
  readonly rounds: number;
  /** Where results.json, results.md and the plots go. */
  readonly out: string;
  readonly quick: boolean;
}

const FULL = { processes: 4, revocations: 10_000, rate: 200, connections: 2, cut: 30, requests: 20_000, rounds: 5 };
const QUICK = { processes: 2, revocations: 100, rate: 200, connections: 1, cut: 1, requests: 300, rounds: 1 };

/** From the command line: `--quick` sees in seconds whether the bench works, and its numbers mean nothing. */
export function readOptions(args: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      out: { type: 'string' },
      processes: { type: 'string' },
      revocations: { type: 'string' },
      rate: { type: 'string' },
      connections: { type: 'string' },
      cut: { type: 'string' },
    },
  });
  const base = values.quick ? QUICK : FULL;
  const number = (name: 'processes' | 'revocations' | 'rate' | 'connections' | 'cut') =>
    values[name] === undefined ? base[name] : Number(values[name]);
  const processes = number('processes');
  if (!(processes >= 2 && processes <= 8)) throw new TypeError('--processes takes 2 to 8');
  return {
    ...base,
    processes,
    revocations: number('revocations'),
    rate: number('rate'),
    connections: number('connections'),
    cut: number('cut'),
    entries: values.quick ? [1_000] : [1_000, 10_000, 100_000, 1_000_000],
    cutRevocations: values.quick ? 200 : 10_000,
    out: values.out ?? import.meta.dirname,
    quick: values.quick,
  };
}
