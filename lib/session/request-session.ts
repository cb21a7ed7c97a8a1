import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Request } from 'express';
import type { Session, SessionData } from 'express-session';
import { fieldsOf, rowOf } from '../login/row.ts';
import type { Reply } from '../request/authenticate.ts';
import type { LoginRecord } from '../store/ports.ts';
import type { LazySession, Standing } from './lazy-session.ts';
import { ResponseGate } from './response-gate.ts';

/** What the cookie of a request led to. */
export interface SessionFound extends Standing {
  readonly login: LoginRecord | undefined;
}

export interface RequestSessionSettings {
  readonly lazy: LazySession;
  /** Ends whatever stands under a sid. */
  readonly end: (sid: string) => Promise<void>;
  /** Throws where the cookie of a new session could not be set. */
  readonly demandCookie: (req: IncomingMessage) => void;
  readonly setCookie: (res: ServerResponse, id: string) => void;
  readonly clearCookie: (res: ServerResponse) => void;
  /** The application destroyed its session: nobody is logged in by it any more. */
  readonly ended: (req: IncomingMessage) => void;
}

export const NO_SESSION: SessionFound = { id: undefined, sid: '', row: undefined, login: undefined };

/** The session of one request: lent to the application as `req.session`, stored before the response leaves. */
export class RequestSession {
  #found: SessionFound;
  readonly #req: Request;
  readonly #res: ServerResponse;
  readonly #settings: RequestSessionSettings;
  /** How it looked when express-session came in, or was last stored; undefined while nobody asked for it. */
  #view: string | undefined;
  #cookie: SessionData['cookie'] | undefined;
  #ending: Promise<void> | undefined;

  constructor(req: IncomingMessage, { res, next }: Reply, found: SessionFound, settings: RequestSessionSettings) {
    this.#req = req as Request;
    this.#res = res;
    this.#found = found;
    this.#settings = settings;
    if (this.#offer()) new ResponseGate(res, () => this.#commit(), next);
  }

  get found(): SessionFound {
    return this.#found;
  }

  /** The application's data as it is now, saved or not, without the cookie. */
  get data(): Map<string, string> {
    const { session } = this.#view === undefined ? {} : this.#req;
    const row = session ? JSON.stringify(session) : this.#found.row;
    const fields = (row === undefined ? undefined : fieldsOf(row)) ?? new Map<string, string>();
    fields.delete('cookie');
    return fields;
  }

  /** Goes on as another session: the one just logged in. */
  become(found: SessionFound): void {
    this.#withdraw();
    this.#found = found;
    this.#offer();
  }

  /** Ends with its login: nothing of it is saved any more. */
  close(): void {
    this.#withdraw();
    this.#found = NO_SESSION;
  }

  #offer(): boolean {
    return this.#settings.lazy.offer(
      this.#req,
      () => this.#found,
      () => this.#attached(),
    );
  }

  #withdraw(): void {
    this.#view = undefined;
    this.#ending = undefined;
    this.#settings.lazy.withdraw(this.#req);
  }

  #attached(): void {
    const { session } = this.#req;
    if (session === undefined) return;
    this.#cookie = session.cookie;
    this.#view = viewOf(session);
    Object.defineProperty(session, 'destroy', {
      configurable: true,
      writable: true,
      value: (callback?: (error?: unknown) => void) => this.#destroy(session, callback),
    });
  }

  // express-session's own, but the response waits for it, and takes the cookie along.
  #destroy(session: Session, callback: (error?: unknown) => void = () => {}): Session {
    delete (this.#req as Partial<Request>).session;
    this.#settings.ended(this.#req);
    this.#ending = this.#found.id === undefined ? Promise.resolve() : this.#settings.end(this.#found.sid);
    this.#ending.then(
      () => setImmediate(callback),
      (error) => setImmediate(callback, error),
    );
    return session;
  }

  #commit(): Promise<void> | undefined {
    if (this.#view === undefined) return undefined;
    const { session, sessionID } = this.#req;
    if (typeof session !== 'object' || session === null) return this.#commitEnding();
    const view = viewOf(session);
    const created = sessionID !== this.#found.id;
    if (view === this.#view && !(created && this.#found.id !== undefined)) return undefined;
    return this.#save(session, sessionID, view, created);
  }

  #commitEnding(): Promise<void> | undefined {
    const ending = this.#ending;
    this.#ending = undefined;
    return ending?.then(() => {
      if (!this.#res.headersSent) this.#settings.clearCookie(this.#res);
    });
  }

  async #save(session: Session & Partial<SessionData>, id: string, view: string, created: boolean): Promise<void> {
    if (created) this.#settings.demandCookie(this.#req);
    // Whatever the application has put in its place, the row keeps a cookie that express-session can read.
    if (this.#cookie !== undefined) session.cookie = this.#cookie;
    await new Promise<void>((resolve, reject) => {
      this.#settings.lazy.rows.set(id, session as SessionData, (error) => (error ? reject(error) : resolve()));
    });
    this.#view = view;
    if (!created) return;
    this.#settings.setCookie(this.#res, id);
    this.#found = { ...NO_SESSION, id };
  }
}

function viewOf(session: object): string {
  const { cookie: _, ...data } = session as Record<string, unknown>;
  return JSON.stringify(data);
}

/** A row that holds these fields, and a cookie as express-session writes one that ends with the browser. */
export function newRow(fields: ReadonlyMap<string, string>, cookie: object): string {
  return rowOf(new Map([['cookie', JSON.stringify(cookie)], ...fields]));
}
