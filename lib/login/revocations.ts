import type { LogEntry } from '../store/ports.ts';
import { CutOffTable } from './cut-off-table.ts';
import { IdTable } from './id-table.ts';
import { entryOf, idOf, type Revocation, revocationOf } from './revocation.ts';
import type { Id } from './shard.ts';

/** By what a credential can be taken back. Made once for a token, and kept with it. */
export interface Evidence {
  readonly token?: Id;
  readonly login?: Id;
  /** Its login, where that was vouched for by us: this is what a cut-off can spare. */
  readonly spared?: Id;
  readonly key?: Id;
  /** The subject as its issuer vouches for it, and as anyone does. */
  readonly subjects?: readonly Id[];
  /** When it was issued; with `stamp`, to the millisecond in log time. */
  readonly issuedAt: number;
  readonly stamp?: number;
  /** How far the issuer's clock may be off, in milliseconds. */
  readonly leeway: number;
}

type Watch = { readonly evidence: Evidence; readonly hear: () => void };

/** What was taken back, known in this process: checking costs a few look-ups in memory. */
export class Revocations {
  readonly #tables = { token: new IdTable(), login: new IdTable(), key: new IdTable() };
  readonly #cutOffs = new CutOffTable();
  readonly #watches = new Map<Id, Set<Watch>>();
  readonly #now: () => number;
  readonly #behind: () => number;
  #round = 1;

  /** `now`: the store's clock; `behind`: how far log time is behind the world's, by which others say when they issued. */
  constructor(now: () => number, behind: () => number = () => 0) {
    this.#now = now;
    this.#behind = behind;
  }

  get size(): number {
    const { token, login, key } = this.#tables;
    return token.size + login.size + key.size + this.#cutOffs.size;
  }

  /** Whether everything of some subject was taken back. */
  get cutsAny(): boolean {
    return this.#cutOffs.size > 0;
  }

  /** Whether any of it was taken back. */
  reach(evidence: Evidence): boolean {
    const now = this.#now();
    const { token, login, key, subjects } = evidence;
    if (login !== undefined && this.#tables.login.has(login, now)) return true;
    if (token !== undefined && this.#tables.token.has(token, now)) return true;
    if (key !== undefined && this.#tables.key.has(key, now)) return true;
    return this.#cutOffs.size > 0 && subjects !== undefined && subjects.some((id) => this.#cuts(id, evidence, now));
  }

  /** The latest instant up to which everything of these subjects was taken back; -Infinity for none. */
  cutOff(subjects: readonly Id[]): number {
    const now = this.#now();
    return Math.max(...subjects.map((id) => this.#cutOffs.instantOf(id, now)));
  }

  keyRevoked(issuer: string, kid: string): boolean {
    return this.#tables.key.size > 0 && this.#tables.key.has(idOf.key(issuer, kid), this.#now());
  }

  /** Takes in what the log says, or what is about to be said to it; true if it is news. What is none of ours is passed over. */
  learn(entry: LogEntry): boolean {
    const revocation = revocationOf(entry);
    if (revocation === undefined || revocation.expiresAt <= this.#now() || !this.#keep(revocation)) return false;
    this.#alarm(revocation.id);
    return true;
  }

  /** Begins to compare with the log: `unheard` is then what the log has not told since. */
  beginRound(): void {
    this.#round = (this.#round % 250) + 1;
  }

  *unheard(): Generator<LogEntry> {
    const now = this.#now();
    for (const kind of ['token', 'login', 'key'] as const) {
      for (const { id, expiresAt } of this.#tables[kind].unheard(this.#round)) {
        if (expiresAt > now) yield entryOf({ kind, id, expiresAt });
      }
    }
    for (const cutOff of this.#cutOffs.unheard(this.#round)) if (cutOff.expiresAt > now) yield entryOf(cutOff);
  }

  /** Calls `hear` once, when something that reaches `evidence` is learnt; the result stops that. */
  watch(evidence: Evidence, hear: () => void): () => void {
    const { token, login, key, subjects = [] } = evidence;
    const ids = [token, login, key, ...subjects].filter((id) => id !== undefined);
    const watch: Watch = {
      evidence,
      hear: () => {
        stop();
        hear();
      },
    };
    const stop = () => {
      for (const id of ids) {
        const watches = this.#watches.get(id);
        watches?.delete(watch);
        if (watches?.size === 0) this.#watches.delete(id);
      }
    };
    for (const id of ids) this.#watches.set(id, (this.#watches.get(id) ?? new Set()).add(watch));
    return stop;
  }

  /** Forgets some of what expired: call it often, it is short. */
  sweep(): void {
    const now = this.#now();
    for (const table of Object.values(this.#tables)) table.sweep(now);
    this.#cutOffs.sweep(now);
  }

  #cuts(id: Id, { spared, stamp, issuedAt, leeway }: Evidence, now: number): boolean {
    const instant = this.#cutOffs.instantOf(id, now, spared);
    if (stamp !== undefined) return stamp <= instant;
    return issuedAt <= instant + leeway + this.#behind();
  }

  #keep(revocation: Revocation): boolean {
    if (revocation.kind === 'subject') return this.#cutOffs.add(revocation, this.#now(), this.#round);
    return this.#tables[revocation.kind].add(revocation.id, revocation.expiresAt, this.#round);
  }

  #alarm(id: Id): void {
    for (const { evidence, hear } of this.#watches.get(id) ?? []) if (this.reach(evidence)) hear();
  }
}
