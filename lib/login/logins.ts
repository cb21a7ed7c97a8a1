import type { Audit } from '../audit.ts';
import { tell } from '../audit.ts';
import { InvalidToken } from '../errors.ts';
import type { LogEntry, LoginRecord, LoginStore, NewLogin } from '../store/ports.ts';
import { LEEWAY } from './lifetimes.ts';
import type { Replica } from './replica.ts';
import { cutOffOf, entryOf, idOf } from './revocation.ts';
import type { Id } from './shard.ts';
import { Unfinished } from './unfinished.ts';

// An access token may live an hour, and a clock be a minute off: its login's revocation is known at least that long.
const LONGEST_ACCESS = 3_600_000;

/** Logins, opened and ended. Whatever ends one goes through here: first the log, so that every process knows, then the record. */
export class Logins {
  readonly store: LoginStore;
  readonly #replica: Replica;
  readonly #audits: ReadonlySet<Audit>;
  readonly #unfinished = new Unfinished();

  constructor(store: LoginStore, replica: Replica, audits: ReadonlySet<Audit>) {
    this.store = store;
    this.#replica = replica;
    this.#audits = audits;
  }

  /**
   * Opens a login, in the place of `previous`; with `atMost`, the subject's oldest beyond that many end. Rejects if it
   * could not be stored, or was ended while it was opened; then nothing of it stays.
   */
  async open(login: NewLogin, row: string | undefined, { previous, atMost }: Opening): Promise<LoginRecord> {
    try {
      const record = await this.store.open(login, row, this.#replica.stamp(login));
      if (record === undefined || this.isOver(record)) {
        throw new InvalidToken('revoked', 'the login was ended while it was opened');
      }
      if (previous !== undefined) await this.end(previous);
      if (atMost !== undefined) await this.#endOldest(login.subject, atMost);
      return record;
    } catch (error) {
      this.#abandon(login);
      throw error;
    }
  }

  /** Ends one login of a subject; false if the subject has no such login. If it rejects, it is still tried. */
  end(login: { readonly subject: string; readonly sid: string }): Promise<boolean> {
    return this.#unfinished.attempt(`login ${login.sid} ${login.subject}`, () => this.#end(login));
  }

  async #end({ subject, sid }: { readonly subject: string; readonly sid: string }): Promise<boolean> {
    const { login: found } = await this.store.find(sid);
    const login = found?.subject === subject ? found : undefined;
    // A login whose record is gone may have live access tokens still, and one whose index was lost is one all the same.
    const endsAt = login?.endsAt ?? (await this.store.endOf(subject, sid));
    if (endsAt === undefined) return false;
    await this.#replica.revoke([this.#entry(sid, endsAt, login?.idle)]);
    await this.store.end(subject, [{ sid, endsAt }]);
    return true;
  }

  /** Ends the access tokens of a login that the store has lost: nobody else's, for a sid that stands is left alone. */
  async endLost({ subject, sid }: { readonly subject: string; readonly sid: string }): Promise<void> {
    const { login } = await this.store.find(sid);
    if (login !== undefined && login.subject !== subject) return;
    await this.#replica.revoke([this.#entry(sid, this.#replica.clock.now() + LONGEST_ACCESS, undefined)]);
  }

