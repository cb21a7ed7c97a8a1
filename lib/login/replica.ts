import { StoreUnavailable } from '../errors.ts';
import type { LogEntry, LoginFacts, RevocationLog } from '../store/ports.ts';
import { LEEWAY } from './lifetimes.ts';
import { LogReader, type Moment } from './log-reader.ts';
import { idOf } from './revocation.ts';
import { Revocations } from './revocations.ts';
import { StoreClock } from './store-clock.ts';

const BEAT_EVERY = 1_000;
const FRESH_FOR = 2_000;
const RETRY_AFTER = 100;
const POLL_EVERY = 50;

// One small sweep at a time: they go round the whole table in half a minute.
const SWEEP_EVERY = 125;

// What a process that issues tokens may be behind log time: until it has passed, a cut-off is not reported done.
const SETTLING = 5;

// A token may live a day where nobody says otherwise, and be taken a minute longer.
const DEFAULT_LIFETIME = 86_400_000 + LEEWAY;

/** A subject, as somebody vouches for it or nobody. */
type Whose = Pick<LoginFacts, 'issuer' | 'subject'>;

export interface ReplicaSettings {
  /** Milliseconds without proof after which nothing known is trusted any more. */
  readonly maxStaleness: number;
  /** The longest that a request waits for a proof, in milliseconds. */
  readonly timeout: number;
  /** Hears when `maxStaleness` is passed, and when that is over. */
  readonly heed: (state: 'stale' | 'fresh') => void;
}

/**
 * The revocations as the log has them, followed by this process: the log is read at every ring and with every heartbeat,
 * and what is known counts for as long as its proof is young.
 */
export class Replica {
  readonly clock = new StoreClock();
  // What is over by one clock only may still be good by the other.
  readonly revocations = new Revocations(
    () => Math.min(this.clock.now(), Date.now()),
    () => Math.max(Date.now() - this.clock.earliest(), 0),
  );
  readonly #log: RevocationLog;
  readonly #reader: LogReader;
  readonly #settings: ReplicaSettings;
  readonly #freshFor: number;
  readonly #beatEvery: number;
  #lifetime = DEFAULT_LIFETIME;
  /** When the last proof was asked for. */
  #provenAt: Moment = { monotonic: Number.NEGATIVE_INFINITY, wall: Number.NEGATIVE_INFINITY };
  #failedAt = Number.NEGATIVE_INFINITY;
  #reading: Promise<void> | undefined;
  #again = false;
  #stale = false;
  #listening = false;
  #timer: NodeJS.Timeout | undefined;
  readonly #sweeping = setInterval(() => this.revocations.sweep(), SWEEP_EVERY).unref();
  #polling: NodeJS.Timeout | undefined;
  #closed = false;
  readonly #waiting: (() => void)[] = [];

