import { StoreUnavailable } from '../errors.ts';
import { Deadline } from './deadline.ts';

// While a server owes answers past their deadline, a command now and then asks whether it is back: ever more rarely, for
// each is a sign of life to the client's `socketTimeout`, which is to end a connection whose other end has vanished.
const FIRST_PROBE_AFTER = 100;
const LONGEST_BETWEEN_PROBES = 10_000;

/** How long one server is waited for: each command has a deadline, and while answers are owed beyond it others fail at once. */
export class Patience {
  readonly #deadline: Deadline;
  #probe = { after: 0, at: 0 };

  /** `timeout`: milliseconds any one command may take. */
  constructor(timeout: number) {
    this.#deadline = new Deadline(
      timeout,
      () => new StoreUnavailable(new Error(`Redis did not answer in ${timeout} ms`)),
    );
  }

  /** Does the work, unless older answers are owed. Whatever fails is `StoreUnavailable`. */
  async await<Value>(work: () => Promise<Value>): Promise<Value> {
    this.#failFast();
    try {
      const value = await this.#deadline.meet(work());
      // What is still owed was lost on the way to another server (a redirection, a failover): it says nothing of this one.
      this.#deadline.forgive();
      return value;
    } catch (error) {
      throw error instanceof StoreUnavailable ? error : new StoreUnavailable(error);
    }
  }

  // Answers come in order: those that are owed come first, if any come at all.
  #failFast(): void {
    const now = performance.now();
    if (this.#deadline.overdue === 0) {
      this.#probe.after = 0;
    } else if (this.#probe.after > 0 && now - this.#probe.at < this.#probe.after) {
      throw new StoreUnavailable(new Error('Redis owes older answers'));
    } else {
      const after = Math.min(Math.max(this.#probe.after * 2, FIRST_PROBE_AFTER), LONGEST_BETWEEN_PROBES);
      this.#probe = { after, at: now };
    }
  }
}
