/** 128 bits as a string of 16 Latin-1 characters. */
export type Id = string;

/** As long as an id can be held: until the year 2106. */
export const FOREVER = 0xffff_ffff * 1000;

const SHARDS = 256;
const LEAST = 8;
const WORDS = 5;

/** A part of the table, small enough to be rebuilt without anybody noticing. */
interface Shard {
  /** Four words of the id, and the second in which it expires; 0 there is a free slot. */
  slots: Uint32Array;
  /** The round in which each was last heard of. */
  rounds: Uint8Array;
  used: number;
}

/**
 * A set of ids that expire, at about 44 bytes each. It is made of small tables, so that neither growing nor sweeping out
 * what expired ever stops the event loop. Times are milliseconds, kept as whole seconds, rounded up.
 */
export class IdTable {
  readonly #shards: (Shard | undefined)[] = new Array(SHARDS).fill(undefined);
  #size = 0;
  #next = 0;

  /** How many are held, those not counted out that expired a moment ago. */
  get size(): number {
    return this.#size;
  }

  has(id: Id, now: number): boolean {
    if (this.#size === 0) return false;
    const shard = this.#shards[id.charCodeAt(0)];
    if (shard === undefined) return false;
    const slot = find(shard, id);
    return (shard.slots[slot * WORDS + 4] as number) * 1000 > now;
  }

  /** Adds an id or lengthens its life; true if either was news. */
  add(id: Id, expiresAt: number, round: number): boolean {
    const shard = this.#roomFor(id.charCodeAt(0));
    const slot = find(shard, id);
    const at = slot * WORDS;
    const expiry = Math.ceil(Math.min(expiresAt, FOREVER) / 1000);
    const stands = shard.slots[at + 4] as number;
    // Who told of a shorter life has not heard of this one.
    if (stands <= expiry) shard.rounds[slot] = round;
    if (stands >= expiry) return false;
    if (stands === 0) {
      for (let word = 0; word < 4; word++) shard.slots[at + word] = wordOf(id, word);
      shard.used += 1;
      this.#size += 1;
    }
    shard.slots[at + 4] = expiry;
    return true;
  }

  /** Those last heard of in another round. */
  *unheard(round: number): Generator<{ readonly id: Id; readonly expiresAt: number }> {
    for (const shard of this.#shards) {
      if (shard === undefined) continue;
      for (let slot = 0; slot < shard.rounds.length; slot++) {
        const expiry = shard.slots[slot * WORDS + 4] as number;
        if (expiry !== 0 && shard.rounds[slot] !== round) yield { id: idAt(shard, slot), expiresAt: expiry * 1000 };
      }
    }
  }

  /** Forgets what expired, in one small part of the table: call it often. */
  sweep(now: number): void {
    const index = this.#next;
    this.#next = (index + 1) % SHARDS;
    const shard = this.#shards[index];
    if (shard === undefined || !hasExpired(shard, now)) return;
    const swept = rebuilt(shard, shard.rounds.length, now);
    this.#size += swept.used - shard.used;
    this.#shards[index] = swept.used === 0 ? undefined : swept;
  }

  #roomFor(index: number): Shard {
    const shard = this.#shards[index] ?? empty(LEAST);
    const roomy = (shard.used + 1) * 4 > shard.rounds.length * 3 ? rebuilt(shard, shard.rounds.length * 2, 0) : shard;
    this.#shards[index] = roomy;
    return roomy;
  }
}

function empty(slots: number): Shard {
  return { slots: new Uint32Array(slots * WORDS), rounds: new Uint8Array(slots), used: 0 };
}

/** The slot of an id, or the free one where it would go. */
function find({ slots, rounds }: Shard, id: Id): number {
  const mask = rounds.length - 1;
  const [w0, w1, w2, w3] = [wordOf(id, 0), wordOf(id, 1), wordOf(id, 2), wordOf(id, 3)];
  let slot = w1 & mask;
  for (;;) {
    const at = slot * WORDS;
    if (slots[at + 4] === 0) return slot;
    if (slots[at] === w0 && slots[at + 1] === w1 && slots[at + 2] === w2 && slots[at + 3] === w3) return slot;
    slot = (slot + 1) & mask;
  }
}

function wordOf(id: Id, word: number): number {
  const at = word * 4;
  const high = (id.charCodeAt(at + 2) << 16) | (id.charCodeAt(at + 3) << 24);
  return (id.charCodeAt(at) | (id.charCodeAt(at + 1) << 8) | high) >>> 0;
}

function idAt({ slots }: Shard, slot: number): Id {
  const bytes = Buffer.alloc(16);
  for (let word = 0; word < 4; word++) bytes.writeUInt32LE(slots[slot * WORDS + word] as number, word * 4);
  return bytes.toString('latin1');
}

function hasExpired({ slots }: Shard, now: number): boolean {
  for (let at = 4; at < slots.length; at += WORDS) {
    const expiry = slots[at] as number;
    if (expiry !== 0 && expiry * 1000 <= now) return true;
  }
  return false;
}

/** The same, in so many slots or fewer, without what is over at `now`. */
function rebuilt(old: Shard, slots: number, now: number): Shard {
  let live = 0;
  for (let at = 4; at < old.slots.length; at += WORDS) if ((old.slots[at] as number) * 1000 > now) live += 1;
  let size = slots;
  while (size > LEAST && live * 4 < size) size /= 2;
  const fresh = empty(size);
  const mask = size - 1;
  for (let from = 0; from < old.rounds.length; from++) {
    const at = from * WORDS;
    if ((old.slots[at + 4] as number) * 1000 <= now) continue;
    let slot = (old.slots[at + 1] as number) & mask;
    while (fresh.slots[slot * WORDS + 4] !== 0) slot = (slot + 1) & mask;
    fresh.slots.set(old.slots.subarray(at, at + WORDS), slot * WORDS);
    fresh.rounds[slot] = old.rounds[from] as number;
    fresh.used += 1;
  }
  return fresh;
}
