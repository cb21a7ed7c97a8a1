import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Request } from 'express';
import type { Session, SessionData } from 'express-session';
import { sidOf } from '../login/login-secret.ts';
import { fieldsOf } from '../login/row.ts';
import type { Reply } from '../request/authenticate.ts';
import type { LoginRecord } from '../store/ports.ts';
import type { LazySession, Offer, Standing } from './lazy-session.ts';
import { type Guarded, ResponseGate } from './response-gate.ts';

/** What the cookie of a request led to. */
export interface SessionFound extends Standing {
  readonly login: LoginRecord | undefined;
}

export const NO_SESSION: SessionFound = { id: undefined, sid: '', row: undefined, login: undefined };

/** What the sessions of all requests of one mode have in common. */
export interface SessionKeeping {
  readonly lazy: LazySession;
  readonly cookieName: string;
  /** Ends whatever stands under a sid. */
  end(sid: string): Promise<void>;
  /** Drops the row of a login that ended meanwhile. */
  dropUnlessLogin(sid: string): Promise<void>;
  /** Throws where the cookie of a new session could not be set. */
  demandCookie(req: IncomingMessage): void;
  setCookie(res: ServerResponse, id: string): void;
  clearCookie(res: ServerResponse): void;
  /** The application ended its session: nobody is logged in by it any more. */
  ended(req: IncomingMessage, login: LoginRecord | undefined): void;
}

/** express-session's, with what it adds to each. */
type AnySession = Session & Partial<SessionData>;

/** The session of one request: lent to the application as `req.session`, stored before the response leaves. */
export class RequestSession implements Offer, Guarded {
  #found: SessionFound;
  readonly #req: Request;
  readonly #res: ServerResponse;
  readonly #next: Reply['next'];
  readonly #keeping: SessionKeeping;
  /** None where the `req.session` there is not ours. */
  readonly #gate: ResponseGate | undefined;
  #session: AnySession | undefined;
  /** How it looked when express-session came in, or was last stored; undefined while nobody asked for it. */
  #view: string | undefined;
  #cookie: SessionData['cookie'] | undefined;
  #ending: Promise<void> | undefined;
  /** The id in the browser's cookie leads nowhere any more. */
  #parted = false;

  constructor(req: IncomingMessage, { res, next }: Reply, found: SessionFound, keeping: SessionKeeping) {
    this.#req = req as Request;
    this.#res = res;
    this.#next = next;
    this.#found = found;
    this.#keeping = keeping;
    this.#gate = keeping.lazy.offer(req, this) ? new ResponseGate(res, this) : undefined;
  }

  get found(): SessionFound {
    return this.#found;
  }

  get cookieName(): string {
    return this.#keeping.cookieName;
  }

  /** The application's data as it is now, saved or not, without the cookie. */
  get data(): Map<string, string> {
    const { session } = this.#view === undefined ? {} : this.#req;
    const row = session ? JSON.stringify(session) : this.#found.row;
    const fields = (row === undefined ? undefined : fieldsOf(row)) ?? new Map<string, string>();
    fields.delete('cookie');
    return fields;
  }

