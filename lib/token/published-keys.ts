import { algorithmNamed } from './algorithms.ts';
import { type KeyAsked, type KeySet, readKeySet } from './key-set.ts';
import type { Alg, Key, VerificationKeys } from './keys.ts';

/** An issuer that publishes its keys. */
export interface Publisher {
  /** For whoever reads of its failure. */
  readonly name: string;
  fetchEdition(): Promise<Edition>;
  /** All that it may sign with, now or later: for another algorithm it need not be asked. */
  readonly algorithms: readonly Alg[];
  /** How long an edition counts as fresh, in milliseconds, where its issuer allows more, or does not say. */
  readonly maxAge: number;
}

/** An edition of an issuer's keys. */
export interface Edition {
  readonly jwks: unknown;
  readonly algorithms: readonly Alg[];
  /** For how long its issuer lets it be kept, in milliseconds; undefined where it does not say. */
  readonly maxAge: number | undefined;
}

const SHORTEST_LIFE = 1_000;

/** For so long after their end known keys serve on while their issuer cannot be reached. */
const OUTAGE = 86_400_000;

// Since the last fetch began, whatever it was for, before another renews the set, or looks for a name in it. The longer
// pause is what anybody can make us fetch by names made up, at any pace: 40 times a minute.
const RENEWAL_PAUSE = 1_000;
const SEARCH_PAUSE = 1_500;

// So many fetches in a row without a new key are a flood of made-up names, until none comes for a while.
const FLOOD = 2;
const QUIET = 500;
const MOST_WAITING = 1_000;

const LONGEST_REASON = 500;

/**
 * Keys fetched from their issuer: when first needed, one fetch at a time, again in the background at four fifths of their
 * life, and kept for a day beyond it while the issuer is away.
 *
 * An unknown name may mean a new key: it waits for a fetch, and those begin 1.5 s apart at least. When two of them brought
 * nothing, unknown names are refused at once, while fetches go on: so a flood of made-up names costs little, and a new key
 * is known within two seconds all the same. Before that a thousand wait at most; others cannot be told anything, and `find`
 * rejects.
 */
export class PublishedKeys implements VerificationKeys {
  readonly #publisher: Publisher;
  #set: KeySet | undefined;
  #refreshAt = 0;
  #freshUntil = 0;
  #underWay: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #begunAt = Number.NEGATIVE_INFINITY;
  /** Why the last fetch failed. */
  #failure: Error | undefined;
  #fruitless = 0;
  #soughtAt = 0;
  #waiting = 0;

  constructor(publisher: Publisher) {
    this.#publisher = publisher;
  }

  find(asked: KeyAsked): Key | undefined | Promise<Key | undefined> {
    const alg = algorithmNamed(asked.alg);
    if (alg === undefined || !this.#publisher.algorithms.includes(alg)) return undefined;
    const now = performance.now();
    const set = this.#standing(now);
    const key = set?.find(asked);
    if (key === undefined) return set === undefined || set.mayLack(asked) ? this.#search(asked) : undefined;
    if (now < this.#refreshAt) return key;
    const renewed = this.#underWay ?? (this.#isDue(RENEWAL_PAUSE, now) ? this.#begin(false) : undefined);
    // The issuer may have withdrawn it, and is asked first; unless it was asked already, and is away.
    if (now < this.#freshUntil || renewed === undefined || this.#failure !== undefined) return key;
    return renewed.then(() => this.#standing()?.find(asked));
  }

  /** Looks for a key that is not known, or for any. Rejects if the issuer could not be asked. */
  async #search(asked: KeyAsked): Promise<Key | undefined> {
    const now = performance.now();
    if (now >= this.#soughtAt + QUIET) this.#fruitless = 0;
    this.#soughtAt = now;
    try {
      return await this.#wait(asked);
    } finally {
      this.#soughtAt = performance.now();
    }
  }

  async #wait(asked: KeyAsked): Promise<Key | undefined> {
    const before = this.#underWay;
    const fetched = before ?? (this.#isDue(SEARCH_PAUSE) ? this.#begin(true) : undefined);
    if (fetched !== undefined) await fetched;
    const key = this.#found(asked);
    // A fetch that began before the question came may have missed the key.
    if (key !== undefined || (fetched !== undefined && before === undefined)) return key;
    const next = this.#schedule();
    if (this.#isFlooded()) return undefined;
    if (this.#waiting >= MOST_WAITING) throw new Error(`${MOST_WAITING} requests wait for the issuer's keys already`);
    this.#waiting++;
    await next;
    this.#waiting--;
    return this.#found(asked);
  }

  #found(asked: KeyAsked): Key | undefined {
    const key = this.#standing()?.find(asked);
    if (key === undefined && this.#failure !== undefined) throw this.#failure;
    return key;
  }

  #standing(now: number = performance.now()): KeySet | undefined {
    return now < this.#freshUntil + OUTAGE ? this.#set : undefined;
  }

  #isDue(pause: number, now: number = performance.now()): boolean {
    return now >= this.#begunAt + pause;
  }

  #isFlooded(): boolean {
    return this.#fruitless >= FLOOD;
  }

  /** The next search, as soon as one may begin. */
  #schedule(): Promise<void> {
    this.#next ??= new Promise<void>((resolve) => {
      const delay = this.#begunAt + SEARCH_PAUSE - performance.now();
      const timer = setTimeout(() => {
        this.#next = undefined;
        resolve(this.#underWay ?? this.#begin(true));
      }, delay);
      timer.unref();
    });
    return this.#next;
  }

  /** Fetches. It never rejects: what went wrong is in `#failure`. */
  #begin(sought: boolean): Promise<void> {
    this.#begunAt = performance.now();
    this.#underWay = this.#fetch(sought).finally(() => {
      this.#underWay = undefined;
    });
    return this.#underWay;
  }

  async #fetch(sought: boolean): Promise<void> {
    try {
      const { jwks, algorithms, maxAge } = await this.#publisher.fetchEdition();
      const set = readKeySet(jwks, algorithms, this.#set);
      if (sought) this.#fruitless = set.addsTo(this.#set) ? 0 : this.#fruitless + 1;
      this.#take(set, maxAge);
      this.#failure = undefined;
    } catch (error) {
      if (this.#failure === undefined) warn(this.#publisher.name, error);
      this.#failure = new Error("the issuer's keys cannot be fetched", { cause: error });
    }
  }

  #take(set: KeySet, said: number = this.#publisher.maxAge): void {
    const life = Math.min(Math.max(said, SHORTEST_LIFE), this.#publisher.maxAge);
    this.#set = set;
    this.#freshUntil = this.#begunAt + life;
    this.#refreshAt = this.#begunAt + life * 0.8;
  }
}

// Clients only see 503, and keys that are known serve on: whoever wrote the name must hear of it, once for each outage.
function warn(name: string, error: unknown): void {
  // Some of it may be the issuer's own words.
  const reason = reasonOf(error as Error)
    .replace(/\p{C}/gu, ' ')
    .slice(0, LONGEST_REASON);
  process.emitWarning(`the keys of ${name} cannot be fetched: ${reason}`, { code: 'PORTCULLIS_KEYS' });
}

/** That of `fetch` stands in its cause. */
function reasonOf({ message, cause }: Error): string {
  const { message: deeper, code } = (cause ?? {}) as NodeJS.ErrnoException;
  return [message, deeper || code].filter((part) => part !== undefined).join(': ');
}
