import { FOREVER, type Id, OWN_WORDS, Shard } from './shard.ts';

const SHARDS = 256;

/**
 * Entries by id that expire. It is made of small tables, so that neither growing nor sweeping out what expired ever stops
 * the event loop. Times are milliseconds, kept as whole seconds, rounded up.
 */
export abstract class ShardedTable {
  readonly #shards: (Shard | undefined)[] = new Array(SHARDS).fill(undefined);
  readonly #width: number;
  #size = 0;
  #next = 0;

  /** `words`: how many of 32 bits an entry has beside its id and its expiry. */
  constructor(words: number) {
    this.#width = OWN_WORDS + words;
  }

  /** How many are held, those not counted out that expired a moment ago. */
  get size(): number {
    return this.#size;
  }

  /** Forgets what expired, in one small part of the table: call it often. */
  sweep(now: number): void {
    const index = this.#next;
    this.#next = (index + 1) % SHARDS;
    const shard = this.#shards[index];
    if (shard === undefined || !shard.hasExpired(now)) return;
    const swept = shard.rebuilt(now);
    this.#size += swept.used - shard.used;
    this.#shards[index] = swept.used === 0 ? undefined : swept;
  }

  /** Where an id stands, if it stands anywhere. */
  protected shardOf(id: Id): Shard | undefined {
    return this.#shards[id.charCodeAt(0)];
  }

  /** Where an id stands, or has room to. */
  protected roomFor(id: Id): Shard {
    const index = id.charCodeAt(0);
    const shard = this.#shards[index] ?? new Shard(this.#width, 0);
    const roomy = shard.full ? shard.rebuilt(0) : shard;
    this.#shards[index] = roomy;
    return roomy;
  }

  /** Writes an id, its expiry as `asHeld`, and when it was heard of; what else it has is the table's to write. */
  protected put(shard: Shard, slot: number, id: Id, expiresAt: number, round: number): void {
    const before = shard.used;
    shard.put(slot, id, expiresAt, round);
    this.#size += shard.used - before;
  }

  /** Where those stand that were last heard of in another round. */
  protected *slotsUnheard(round: number): Generator<readonly [Shard, number]> {
    for (const shard of this.#shards) {
      if (shard === undefined) continue;
      for (let slot = 0; slot < shard.slots; slot++) {
        if (shard.expiresAt(slot) !== 0 && shard.round(slot) !== round) yield [shard, slot];
      }
    }
  }
}

/** An expiry as it is held: a whole second, rounded up. */
export function asHeld(expiresAt: number): number {
  return Math.max(1, Math.ceil(Math.min(expiresAt, FOREVER) / 1000)) * 1000;
}
