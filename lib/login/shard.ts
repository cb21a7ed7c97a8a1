/** 128 bits as a string of 16 Latin-1 characters. */
export type Id = string;

/** As long as anything can be held: until the year 2106. */
export const FOREVER = 0xffff_ffff * 1000;

/** Words of a slot that every table has: four of the id, and the second in which it expires, 0 in a free slot. */
export const OWN_WORDS = 5;
const EXPIRY = 4;
const LEAST = 8;

/** A part of a table, small enough to be rebuilt without anybody noticing. Times are milliseconds, kept as seconds. */
export class Shard {
  readonly slots: number;
  #used = 0;
  readonly #width: number;
  readonly #words: Uint32Array;
  readonly #rounds: Uint8Array;

  /** `width`: the words of a slot, its own ones included; `entries`: for how many, and half as many again. */
  constructor(width: number, entries: number) {
    // Half full at first, and three quarters at last: that bounds what an entry takes, and how far it is sought.
    this.slots = Math.max(LEAST, entries * 2);
    this.#width = width;
    this.#words = new Uint32Array(this.slots * width);
    this.#rounds = new Uint8Array(this.slots);
  }

  get used(): number {
    return this.#used;
  }

  get full(): boolean {
    return (this.#used + 1) * 4 > this.slots * 3;
  }

  /** The slot of an id, or the free one where it would go. */
  find(id: Id): number {
    const second = wordOf(id, 1);
    let slot = this.#home(second);
    for (;;) {
      if (this.expiresAt(slot) === 0) return slot;
      // Most who are in the way differ here: the rest of the id need not be read.
      if (this.word(slot, 1) === second && this.isId(slot, 0, id)) return slot;
      slot = this.#after(slot);
    }
  }

  /** Writes an id into a free slot, or lets it stand in its own. */
  put(slot: number, id: Id, expiresAt: number, round: number): void {
    if (this.expiresAt(slot) === 0) {
      this.setId(slot, 0, id);
      this.#used += 1;
    }
    this.#words[slot * this.#width + EXPIRY] = expiresAt / 1000;
    this.#rounds[slot] = round;
  }

  /** 0 for a free slot. */
  expiresAt(slot: number): number {
    return (this.#words[slot * this.#width + EXPIRY] as number) * 1000;
  }

  /** The round in which it was last heard of. */
  round(slot: number): number {
    return this.#rounds[slot] as number;
  }

  word(slot: number, word: number): number {
    return this.#words[slot * this.#width + word] as number;
  }

  setWord(slot: number, word: number, value: number): void {
    this.#words[slot * this.#width + word] = value;
  }

  /** The id that begins with this word; a slot's own with its first. */
  id(slot: number, word = 0): Id {
    const bytes = Buffer.alloc(16);
    for (let n = 0; n < 4; n++) bytes.writeUInt32LE(this.word(slot, word + n), n * 4);
    return bytes.toString('latin1');
  }

  setId(slot: number, word: number, id: Id): void {
    for (let n = 0; n < 4; n++) this.setWord(slot, word + n, wordOf(id, n));
  }

  isId(slot: number, word: number, id: Id): boolean {
    const words = this.#words;
    const at = slot * this.#width + word;
    return (
      words[at] === wordOf(id, 0) &&
      words[at + 1] === wordOf(id, 1) &&
      words[at + 2] === wordOf(id, 2) &&
      words[at + 3] === wordOf(id, 3)
    );
  }

  hasExpired(now: number): boolean {
    for (let slot = 0; slot < this.slots; slot++) {
      const expiresAt = this.expiresAt(slot);
      if (expiresAt !== 0 && expiresAt <= now) return true;
    }
    return false;
  }

  /** The same without what is over at `now`, and with room for half as many again. */
  rebuilt(now: number): Shard {
    let live = 0;
    for (let slot = 0; slot < this.slots; slot++) if (this.expiresAt(slot) > now) live += 1;
    const fresh = new Shard(this.#width, live);
    for (let slot = 0; slot < this.slots; slot++) if (this.expiresAt(slot) > now) fresh.#copy(this, slot);
    return fresh;
  }

  #copy(from: Shard, old: number): void {
    const width = this.#width;
    let slot = this.#home(from.word(old, 1));
    while (this.expiresAt(slot) !== 0) slot = this.#after(slot);
    for (let word = 0; word < width; word++) this.setWord(slot, word, from.word(old, word));
    this.#rounds[slot] = from.round(old);
    this.#used += 1;
  }

  /** Where an id goes, by its second word, unless another is there. */
  #home(second: number): number {
    return Math.floor((second / 2 ** 32) * this.slots);
  }

  #after(slot: number): number {
    return slot + 1 === this.slots ? 0 : slot + 1;
  }
}

function wordOf(id: Id, word: number): number {
  const at = word * 4;
  const high = (id.charCodeAt(at + 2) << 16) | (id.charCodeAt(at + 3) << 24);
  return (id.charCodeAt(at) | (id.charCodeAt(at + 1) << 8) | high) >>> 0;
}
