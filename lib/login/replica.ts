import { StoreUnavailable } from '../errors.ts';
import type { Append, LogEntry, LogPlace, RevocationLog } from '../store/ports.ts';
import { Revocations } from './revocations.ts';
import { StoreClock } from './store-clock.ts';

const BEAT_EVERY = 1_000;
const FRESH_FOR = 2_000;
const RETRY_AFTER = 100;
const POLL_EVERY = 50;

// So many small sweeps a beat go round the whole table in half a minute.
const SWEEPS = 8;

// What a process that issues tokens may be behind the store's clock: until it has passed, a cut-off is not reported done.
const SETTLING = 5;

const APPEND_LENGTH = 500;

// A token may live a day where nobody says otherwise, and be taken a minute longer.
const LEEWAY = 60_000;
const DEFAULT_LIFETIME = 86_400_000 + LEEWAY;

export interface ReplicaSettings {
  /** Milliseconds without proof after which nothing known is trusted any more. */
  readonly maxStaleness: number;
  /** The longest that a request waits for a proof, in milliseconds. */
  readonly timeout: number;
  /** Hears when `maxStaleness` is passed, and when that is over. */
  readonly heed: (state: 'stale' | 'fresh') => void;
}

/**
 * The revocations as the log has them, followed by this process: it reads the news at every ring and every second, proves
 * each time that it is the log it knows, and where it is not, reads all of it and puts back what it lacks.
 */
export class Replica {
  readonly clock = new StoreClock();
  readonly revocations = new Revocations(() => this.clock.now());
  readonly #log: RevocationLog;
  readonly #settings: ReplicaSettings;
  readonly #freshFor: number;
  readonly #beatEvery: number;
  #lifetime = DEFAULT_LIFETIME;
  readonly #owed = new Map<string, LogEntry>();
  #place: LogPlace | undefined;
  /** When the last proof was asked for, by both clocks: one of them stands still while a machine sleeps. */
  #provenAt = { monotonic: Number.NEGATIVE_INFINITY, wall: Number.NEGATIVE_INFINITY };
  #reading: Promise<void> | undefined;
  #again = false;
  #failedAt = Number.NEGATIVE_INFINITY;
  #stale = false;
  #listening = false;
  #timer: NodeJS.Timeout | undefined;
  #polling: NodeJS.Timeout | undefined;
  #closed = false;
  readonly #waiting: (() => void)[] = [];

  constructor(log: RevocationLog, settings: ReplicaSettings) {
    this.#log = log;
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
    for (const entry of entries) this.#owe(entry);
    await this.#log.append(entries);
  }

  /** Takes back `entries`, and what was issued until now under the cut-offs' names; resolves when the clock has passed it. */
  async revokeUntilNow(cutOffs: readonly string[], entries: readonly LogEntry[]): Promise<void> {
    for (const entry of entries) this.#owe(entry);
    const dated = (instant: number): LogEntry[] =>
      cutOffs.map((name) => ({
        member: `${name}:${Math.floor(instant)}`,
        expiresAt: Math.ceil(instant + this.#lifetime),
      }));
    const before = dated(this.clock.now());
    try {
      const instant = await this.#log.append([...cutOffs.map((cutOff): Append => ({ cutOff })), ...entries]);
      for (const entry of dated(instant)) this.revocations.learn(entry);
      await this.#passed(instant + SETTLING);
    } catch (error) {
      for (const entry of before) this.#owe(entry);
      throw error;
    }
  }

  /** Says that a token here may live as long as this, in milliseconds: so long a cut-off is kept. */
  expectLifetime(lifetime: number): void {
    this.#lifetime = Math.max(this.#lifetime, lifetime + LEEWAY);
    this.#log.expectLifetime(this.#lifetime);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    clearInterval(this.#polling);
    await this.#log.close();
  }

  #owe(entry: LogEntry): void {
    this.revocations.learn(entry);
    this.#owed.set(entry.member, entry);
  }

