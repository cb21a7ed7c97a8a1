import type {
  Found,
  LoginRecord,
  LoginStore,
  NewLogin,
  Rotation,
  RotationRequest,
  RowUpdate,
  SeenToken,
  TokenFamily,
} from './ports.ts';

/** A refresh-token family: the newest generation, the one before, when the newest was made, and whether it was seen in use. */
interface Family {
  tip: number;
  parent: number;
  madeAt: number;
  seen: boolean;
}

interface StoredLogin {
  readonly facts: Omit<NewLogin, 'absolute'>;
  readonly createdAt: number;
  readonly endsAt: number;
  lastSeenAt: number;
  readonly family: Family;
}

interface StoredRow {
  row: string;
  expiresAt: number;
}

// Entries are looked at in passing, so that what expired unasked leaves too.
const SWEEP_EVERY = 60_000;

/** Logins in this process. Each method runs in one go, so that all are as atomic as Redis' scripts. */
export class MemoryLogins implements LoginStore {
  readonly #logins = new Map<string, StoredLogin>();
  readonly #tombstones = new Map<string, number>();
  readonly #subjects = new Map<string, Map<string, number>>();
  readonly #rows = new Map<string, StoredRow>();
  readonly #sweeping = setInterval(() => this.#sweep(), SWEEP_EVERY).unref();

