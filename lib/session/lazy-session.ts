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
  /** The row as it was read; empty where one stands that cannot be read. */
  readonly row: string | undefined;
}

/** What `req.session` stands for until it is used. */
export interface Offer {
  /** The first use: it is to be attached. */
  take(): void;
}

const NAMES = ['session', 'sessionID', 'sessionStore'] as const;

// Only we ever show express-session a cookie, and only to say which row was read.
const COOKIE = 'sid';
const KEY = randomBytes(32).toString('base64url');
const { sign } = cookieSigner([KEY]);

/** The row that stands for the one request that is being attached, in this very tick. */
let standing: Standing | undefined;

class StandingRows extends SessionRows {
  override get(id: string, callback: (error: unknown, data?: SessionData | null) => void): void {
    if (standing === undefined || standing.id !== id) {
      super.get(id, callback);
      return;
    }
    const { sid, row } = standing;
    // A login whose row was lost or spoilt is still a login: it begins anew with its data.
    callback(null, (row ? this.loadRow(sid, row) : null) ?? this.anew(row));
  }
}

const offers = new WeakMap<object, Offer>();

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
      name: COOKIE,
      genid: newLoginSecret,
      resave: false,
      saveUninitialized: false,
    });
  }

  /** Puts the accessors in place. False if another `req.session` stands there. */
  offer(req: IncomingMessage, offer: Offer): boolean {
    // An own one: its prototypes would be searched with every request.
    if (Object.hasOwn(req, 'session')) return false;
    offers.set(req, offer);
    for (const [name, accessor] of ACCESSORS) Object.defineProperty(req, name, accessor);
    return true;
  }

  /** Takes accessors or session off the request again. */
  withdraw(req: IncomingMessage): void {
    for (const name of NAMES) delete (req as Partial<Request>)[name];
  }

  /** Puts express-session's own in their place. */
  attach(req: Request, found: Standing): void {
    // It begins with `if (req.session)`.
    this.withdraw(req);
    const { cookie } = req.headers;
    const others = { cookies: req.cookies, signedCookies: req.signedCookies };
    // express-session looks for its cookie in all three; it is to see ours, and nothing a browser sent.
    Object.assign(req, { cookies: undefined, signedCookies: undefined });
    if (found.id === undefined) delete req.headers.cookie;
    else req.headers.cookie = `${COOKIE}=${sign(found.id)}`;
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

// The same for every request: an object with accessors of its own making each time would be slow to use.
const ACCESSORS = NAMES.map(
  (name) =>
    [
      name,
      {
        configurable: true,
        enumerable: true,
        get(this: Request) {
          offerOf(this)?.take();
          return this[name];
        },
        set(this: Request, value: never) {
          offerOf(this)?.take();
          this[name] = value;
        },
      },
    ] as const,
);

// A library may work on an object made of the request (`Object.create(req)`).
function offerOf(req: object | null): Offer | undefined {
  return req === null ? undefined : (offers.get(req) ?? offerOf(Object.getPrototypeOf(req)));
}

/** express-session saves and sets its cookie from within the response. We do that: it gets one that is never sent. */
function unsent(): Response {
  return { end() {}, write() {}, writeHead() {} } as never;
}
