interface Sample {
  /** The store's clock less this process's monotonic clock. */
  readonly offset: number;
  readonly roundTrip: number;
}

const SAMPLES = 8;

/** The store's clock as this process knows it, in milliseconds: never the local wall clock, which may be set wrong. */
export class StoreClock {
  #samples: Sample[] = [];
  #offset = Date.now() - performance.now();

  /** What the store's clock said between two instants of `performance.now()`. */
  measure(clock: number, sentAt: number, receivedAt: number): void {
    const sample = { offset: clock - (sentAt + receivedAt) / 2, roundTrip: receivedAt - sentAt };
    // A clock that jumped, or another server's: what was measured before says nothing any more.
    const agrees = this.#samples.every(
      (old) => Math.abs(old.offset - sample.offset) <= old.roundTrip + sample.roundTrip + 1,
    );
    this.#samples = agrees ? [...this.#samples.slice(1 - SAMPLES), sample] : [sample];
    this.#offset = this.#samples.reduce((best, one) => (one.roundTrip < best.roundTrip ? one : best)).offset;
  }

  /** Whether it was ever measured; until then `now` is this machine's own clock. */
  get measured(): boolean {
    return this.#samples.length > 0;
  }

  now(): number {
    return performance.now() + this.#offset;
  }
}
