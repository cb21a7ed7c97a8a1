import session, { type SessionData } from 'express-session';
import { StoreUnavailable } from '../errors.ts';
import type { LoginStore } from '../store/ports.ts';
import { sidOf } from './login-secret.ts';
import { checkSize, fieldsOf, mergeRow, PLAIN_COOKIE, rowOf } from './row.ts';

/** What a session object was loaded from, or last saved as, and what stands in the store for it. */
interface Base {
  readonly view: string;
  readonly standing: string;
}

export interface SessionDataSettings {
  /** Ends whatever login stands under this sid, and drops its row. */
  readonly end: (sid: string) => Promise<void>;
  /** How long a row lives from now, in milliseconds. */
  readonly lifeOf: (session: SessionData) => number;
  readonly conflict: (sid: string, fields: readonly string[]) => void;
  readonly corrupt: (sid: string) => void;
}

// The types know less of it than it has.
const Cookie = session.Cookie as unknown as new (
  data: object,
) => { maxAge: number | null; serialize(name: string, value: string): string };

type Callback<Value = unknown> = (error: unknown, value?: Value) => void;

// Each try that fails is one that somebody else won, so that so many requests at once all come through.
const TRIES = 200;

/**
 * An express-session store over the session rows. A session that was loaded only updates, one that was generated only
 * creates: what was ended stays ended, however late a request saves. Two requests that change different fields both win.
 */
export class SessionRows extends session.Store {
  readonly #store: LoginStore;
  readonly #settings: SessionDataSettings;
  // express-session copies what `get` gives into a Session: first the one, then the other is known here.
  readonly #bases = new WeakMap<object, Base>();

  constructor(store: LoginStore, settings: SessionDataSettings) {
    super();
    this.#store = store;
    this.#settings = settings;
  }

