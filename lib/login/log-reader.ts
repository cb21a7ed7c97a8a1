import { StoreUnavailable } from '../errors.ts';
import type { Append, LogEntry, LogNews, LogPlace, RevocationLog } from '../store/ports.ts';
import type { Revocations } from './revocations.ts';
import type { StoreClock } from './store-clock.ts';

const APPEND_LENGTH = 500;

/** One instant by two clocks: either of them stands still, or jumps, when the other does not. */
export interface Moment {
  readonly monotonic: number;
  readonly wall: number;
}

/**
 * Reads the log into the revocations this process knows. It goes on where it stopped; where it finds that the log is not
 * the one it knew, it reads all of it and puts back what is missing there.
 */
export class LogReader {
  readonly #log: RevocationLog;
  readonly #revocations: Revocations;
  readonly #clock: StoreClock;
  /** What this process took back and has not read back yet. */
  readonly #owed = new Map<string, LogEntry>();
  #place: LogPlace | undefined;
  #mute = false;

  constructor(log: RevocationLog, revocations: Revocations, clock: StoreClock) {
    this.#log = log;
    this.#revocations = revocations;
    this.#clock = clock;
  }

  /** Whether somebody who appends cannot ring. */
  get mute(): boolean {
    return this.#mute;
  }

  /** What is known here from now on, and has to be read back from the log. */
  owe(entry: LogEntry): void {
    // What is no news and not owed stands in the log: that will never tell it again.
    if (this.#revocations.learn(entry) || this.#owed.has(entry.member)) this.#owed.set(entry.member, entry);
  }

  /** Resolves to the instant of log time at which all of this stands, which is not before `known`. */
  append(entries: readonly Append[], known: number = this.#logTime()): Promise<number> {
    return this.#log.append(entries, known);
  }

  /** Appends again what was not read back yet. */
  async pay(): Promise<void> {
    const now = Math.min(this.#clock.now(), Date.now());
    for (const [member, { expiresAt }] of this.#owed) if (expiresAt <= now) this.#owed.delete(member);
    if (this.#owed.size > 0) await this.append([...this.#owed.values()]);
  }

  /** Reads all there is to know; resolves to a moment since when nothing of it can be missing. */
  async read(): Promise<Moment> {
    return (await this.#readNews()) ?? (await this.#readAll());
  }

  /** Reads from where this process stands. Undefined if that place is not there: the log is not what it knew. */
  async #readNews(): Promise<Moment | undefined> {
    for (;;) {
      const sent: Moment = { monotonic: performance.now(), wall: Date.now() };
      const news = await this.#log.read(this.#place, this.#logTime());
      this.#clock.measure(news, sent.monotonic, performance.now());
      this.#standAt(news);
      if (!news.proven) return undefined;
      for (const entry of news.entries) this.#learn(entry);
      if (!news.more) return sent;
    }
  }

  /** Reads the whole set, then the news from where it began, and appends what this process knows and the log lacks. */
  async #readAll(): Promise<Moment> {
    try {
      this.#revocations.beginRound();
      await this.#readSet();
      const proof = await this.#readNews();
      if (proof === undefined) throw lost();
      await this.#repair();
      return proof;
    } catch (error) {
      this.#place = undefined;
      throw error;
    }
  }

  async #readSet(): Promise<void> {
    let from: string | undefined;
    do {
      const page = await this.#log.page(from);
      if (page.epoch !== this.#place?.epoch) throw lost();
      for (const entry of page.entries) this.#learn(entry);
      from = page.next;
    } while (from !== undefined);
  }

  async #repair(): Promise<void> {
    let lacking: LogEntry[] = [];
    for (const entry of this.#revocations.unheard()) {
      lacking.push(entry);
      if (lacking.length < APPEND_LENGTH) continue;
      await this.append(lacking);
      lacking = [];
    }
    if (lacking.length > 0) await this.append(lacking);
  }

  // What this machine's clock says is no knowledge of it.
  #logTime(): number {
    return this.#clock.measured ? this.#clock.earliest() : 0;
  }

  #standAt({ place, mute }: LogNews): void {
    this.#place = place;
    this.#mute = mute;
  }

  #learn(entry: LogEntry): void {
    this.#revocations.learn(entry);
    const owed = this.#owed.get(entry.member);
    if (owed !== undefined && owed.expiresAt <= entry.expiresAt) this.#owed.delete(entry.member);
  }
}

function lost(): StoreUnavailable {
  return new StoreUnavailable(new Error('the log of revocations was lost while it was read'));
}