  /** Ends what stands under a sid, whosever it is: a login, or a lone row. */
  async endRow(sid: string): Promise<void> {
    const { login } = await this.store.find(sid);
    if (login === undefined) await this.store.dropRow(sid);
    else if (await this.end(login)) tell(this.#audits, { type: 'revoked', subject: login.subject, sid });
  }

  /** Ends a family that the store has ended already, because a spent token of it came back. */
  endReused(login: LoginRecord): Promise<void> {
    return this.#endThese(login.subject, [login]);
  }

  /**
   * Ends all logins of a subject but `except`, and takes back what was issued to it until now, by `issuer` or anyone. If it
   * rejects, it is still tried, for what had begun when it was asked.
   */
  async endAll(subject: string, issuer: string | undefined, except: string | undefined): Promise<void> {
    const whose = issuer === undefined ? { subject } : { subject, issuer };
    const cutOff = cutOffOf(idOf.subject(issuer, subject), except === undefined ? undefined : idOf.login(except));
    const until = Math.max(this.#replica.clock.latest(), this.#replica.stamp(whose));
    const begun = async () => {
      const standing = await this.store.list(subject);
      const doomed = standing.filter(({ sid, createdAt }) => sid !== except && createdAt <= until);
      await this.#endThese(subject, doomed);
    };
    const now = async () => {
      const instant = await this.#replica.cutOff(cutOff, whose);
      await this.#endIndexed(subject, except);
      await this.#replica.passed(instant);
    };
    try {
      await this.#unfinished.attempt(`subject ${issuer} ${subject}`, now, begun);
    } catch (error) {
      // Here at once, and elsewhere as soon as it can be said.
      this.#replica.revoke([this.#replica.dated(cutOff, until)]).catch(() => undefined);
      throw error;
    }
  }

  // After the cut-off: whatever is older was named in the index before it, and so ends by its sid as well.
  async #endIndexed(subject: string, except: string | undefined): Promise<void> {
    const doomed = (await this.store.index(subject)).filter(({ sid }) => sid !== except);
    await this.#replica.revoke(doomed.map(({ sid, endsAt }) => this.#entry(sid, endsAt, undefined)));
    await this.store.end(subject, doomed);
  }

  async #endThese(subject: string, logins: readonly LoginRecord[]): Promise<void> {
    await this.#replica.revoke(logins.map(({ sid, endsAt, idle }) => this.#entry(sid, endsAt, idle)));
    await this.store.end(subject, logins);
  }

  close(): void {
    this.#unfinished.close();
  }

  /** Whether a login was taken back by its sid, as far as this process knows. */
  isRevoked(sid: string): boolean {
    return this.#replica.revocations.reach({ login: idOf.login(sid), issuedAt: 0, leeway: 0 });
  }

  /** Whether this login was taken back, by its sid or with all of its subject's. */
  isOver(login: LoginRecord): boolean {
    const { revocations } = this.#replica;
    const id = idOf.login(login.sid);
    if (revocations.reach({ login: id, issuedAt: 0, leeway: 0 })) return true;
    if (!revocations.cutsAny || !this.#isCut(login, id)) return false;
    // The index had lost it. It must not come back when the cut-off is forgotten.
    this.#endThese(login.subject, [login]).catch(() => undefined);
    return true;
  }

  #isCut({ issuer, subject, createdAt }: LoginRecord, id: Id): boolean {
    const subjects = idOf.subjects(issuer, subject);
    return this.#replica.revocations.reach({ spared: id, subjects, stamp: createdAt, issuedAt: createdAt, leeway: 0 });
  }

  async #endOldest(subject: string, atMost: number): Promise<void> {
    const standing = (await this.store.list(subject)).filter((login) => !this.isOver(login));
    for (const { sid } of standing.slice(atMost)) {
      if (await this.end({ subject, sid })) tell(this.#audits, { type: 'revoked', subject, sid });
    }
  }

  // Unused, it ends after its idle time; used, the log is asked first, where this entry stands till then.
  #entry(sid: string, endsAt: number, idle: number | undefined): LogEntry {
    const unused = this.#replica.clock.now() + Math.max(idle ?? Number.POSITIVE_INFINITY, LONGEST_ACCESS);
    const expiresAt = Math.ceil(Math.max(Math.min(endsAt, unused), this.#replica.clock.now()) + LEEWAY);
    return entryOf({ kind: 'login', id: idOf.login(sid), expiresAt });
  }

  // Nobody holds its secret: left over, it would only stand in the list of devices until it is idle.
  #abandon({ subject, sid, absolute }: NewLogin): void {
    const endsAt = Math.ceil(this.#replica.clock.now() + absolute);
    this.store
      .end(subject, [{ sid, endsAt }])
      // The command that opened it may still wait in a Redis that stands still. This is tried until it is heard.
      .catch(() => this.#replica.revoke([this.#entry(sid, endsAt, undefined)]))
      .catch(() => undefined);
  }
}

export interface Opening {
  readonly previous?: { readonly subject: string; readonly sid: string } | undefined;
  readonly atMost?: number | undefined;
}
