import { StoreUnavailable } from '../errors.ts';

const TRY_EVERY = 1_000;

// Wishes are told apart by what they are for, so that trying again by hand adds none. More than this is an attack.
const MOST = 10_000;

/** What was asked of a store that was away: it was refused then, and is tried again until it is done or the process ends. */
export class Unfinished {
  readonly #wishes = new Map<string, () => Promise<unknown>>();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  /** Does `work`; if the store is away, rejects, and goes on trying `later`. */
  async attempt<Value>(name: string, work: () => Promise<Value>, later: () => Promise<unknown> = work): Promise<Value> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof StoreUnavailable && !this.#closed && this.#wishes.size < MOST) {
        this.#wishes.set(name, later);
        this.#wait();
      }
      throw error;
    }
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #wait(): void {
    this.#timer ??= setTimeout(() => void this.#tryAll(), TRY_EVERY).unref();
  }

  async #tryAll(): Promise<void> {
    for (const [name, wish] of [...this.#wishes]) {
      try {
        await wish();
        if (this.#wishes.get(name) === wish) this.#wishes.delete(name);
      } catch {
        // The next would fare no better.
        break;
      }
    }
    this.#timer = undefined;
    if (this.#wishes.size > 0 && !this.#closed) this.#wait();
  }
}
