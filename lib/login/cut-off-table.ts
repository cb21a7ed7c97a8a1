import type { CutOff } from './revocation.ts';
import { type Id, OWN_WORDS, type Shard } from './shard.ts';
import { asHeld, ShardedTable } from './sharded-table.ts';

const LOW = OWN_WORDS;
const HIGH = LOW + 1;
const SPARED = HIGH + 1;
const WORDS = 6;
/** The hash of no login. */
const NOBODY: Id = '\0'.repeat(16);

/** The cut-off of each subject that has one, at 60 to 90 bytes each. Instants are whole milliseconds, up to 2^53. */
export class CutOffTable extends ShardedTable {
  constructor() {
    super(WORDS);
  }

  /** The instant up to which everything of a subject was taken back, but for this login; -Infinity for none. */
  instantOf(subject: Id, now: number, login?: Id): number {
    const shard = this.shardOf(subject);
    if (shard === undefined) return Number.NEGATIVE_INFINITY;
    const slot = shard.find(subject);
    if (login !== undefined && shard.isId(slot, SPARED, login)) return Number.NEGATIVE_INFINITY;
    return instantAt(shard, slot, now);
  }

  /** Takes in a cut-off that is not over at `now`; true if it takes back what was not taken back before. */
  add({ id, instant, spared, expiresAt }: CutOff, now: number, round: number): boolean {
    const shard = this.roomFor(id);
    const slot = shard.find(id);
    const stands = instantAt(shard, slot, now);
    if (stands > instant) return false;
    if (stands < instant) {
      this.put(shard, slot, id, asHeld(expiresAt), round);
      write(shard, slot, instant, spared);
      return true;
    }
    this.put(shard, slot, id, Math.max(shard.expiresAt(slot), asHeld(expiresAt)), round);
    // Of two in one millisecond, each ends whom the other spares.
    const before = sparedAt(shard, slot);
    if (before === spared) return false;
    write(shard, slot, instant, undefined);
    return before !== undefined;
  }

  /** Those last heard of in another round. */
  *unheard(round: number): Generator<CutOff> {
    for (const [shard, slot] of this.slotsUnheard(round)) {
      const expiresAt = shard.expiresAt(slot);
      const its = { kind: 'subject' as const, id: shard.id(slot), instant: instantAt(shard, slot, 0), expiresAt };
      const spared = sparedAt(shard, slot);
      yield spared === undefined ? its : { ...its, spared };
    }
  }
}

/** -Infinity in a free slot, and for what is over. */
function instantAt(shard: Shard, slot: number, now: number): number {
  if (shard.expiresAt(slot) <= now) return Number.NEGATIVE_INFINITY;
  return shard.word(slot, HIGH) * 2 ** 32 + shard.word(slot, LOW);
}

function sparedAt(shard: Shard, slot: number): Id | undefined {
  const spared = shard.id(slot, SPARED);
  return spared === NOBODY ? undefined : spared;
}

function write(shard: Shard, slot: number, instant: number, spared: Id | undefined): void {
  shard.setWord(slot, LOW, instant % 2 ** 32);
  shard.setWord(slot, HIGH, Math.floor(instant / 2 ** 32));
  shard.setId(slot, SPARED, spared ?? NOBODY);
}
