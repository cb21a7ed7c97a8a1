import type { Commands } from './commands.ts';
import type { Cost } from './cost.ts';
import type { CatchUp } from './cut.ts';
import type { CutOffs, Expired, Held } from './entries.ts';
import type { Latency } from './latency.ts';
import type { Machine } from './machine.ts';
import type { BenchOptions } from './options.ts';

/** Everything that was measured, as results.json holds it. */
export interface Results {
  readonly machine: Machine;
  readonly options: Omit<BenchOptions, 'out'>;
  readonly latency: {
    readonly jwt: Latency;
    readonly lookup: Latency | undefined;
    /** Of a token in milliseconds: what a revocation that waits for expiry takes at worst. */
    readonly lifetime: number;
  };
  readonly commands: { readonly jwt: Commands; readonly hybrid: Commands; readonly lookup: Commands | undefined };
  readonly costs: readonly Cost[];
  readonly catchUp: readonly CatchUp[];
  readonly held: readonly Held[];
  readonly expired: Expired;
  readonly cutOffs: CutOffs;
}
