import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Request, Response } from 'express';
import session, { type SessionData } from 'express-session';
import { newLoginSecret } from '../login/login-secret.ts';
import { type SessionDataSettings, SessionRows } from '../login/session-data.ts';
import { cookieSigner } from '../request/cookie-signature.ts';
import type { LoginStore } from '../store/ports.ts';

/** What express-session is to find when it comes in: the session of this id, with this row. */
export interface Standing {
  /** The secret in the cookie; undefined for a visitor who has none yet. */
  readonly id: string | undefined;
  readonly sid: string;
  readonly row: string | undefined;
}

const ACCESSORS = ['session', 'sessionID', 'sessionStore'] as const;

// Only we ever show express-session a cookie, and only to say which row was read.
const NAME = 'sid';
const KEY = randomBytes(32).toString('base64url');
const { sign } = cookieSigner([KEY]);

/** The row that stands for the one request that is being attached, in this very tick. */
let standing: Standing | undefined;

class StandingRows extends SessionRows {
  override get(id: string, callback: (error: unknown, data?: SessionData | null) => void): void {
    if (standing === undefined || standing.id !== id) return super.get(id, callback);
    const { sid, row } = standing;
    // A login whose row was lost or spoilt is still a login: it begins anew with its data.
    callback(null, (row === undefined ? null : this.loadRow(sid, row)) ?? { cookie: {} as never });
  }
}

/**
 * `req.session`, for those who use it: accessors until then, and express-session attached in the same tick to the row that
 * was read already. A route that needs only `req.auth` never pays for it.
 */
export class LazySession {
  readonly rows: SessionRows;
  readonly #expressSession: (req: Request, res: Response, next: (error?: unknown) => void) => void;

  constructor(store: LoginStore, settings: SessionDataSettings) {
    this.rows = new StandingRows(store, settings);
    this.#expressSession = session({
      store: this.rows,
      secret: KEY,
      name: NAME,
      genid: newLoginSecret,
      resave: false,
      saveUninitialized: false,
    });
  }

  /** Puts the accessors in place; `attached` hears of the first use. False if another `req.session` stands there. */
  offer(req: IncomingMessage, read: () => Standing, attached: () => void): boolean {
    if ('session' in req) return false;
    const attach = () => {
      this.withdraw(req);
      this.#attach(req as Request, read());
      attached();
    };
    for (const name of ACCESSORS) {
      Object.defineProperty(req, name, {
        configurable: true,
        enumerable: true,
        get() {
          attach();
          return (req as Request)[name];
        },
        set(value: never) {
          attach();
          (req as Request)[name] = value;
        },
      });
    }
    return true;
  }

  /** Takes accessors or session off the request again. */
  withdraw(req: IncomingMessage): void {
    for (const name of ACCESSORS) delete (req as Partial<Request>)[name];
  }

  #attach(req: Request, found: Standing): void {
    const { cookie } = req.headers;
    const others = { cookies: req.cookies, signedCookies: req.signedCookies };
    // express-session looks for its cookie in all three; it is to see ours, and nothing a browser sent.
    Object.assign(req, { cookies: undefined, signedCookies: undefined });
    if (found.id === undefined) delete req.headers.cookie;
    else req.headers.cookie = `${NAME}=${sign(found.id)}`;
    standing = found;
    try {
      this.#expressSession(req, unsent(), (error) => {
        if (error !== undefined) throw error;
      });
    } finally {
      standing = undefined;
      if (cookie === undefined) delete req.headers.cookie;
      else req.headers.cookie = cookie;
      for (const [name, value] of Object.entries(others)) {
        if (value === undefined) delete (req as unknown as Record<string, unknown>)[name];
        else Object.assign(req, { [name]: value });
      }
    }
  }
}

/** express-session saves and sets its cookie from within the response. We do that: it gets one that is never sent. */
function unsent(): Response {
  return { end() {}, write() {}, writeHead() {} } as never;
}
