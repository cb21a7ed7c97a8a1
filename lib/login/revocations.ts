import type { LogEntry } from '../store/ports.ts';
import { type Id, IdTable } from './id-table.ts';
import { type CutOff, entryOf, idOf, type Revocation, revocationOf } from './revocation.ts';

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

/** A cut-off, and the round in which it was last heard of. */
type Standing = CutOff & { readonly round: number };

type Watch = { readonly evidence: Evidence; readonly hear: () => void };

/** What was taken back, known in this process: checking costs a few look-ups in memory. */
export class Revocations {
  readonly #tables = { token: new IdTable(), login: new IdTable(), key: new IdTable() };
  readonly #cutOffs = new Map<Id, Standing>();
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
    return Math.max(...subjects.map((id) => this.#cutOffs.get(id)?.instant ?? Number.NEGATIVE_INFINITY));
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
    for (const cutOff of this.#cutOffs.values()) {
      if (cutOff.round !== this.#round && cutOff.expiresAt > now) yield entryOf(cutOff);
    }
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
    let looked = 0;
    for (const [id, cutOff] of this.#cutOffs) {
      this.#cutOffs.delete(id);
      // Put back at the end, so that the next sweep looks at others.
      if (cutOff.expiresAt > now) this.#cutOffs.set(id, cutOff);
      if (++looked >= 100) break;
    }
  }

  #cuts(id: Id, { spared, stamp, issuedAt, leeway }: Evidence, now: number): boolean {
    const cutOff = this.#cutOffs.get(id);
    if (cutOff === undefined || cutOff.expiresAt <= now) return false;
    if (cutOff.spared !== undefined && cutOff.spared === spared) return false;
    if (stamp !== undefined) return stamp <= cutOff.instant;
    return issuedAt <= cutOff.instant + leeway + this.#behind();
  }

  #keep(revocation: Revocation): boolean {
    if (revocation.kind !== 'subject') {
      return this.#tables[revocation.kind].add(revocation.id, revocation.expiresAt, this.#round);
    }
    return this.#cut(revocation);
  }

  #cut(cutOff: CutOff): boolean {
    const { id, instant, spared } = cutOff;
    const stands = this.#cutOffs.get(id);
    if (stands !== undefined && stands.instant > instant) return false;
    if (stands?.instant !== instant) {
      this.#cutOffs.set(id, { ...cutOff, round: this.#round });
      return true;
    }
    // Of two in one millisecond, each ends whom the other spares.
    const agreed = stands.spared === spared ? spared : undefined;
    const expiresAt = Math.max(stands.expiresAt, cutOff.expiresAt);
    this.#cutOffs.set(id, { ...stands, spared: agreed, expiresAt, round: this.#round });
    return agreed !== stands.spared;
  }

  #alarm(id: Id): void {
    for (const { evidence, hear } of this.#watches.get(id) ?? []) if (this.reach(evidence)) hear();
  }
}
