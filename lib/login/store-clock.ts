interface Sample {
  /** The store's clock less this process's monotonic clock. */
  readonly offset: number;
  readonly roundTrip: number;
}

const SAMPLES = 8;

/** The store's clock as this process knows it, in milliseconds: never the local wall clock, which may be set wrong. */
export class StoreClock {
  #samples: Sample[] = [];
  #best: Sample = { offset: Date.now() - performance.now(), roundTrip: 0 };
  /** How far log time is ahead of the store's clock, which may have been set back. */
  #ahead = 0;

  /** What the store's clock said between two instants of `performance.now()`, and log time with it. */
  measure(
    { clock, logTime }: { readonly clock: number; readonly logTime: number },
    sentAt: number,
    receivedAt: number,
  ) {
    const sample = { offset: clock - (sentAt + receivedAt) / 2, roundTrip: receivedAt - sentAt };
    // A clock that jumped, or another server's: what was measured before says nothing any more.
    const agrees = this.#samples.every(
      (old) => Math.abs(old.offset - sample.offset) <= old.roundTrip + sample.roundTrip + 1,
    );
    this.#samples = agrees ? [...this.#samples.slice(1 - SAMPLES), sample] : [sample];
    this.#best = this.#samples.reduce((best, one) => (one.roundTrip < best.roundTrip ? one : best));
    this.#ahead = logTime - clock;
  }

  /** Whether it was ever measured; until then `now` is this machine's own clock. */
  get measured(): boolean {
    return this.#samples.length > 0;
  }

  now(): number {
    return performance.now() + this.#best.offset;
  }

  /** Log time, and never later than it is, however long one way to the store takes and the other not. */
  earliest(): number {
    return this.now() + this.#ahead - this.#best.roundTrip / 2;
  }

  /** Log time, and never earlier than it is. */
  latest(): number {
    return this.now() + this.#ahead + this.#best.roundTrip / 2;
  }
}