  close(): void {
    clearInterval(this.#sweeping);
  }

  async open(login: NewLogin, row?: string, since = 0): Promise<LoginRecord | undefined> {
    // As it would come back from Redis, and out of reach of whoever holds what was given.
    const { absolute, ...facts } = JSON.parse(JSON.stringify(login)) as NewLogin;
    const now = Date.now();
    if (this.#ended(login.sid) || this.#logins.has(login.sid)) return undefined;
    const names = this.#subjects.get(login.subject) ?? new Map<string, number>();
    this.#subjects.set(login.subject, names.set(login.sid, now + absolute));
    const stored: StoredLogin = {
      facts,
      createdAt: Math.max(now, since),
      endsAt: now + absolute,
      lastSeenAt: now,
      family: { tip: 0, parent: -1, madeAt: now, seen: true },
    };
    this.#logins.set(login.sid, stored);
    if (row !== undefined) this.#rows.set(login.sid, { row, expiresAt: expiryOf(stored) });
    return recordOf(stored);
  }

  async find(sid: string, touch?: { readonly after: number; readonly idle: number }): Promise<Found> {
    const now = Date.now();
    const login = this.#login(sid);
    const row = this.#row(sid);
    if (touch !== undefined) {
      if (login !== undefined) {
        if (now - login.lastSeenAt >= touch.after) this.#touch(login, now);
      } else if (row !== undefined && row.expiresAt - now <= touch.idle - touch.after) {
        row.expiresAt = now + touch.idle;
      }
    }
    return { login: login && recordOf(login), family: familyOf(login, now), row: row?.row, corrupt: false };
  }

  async rotate({ sid, generation: given, grace, soft }: RotationRequest): Promise<Rotation> {
    if (this.#ended(sid)) return { outcome: 'ended' };
    const login = this.#login(sid);
    if (login === undefined || login.facts.mode !== 'hybrid') return { outcome: 'expired' };
    const now = Date.now();
    const { family } = login;
    const young = now - family.madeAt < grace;
    const answer = (renewed: boolean): Rotation => {
      this.#touch(login, now);
      return { outcome: 'valid', renewed, generation: family.tip, login: recordOf(login) };
    };
    const same = () => answer(false);
    const stand = (tip: number, parent: number): Rotation => {
      Object.assign(family, { tip, parent, madeAt: now, seen: false });
      return answer(true);
    };
    if (given > family.tip) return soft ? { outcome: 'declined' } : stand(given + 1, given);
    if (given === family.tip) return young && given > 0 ? same() : stand(given + 1, given);
    if (given === family.parent && young) return same();
    if (soft) return { outcome: 'declined' };
    if (given === family.parent && !family.seen) return stand(family.tip + 1, given);
    this.#entomb(sid, login.endsAt);
    return { outcome: 'reused', login: recordOf(login) };
  }

  async seen({ sid, generation, issuer, subject }: SeenToken): Promise<void> {
    const login = this.#login(sid);
    if (login === undefined || login.facts.subject !== subject || login.facts.issuer !== issuer) return;
    if (login.family.tip === generation) login.family.seen = true;
  }

  async endOf(subject: string, sid: string): Promise<number | undefined> {
    return this.#subjects.get(subject)?.get(sid);
  }

  async end(subject: string, logins: readonly { readonly sid: string; readonly endsAt: number }[]): Promise<void> {
    for (const { sid, endsAt } of logins) {
      this.#entomb(sid, endsAt);
      this.#rows.delete(sid);
      this.#forget(subject, sid);
    }
  }

  async index(subject: string): Promise<readonly { readonly sid: string; readonly endsAt: number }[]> {
    return [...(this.#subjects.get(subject) ?? [])].map(([sid, endsAt]) => ({ sid, endsAt }));
  }

  async list(subject: string): Promise<readonly LoginRecord[]> {
    const logins = [...(this.#subjects.get(subject)?.keys() ?? [])].flatMap((sid) => this.#login(sid) ?? []);
    // Of two of one millisecond, the one opened last stands last in the index.
    return logins
      .map(recordOf)
      .reverse()
      .sort((a, b) => b.createdAt - a.createdAt);
  }

  async createRow(id: string, row: string, life: number): Promise<boolean> {
    if (this.#row(id) !== undefined) return false;
    this.#rows.set(id, { row, expiresAt: Date.now() + life });
    return true;
  }

  async updateRow(id: string, expected: string, row: string, life: number): Promise<RowUpdate> {
    const stored = this.#row(id);
    if (stored === undefined) return { outcome: 'gone' };
    if (stored.row !== expected) return { outcome: 'conflict', row: stored.row };
    this.#rows.set(id, { row, expiresAt: Date.now() + life });
    return { outcome: 'stored' };
  }

  async putRow(id: string, row: string, life: number): Promise<void> {
    this.#rows.set(id, { row, expiresAt: Date.now() + life });
  }

  async touchRow(id: string, life: number): Promise<void> {
    const stored = this.#row(id);
    if (stored !== undefined) stored.expiresAt = Date.now() + life;
  }

  async dropRow(id: string): Promise<void> {
    this.#rows.delete(id);
  }

  async allRows(): Promise<readonly { readonly id: string; readonly row: string }[]> {
    return [...this.#rows.keys()].flatMap((id) => {
      const stored = this.#row(id);
      return stored === undefined ? [] : [{ id, row: stored.row }];
    });
  }

  #touch(login: StoredLogin, now: number): void {
    login.lastSeenAt = now;
    const row = this.#row(login.facts.sid);
    if (row !== undefined) row.expiresAt = expiryOf(login);
  }

  #entomb(sid: string, endsAt: number): void {
    this.#logins.delete(sid);
    this.#tombstones.set(sid, endsAt);
  }

  #forget(subject: string, sid: string): void {
    const names = this.#subjects.get(subject);
    names?.delete(sid);
    if (names?.size === 0) this.#subjects.delete(subject);
  }

  #ended(sid: string): boolean {
    return (this.#tombstones.get(sid) ?? 0) > Date.now();
  }

  #login(sid: string): StoredLogin | undefined {
    const login = this.#logins.get(sid);
    if (login === undefined || expiryOf(login) > Date.now()) return login;
    this.#logins.delete(sid);
    this.#forget(login.facts.subject, sid);
    return undefined;
  }

  #row(id: string): StoredRow | undefined {
    const stored = this.#rows.get(id);
    if (stored === undefined || stored.expiresAt > Date.now()) return stored;
    this.#rows.delete(id);
    return undefined;
  }

  #sweep(): void {
    const now = Date.now();
    for (const sid of this.#logins.keys()) this.#login(sid);
    for (const id of this.#rows.keys()) this.#row(id);
    for (const [sid, endsAt] of this.#tombstones) if (endsAt <= now) this.#tombstones.delete(sid);
  }
}

function expiryOf({ facts, lastSeenAt, endsAt }: StoredLogin): number {
  return Math.min(lastSeenAt + facts.idle, endsAt);
}

function familyOf(login: StoredLogin | undefined, now: number): TokenFamily | undefined {
  if (login?.facts.mode !== 'hybrid') return undefined;
  const { tip, parent, madeAt } = login.family;
  return { tip, parent, age: now - madeAt };
}

function recordOf(login: StoredLogin): LoginRecord {
  const { facts, createdAt, lastSeenAt, endsAt } = login;
  return { ...structuredClone(facts), createdAt, lastSeenAt, endsAt, expiresAt: expiryOf(login) };
}