  #learn(entry: LogEntry): void {
    this.revocations.learn(entry);
    this.#owed.delete(entry.member);
  }

  async #passed(instant: number): Promise<void> {
    while (this.clock.now() < instant) await new Promise((resolve) => setTimeout(resolve, 1));
  }

  async #beat(): Promise<void> {
    if (this.#closed) return;
    clearTimeout(this.#timer);
    let next = this.#beatEvery;
    try {
      await this.#pay();
      await this.#read();
      if (!this.#listening) await this.#listen();
    } catch {
      next = Math.min(RETRY_AFTER, next);
    }
    for (let sweep = 0; sweep < SWEEPS; sweep++) this.revocations.sweep();
    this.#report();
    if (this.#closed) return;
    this.#timer = setTimeout(() => void this.#beat(), next);
    this.#timer.unref();
  }

  /** Appends again what was not read back yet. */
  async #pay(): Promise<void> {
    const now = this.clock.now();
    for (const [member, { expiresAt }] of this.#owed) if (expiresAt <= now) this.#owed.delete(member);
    if (this.#owed.size > 0) await this.#log.append([...this.#owed.values()]);
  }

  async #listen(): Promise<void> {
    this.#listening = true;
    try {
      if (await this.#log.listen(() => this.#ring())) return;
      process.emitWarning(
        'Redis cannot push revocations on this connection (RESP2, or no right to the channel): asking every 50 ms',
        {
          code: 'PORTCULLIS_POLLING',
        },
      );
      this.#polling = setInterval(() => this.#ring(), POLL_EVERY).unref();
    } catch (error) {
      this.#listening = false;
      throw error;
    }
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
      const proof = (await this.#readNews()) ?? (await this.#readAll());
      this.#provenAt = proof;
      if (this.#stale) this.#report();
      for (const resolve of this.#waiting.splice(0)) resolve();
    } catch (error) {
      this.#failedAt = performance.now();
      throw error;
    }
  }

  /** Reads from where this process stands. Undefined if that place is not there: the log is not what it knew. */
  async #readNews(): Promise<{ monotonic: number; wall: number } | undefined> {
    for (;;) {
      const sent = { monotonic: performance.now(), wall: Date.now() };
      const news = await this.#log.read(this.#place);
      this.clock.measure(news.clock, sent.monotonic, performance.now());
      const known = news.proven;
      this.#place = news.place;
      if (!known) return undefined;
      for (const entry of news.entries) this.#learn(entry);
      if (!news.more) return sent;
    }
  }

  /** Reads the whole set, then the news from where it began, and appends what this process knows and the log lacks. */
  async #readAll(): Promise<{ monotonic: number; wall: number }> {
    const epoch = this.#place?.epoch;
    this.revocations.beginRound();
    try {
      let from: string | undefined;
      do {
        const page = await this.#log.page(from);
        if (page.epoch !== epoch)
          throw new StoreUnavailable(new Error('the log of revocations was lost while it was read'));
        for (const entry of page.entries) this.#learn(entry);
        from = page.next;
      } while (from !== undefined);
      const proof = await this.#readNews();
      if (proof === undefined)
        throw new StoreUnavailable(new Error('the log of revocations changed while it was read'));
      await this.#repair();
      return proof;
    } catch (error) {
      this.#place = undefined;
      throw error;
    }
  }

  async #repair(): Promise<void> {
    const lacking = [...this.revocations.unheard()];
    for (let at = 0; at < lacking.length; at += APPEND_LENGTH)
      await this.#log.append(lacking.slice(at, at + APPEND_LENGTH));
  }

  #report(): void {
    const stale = this.staleness > this.#settings.maxStaleness;
    if (stale !== this.#stale && Number.isFinite(this.staleness)) this.#settings.heed(stale ? 'stale' : 'fresh');
    this.#stale = stale;
  }
}