  constructor(log: RevocationLog, settings: ReplicaSettings) {
    this.#log = log;
    this.#reader = new LogReader(log, this.revocations, this.clock);
    this.#settings = settings;
    this.#freshFor = Math.min(FRESH_FOR, settings.maxStaleness / 2);
    this.#beatEvery = Math.min(BEAT_EVERY, settings.maxStaleness / 4);
    log.expectLifetime(this.#lifetime);
    void this.#beat();
  }

  /** Milliseconds since this process last proved that it knows every revocation; Infinity if it never did. */
  get staleness(): number {
    const { monotonic, wall } = this.#provenAt;
    return Math.max(performance.now() - monotonic, Date.now() - wall, 0);
  }

  get fresh(): boolean {
    return this.staleness <= this.#freshFor;
  }

  /** Resolves when what is known may be trusted; rejects with `StoreUnavailable` when it may not. */
  async settle(): Promise<void> {
    if (this.fresh) return;
    if (performance.now() - this.#failedAt >= RETRY_AFTER) await this.#awaitReading();
    if (this.staleness > this.#settings.maxStaleness) {
      this.#report();
      throw new StoreUnavailable(new Error('this process does not know what was revoked lately'));
    }
  }

  /** Resolves once every standing revocation is known; waits as long as it takes. */
  ready(): Promise<void> {
    if (this.fresh) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Takes these back: here at once, everywhere once it resolves. If it rejects, it is still tried until they expire. */
  async revoke(entries: readonly LogEntry[]): Promise<void> {
    if (entries.length === 0) return;
    for (const entry of entries) this.#reader.owe(entry);
    await this.#reader.append(entries);
  }

  /** Now in log time, and after all that is known to be taken back of this subject: for what is issued to it. 0 where nobody knows. */
  stamp({ issuer, subject }: Whose): number {
    const now = this.clock.measured ? Math.floor(this.clock.earliest()) : 0;
    return Math.max(now, this.revocations.cutOff(idOf.subjects(issuer, subject)) + 1);
  }

  /** Takes back what was issued until now under a cut-off's name; resolves to the instant, in log time. */
  async cutOff(name: string, whose: Whose): Promise<number> {
    // No earlier than what was issued last.
    const instant = await this.#reader.append([{ cutOff: name }], this.stamp(whose));
    this.revocations.learn(this.dated(name, instant));
    return instant;
  }

  /** Resolves when every process that issues something knows that this instant has passed. */
  async passed(instant: number): Promise<void> {
    // Not for longer than one answer may take: it may be the clock of a server that is gone.
    const latest = performance.now() + this.#settings.timeout;
    while (this.clock.earliest() < instant + SETTLING && performance.now() < latest) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  /** A cut-off at an instant of log time, kept as long as anything issued here may live. */
  dated(cutOff: string, instant: number): LogEntry {
    return { member: `${cutOff}:${Math.ceil(instant)}`, expiresAt: Math.ceil(instant + this.#lifetime) };
  }

  /** Says that a token or a login here may live as long as this, in milliseconds: so long a cut-off is kept. */
  expectLifetime(lifetime: number): void {
    this.#lifetime = Math.max(this.#lifetime, lifetime + LEEWAY);
    this.#log.expectLifetime(this.#lifetime);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    clearInterval(this.#sweeping);
    clearInterval(this.#polling);
    await this.#log.close();
  }

  async #beat(): Promise<void> {
    this.#timer = undefined;
    let next = this.#beatEvery;
    try {
      await this.#read();
      await this.#reader.pay();
      void this.#listen();
    } catch {
      next = Math.min(RETRY_AFTER, next);
    }
    this.#report();
    this.#beatIn(next);
  }

  #beatIn(delay: number): void {
    if (this.#closed) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#beat(), delay).unref();
  }

  async #listen(): Promise<void> {
    if (this.#listening) return;
    this.#listening = true;
    try {
      if (await this.#log.listen(() => this.#ring())) this.#ring();
      else this.#poll();
    } catch {
      // With the next beat again.
      this.#listening = false;
    }
  }

  #poll(): void {
    if (this.#polling !== undefined || this.#closed) return;
    this.#polling = setInterval(() => this.#ring(), POLL_EVERY).unref();
    process.emitWarning(
      `Redis cannot push revocations (RESP2, or a user without rights to the channel): asking every ${POLL_EVERY} ms`,
      { code: 'PORTCULLIS_POLLING' },
    );
  }

  // Whatever is published, and however much: one reading at a time, and at most one more after it.
  #ring(): void {
    if (this.#closed) return;
    if (this.#reading !== undefined) this.#again = true;
    else if (performance.now() - this.#failedAt >= RETRY_AFTER) this.#read().catch(() => undefined);
  }

  #awaitReading(): Promise<void> {
    const reading = this.#reading ?? this.#read();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, this.#settings.timeout);
      const done = () => {
        clearTimeout(timer);
        resolve();
      };
      reading.then(done, done);
    });
  }

  /** One reading serves all who ask for one while it is under way. */
  #read(): Promise<void> {
    this.#reading ??= this.#readOnce().finally(() => {
      this.#reading = undefined;
      if (!this.#again) return;
      this.#again = false;
      this.#ring();
    });
    return this.#reading;
  }

  async #readOnce(): Promise<void> {
    try {
      this.#provenAt = await this.#reader.read();
    } catch (error) {
      this.#failedAt = performance.now();
      // A ring may have been what failed; between two beats the next one comes sooner then.
      if (this.#timer !== undefined) this.#beatIn(RETRY_AFTER);
      throw error;
    }
    if (this.#reader.mute) this.#poll();
    if (this.#stale) this.#report();
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  #report(): void {
    if (!Number.isFinite(this.staleness)) return;
    const stale = this.staleness > this.#settings.maxStaleness;
    if (stale !== this.#stale) this.#settings.heed(stale ? 'stale' : 'fresh');
    this.#stale = stale;
  }
}
