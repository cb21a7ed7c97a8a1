import type { Id } from './shard.ts';
import { asHeld, ShardedTable } from './sharded-table.ts';

/** A set of ids that expire, at 28 to 42 bytes each. */
export class IdTable extends ShardedTable {
  constructor() {
    super(0);
  }

  has(id: Id, now: number): boolean {
    const shard = this.shardOf(id);
    return shard !== undefined && shard.expiresAt(shard.find(id)) > now;
  }

  /** Adds an id or lengthens its life; true if either was news. */
  add(id: Id, expiresAt: number, round: number): boolean {
    const shard = this.roomFor(id);
    const slot = shard.find(id);
    const stands = shard.expiresAt(slot);
    const expiry = asHeld(expiresAt);
    // Who told of a shorter life has not heard of this one.
    if (stands > expiry) return false;
    this.put(shard, slot, id, expiry, round);
    return stands < expiry;
  }

  /** Those last heard of in another round. */
  *unheard(round: number): Generator<{ readonly id: Id; readonly expiresAt: number }> {
    for (const [shard, slot] of this.slotsUnheard(round)) {
      yield { id: shard.id(slot), expiresAt: shard.expiresAt(slot) };
    }
  }
}