  override get(id: string, callback: Callback<SessionData | null>): void {
    const sid = sidOf(id);
    settle(
      this.#store.find(sid).then(({ row, corrupt }) => {
        if (corrupt) this.#settings.corrupt(sid);
        return row === undefined ? null : this.loadRow(sid, row);
      }),
      callback,
    );
  }

  /** The data of a row; null, and a report, where it is none. One whose cookie is over is none either. */
  loadRow(sid: string, row: string): SessionData | null {
    const data = dataOf(row);
    if (data === undefined) {
      this.#settings.corrupt(sid);
      return null;
    }
    if (data.cookie.expires && !(new Date(data.cookie.expires).getTime() > Date.now())) return null;
    this.#bases.set(data, { view: row, standing: row });
    return data;
  }

  /** No data, for a session whose row cannot be read: saved, it takes its place. */
  anew(row: string | undefined): SessionData {
    const data = { cookie: { ...PLAIN_COOKIE } } as unknown as SessionData;
    if (row !== undefined) this.#bases.set(data, { view: row, standing: row });
    return data;
  }

  /** A session of this data, which is saved as `session` would have been. */
  succeed(req: object, session: object | undefined, data: object) {
    const successor = this.createSession(req as never, { ...data, ...this.anew(undefined) });
    const base = session && this.#bases.get(session);
    if (base !== undefined) this.#bases.set(successor, base);
    return successor;
  }

  override createSession(req: never, data: SessionData) {
    const base = this.#bases.get(data);
    const created = super.createSession(req, data);
    if (base !== undefined) this.#bases.set(created, base);
    return created;
  }

  override set(id: string, data: SessionData, callback: Callback = () => {}): void {
    settle(this.#save(sidOf(id), data), callback);
  }

  override touch(id: string, data: SessionData, callback: Callback = () => {}): void {
    settle(this.#touch(sidOf(id), data), callback);
  }

  override destroy(id: string, callback: Callback = () => {}): void {
    settle(this.#settings.end(sidOf(id)), callback);
  }

  override all(callback: Callback<SessionData[]>): void {
    settle(
      this.#store.allRows().then((rows) =>
        rows.flatMap(({ id, row }) => {
          const data = this.loadRow(id, row);
          return data === null ? [] : [Object.assign(data, { id })];
        }),
      ),
      callback,
    );
  }

  /** The names of the rows: hashes of the session ids, for the ids themselves are nowhere but in the cookies. */
  ids(callback: Callback<string[]>): void {
    settle(
      this.#store.allRows().then((rows) => rows.map(({ id }) => id)),
      callback,
    );
  }

  override length(callback: Callback<number>): void {
    settle(
      this.#store.allRows().then((rows) => rows.length),
      callback,
    );
  }

  override clear(callback: Callback = () => {}): void {
    settle(this.#clear(), callback);
  }

  async #clear(): Promise<void> {
    for (const { id } of await this.#store.allRows()) await this.#settings.end(id);
  }

  async #save(sid: string, data: SessionData): Promise<void> {
    // Whatever an application has merged into its session, the row keeps a cookie that can be read.
    const spoilt = 'req' in data && !(data.cookie instanceof Cookie);
    const row = JSON.stringify(spoilt ? { ...(data as object), cookie: PLAIN_COOKIE } : data);
    checkSize(row);
    const life = this.#settings.lifeOf(data);
    // Not a number either: a cookie's end that is no date.
    if (!(life > 0)) return this.#settings.end(sid);
    const base = this.#bases.get(data);
    if (base !== undefined) return this.#update(sid, data, base, row, life);
    // Data that no request holds, from a script or a test: whoever sets it means it to stand.
    if (!('req' in data)) return this.#store.putRow(sid, row, life);
    if (await this.#store.createRow(sid, row, life)) this.#bases.set(data, { view: row, standing: row });
  }

  async #update(sid: string, data: SessionData, base: Base, view: string, life: number): Promise<void> {
    const contested = new Set<string>();
    let { standing } = base;
    for (let tries = 0; tries < TRIES; tries++) {
      const { row, conflicts } = mergeRow(base.view, view, standing);
      checkSize(row);
      for (const field of conflicts) contested.add(field);
      const update = await this.#store.updateRow(sid, standing, row, life);
      if (update.outcome === 'gone') return;
      if (update.outcome === 'stored') {
        this.#bases.set(data, { view, standing: row });
        if (contested.size > 0) this.#settings.conflict(sid, [...contested]);
        return;
      }
      standing = update.row;
    }
    throw new StoreUnavailable(new Error('a session row was changed by others too often'));
  }

  // What a browser was told of the cookie's end is told the store too: only its life is longer otherwise.
  async #touch(sid: string, data: SessionData): Promise<void> {
    const life = this.#settings.lifeOf(data);
    const base = this.#bases.get(data);
    if (base === undefined || !data.cookie?.expires) return this.#store.touchRow(sid, life);
    const fields = fieldsOf(base.view) ?? new Map<string, string>();
    await this.#update(sid, data, base, rowOf(fields.set('cookie', JSON.stringify(data.cookie))), life);
  }
}

/** The session data of a row; undefined for what express-session could not make a session and a cookie of. */
function dataOf(row: string): SessionData | undefined {
  try {
    const data: SessionData = JSON.parse(row);
    if (typeof data.cookie !== 'object' || data.cookie === null || Array.isArray(data)) return undefined;
    const cookie = new Cookie(data.cookie);
    // At each response it sets the one and writes the other; there an error would come too late.
    cookie.maxAge = data.cookie.originalMaxAge;
    cookie.serialize('name', 'value');
    return data;
  } catch {
    return undefined;
  }
}

function settle<Value>(work: Promise<Value>, callback: Callback<Value>): void {
  // Outside the promise: what a callback throws is its own affair, and must not call it again.
  work.then(
    (value) => setImmediate(callback, null, value),
    (error) => setImmediate(callback, error),
  );
}
