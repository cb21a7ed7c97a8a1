/** A promise that must settle in time. */
interface Awaited {
  readonly due: number;
  /** Undefined once settled. */
  expire: (() => void) | undefined;
}

/**
 * One time limit for many promises, on one timer: they are due in the order they came in. (A timer each would cost more
 * than the command it watches.)
 */
export class Deadline {
  readonly #limit: number;
  readonly #late: () => Error;
  #waiting: Awaited[] = [];
  #armed = false;
  /** Those past the limit and still unsettled. */
  readonly #overdue = new Set<object>();

  /** `limit` in milliseconds; `late` makes the error of a promise that took longer. */
  constructor(limit: number, late: () => Error) {
    this.#limit = limit;
    this.#late = late;
  }

  /** How many promises are past the limit and still unsettled. */
  get overdue(): number {
    return this.#overdue.size;
  }

  /** Counts those that are past the limit no more. */
  forgive(): void {
    this.#overdue.clear();
  }

  /** Settles as `work` does, or rejects once the limit has passed. */
  meet<Value>(work: Promise<Value>): Promise<Value> {
    return new Promise((resolve, reject) => {
      const entry: Awaited = {
        due: performance.now() + this.#limit,
        expire: () => {
          this.#overdue.add(entry);
          reject(this.#late());
        },
      };
      const settled = () => {
        this.#overdue.delete(entry);
        entry.expire = undefined;
      };
      work.then(
        (value) => {
          settled();
          resolve(value);
        },
        (error) => {
          settled();
          reject(error);
        },
      );
      this.#waiting.push(entry);
      if (!this.#armed) this.#arm(this.#limit);
    });
  }

  #arm(delay: number): void {
    this.#armed = true;
    // Answers that came while this process was busy, or stood still, are taken in first: they are not late.
    setTimeout(() => setImmediate(() => this.#sweep()), Math.ceil(delay)).unref();
  }

  #sweep(): void {
    const now = performance.now();
    const first = this.#waiting.findIndex((entry) => entry.expire !== undefined && entry.due > now);
    const due = first === -1 ? this.#waiting : this.#waiting.slice(0, first);
    this.#waiting = first === -1 ? [] : this.#waiting.slice(first);
    for (const entry of due) {
      const expire = entry.expire;
      entry.expire = undefined;
      expire?.();
    }
    const next = this.#waiting[0];
    if (next === undefined) this.#armed = false;
    else this.#arm(next.due - now);
  }
}