  /** Goes on as another session: the one just logged in, or none. Nothing of what it was is saved any more. */
  become(found: SessionFound): void {
    this.#found = found;
    this.#view = undefined;
    this.#parted = false;
    if (this.#gate === undefined) return;
    // Its cookie is not to be lost to a `writeHead` either.
    this.#gate.shut();
    this.#keeping.lazy.withdraw(this.#req);
    this.#keeping.lazy.offer(this.#req, this);
  }

  take(): void {
    this.#gate?.shut();
    this.#keeping.lazy.attach(this.#req, this.#found);
    if (this.#req.session !== undefined) this.#watch(this.#req.session);
  }

  refuse(error: unknown): void {
    this.#next(error);
  }

  commit(): Promise<void> | undefined {
    const ending = this.#ending;
    const saving = this.#commitSession();
    this.#ending = undefined;
    if (ending === undefined) return saving;
    if (saving === undefined && this.#parted && !this.#res.headersSent) this.#keeping.clearCookie(this.#res);
    return saving === undefined ? ending : Promise.all([ending, saving]).then(() => undefined);
  }

  #commitSession(): Promise<void> | undefined {
    if (this.#view === undefined) return undefined;
    const { session, sessionID } = this.#req;
    if (typeof session !== 'object' || session === null) return undefined;
    const view = viewOf(session);
    const created = sessionID !== this.#found.id;
    if (view === this.#view && !(created && this.#parted)) return undefined;
    if (created) this.#handOut(sessionID);
    return this.#save(sessionID, this.#restored(session), view);
  }

  #handOut(id: string): void {
    if (this.#res.headersSent) {
      throw new TypeError('a session was begun after the head of the response had left: use req.session before');
    }
    this.#keeping.demandCookie(this.#req);
    this.#keeping.setCookie(this.#res, id);
  }

  /** What the application has left in `req.session`, as a session with a cookie that express-session can read. */
  #restored(session: AnySession): AnySession {
    let restored = session;
    if (!('req' in session)) {
      // A plain object in the place of the session: it is saved as what stood there.
      restored = this.#keeping.lazy.rows.succeed(this.#req, this.#session, session);
      this.#session = restored;
    }
    if (this.#cookie !== undefined) restored.cookie = this.#cookie;
    return restored;
  }

  async #save(id: string, session: AnySession, view: string): Promise<void> {
    const { login, row } = this.#found;
    await new Promise<void>((resolve, reject) => {
      this.#keeping.lazy.rows.set(id, session as SessionData, (error) => (error ? reject(error) : resolve()));
    });
    this.#view = view;
    if (id !== this.#found.id) this.#found = { ...NO_SESSION, id, sid: sidOf(id) };
    // The row was lost, and so made anew: nothing told whether the login had ended.
    else if (login !== undefined && row === undefined) await this.#keeping.dropUnlessLogin(this.#found.sid);
  }

  /** Follows what the application does with a session besides changing it. */
  #watch(session: AnySession): void {
    this.#session = session;
    this.#cookie = session.cookie;
    this.#view = viewOf(session);
    const { reload, regenerate } = session;
    const own = {
      destroy: (callback: Done = () => {}) => {
        delete (this.#req as Partial<Request>).session;
        const ending = this.#part(session.id);
        ending.then(
          () => setImmediate(callback),
          (error) => setImmediate(callback, error),
        );
        this.#ending = ending;
        return session;
      },
      regenerate: (callback: Done) => {
        this.#part();
        return regenerate.call(session, (error) => {
          // Until it is used it is as empty as the one before was when it came.
          if (this.#req.session !== undefined) this.#watch(this.#req.session);
          callback(error);
        });
      },
      reload: (callback: Done) =>
        reload.call(session, (error) => {
          if (!error) this.#watch(this.#req.session);
          callback(error);
        }),
      // Data that brings this name along would replace the methods of the session.
      ['__proto__']: undefined,
    };
    for (const [name, value] of Object.entries(own)) {
      Object.defineProperty(session, name, { configurable: true, writable: true, value });
    }
  }

  /** The application leaves its session; with an id, that is ended here. */
  #part(id?: string): Promise<void> {
    const { login, sid } = this.#found;
    this.#keeping.ended(this.#req, login);
    const ending = id === undefined ? Promise.resolve() : this.#keeping.end(id === this.#found.id ? sid : sidOf(id));
    this.#parted ||= this.#found.id !== undefined;
    this.#found = NO_SESSION;
    return ending;
  }
}

type Done = (error?: unknown) => void;

function viewOf(session: object): string {
  const { cookie: _, ...data } = session as Record<string, unknown>;
  return JSON.stringify(data);
}
