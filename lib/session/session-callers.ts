import type { IncomingMessage, ServerResponse } from 'node:http';
import { tell } from '../audit.ts';
import { recognitionOf } from '../auth.ts';
import { type AuthError, CrossSiteRequest } from '../errors.ts';
import { touchAfter } from '../login/lifetimes.ts';
import { sidOf } from '../login/login-secret.ts';
import { authFrom } from '../login/login-view.ts';
import { become, type Finding, type Reply } from '../request/authenticate.ts';
import { demandSecure } from '../request/cookies.ts';
import { isUnsafe, isUpgrade } from '../request/cross-site.ts';
import type { LoginRecord } from '../store/ports.ts';
import { LazySession } from './lazy-session.ts';
import { NO_SESSION, RequestSession, type SessionFound, type SessionKeeping } from './request-session.ts';
import type { SessionSettings } from './session-settings.ts';

/** A session id from a cookie; `fresh`: signed with the first secret. */
interface PresentedId {
  readonly value: string;
  readonly fresh: boolean;
}

const NOBODY: Finding = {};

/** Whom session cookies speak for, and the session that a request is lent. */
export class SessionCallers {
  readonly #settings: SessionSettings;
  readonly #keeping: SessionKeeping;
  readonly #touch: { readonly after: number; readonly idle: number };
  readonly #lent = new WeakMap<IncomingMessage, RequestSession>();

  constructor(settings: SessionSettings) {
    this.#settings = settings;
    this.#touch = { after: touchAfter(settings.idle), idle: settings.idle };
    this.#keeping = this.#makeKeeping();
  }

  /** Without a reply nothing is set or lent. Throws `CrossSiteRequest`; rejects with `StoreUnavailable`. */
  recognise(req: IncomingMessage, reply: Reply | undefined): Finding | Promise<Finding> {
    const known = this.#lent.get(req);
    if (known !== undefined) return findingOf(known.found.login);
    const failure = this.#crossSiteFailure(req);
    const ids = failure === undefined ? this.#idsIn(req) : [];
    if (ids.length > 0) return this.#recogniseBy(ids, req, reply);
    if (reply !== undefined) this.#lend(req, reply, NO_SESSION);
    return failure === undefined ? NOBODY : { failure };
  }

  /** Whether the request carries a cookie of ours, good or not, or was given one. */
  carries(req: IncomingMessage): boolean {
    return this.#lent.get(req)?.found.login !== undefined || this.#settings.cookie.read(req).length > 0;
  }

  /** The session this request was lent; where no middleware stood in front, it is lent now. */
  async sessionOf(req: IncomingMessage, reply: Reply): Promise<RequestSession> {
    return this.#lent.get(req) ?? this.#lend(req, reply, await this.#find(this.#idsIn(req)));
  }

  setCookie(res: ServerResponse, { id, login }: SessionFound): void {
    const { cookie, signer, parts } = this.#settings;
    if (id === undefined) return;
    cookie.set(res, signer.sign(id), login?.persistent ? restOf(login, parts.replica.clock.now()) : undefined);
  }

  /** The request speaks for nobody any more, if it was this login that it spoke for. */
  forget(req: IncomingMessage, login: LoginRecord | undefined): void {
    if (login !== undefined && recognitionOf(req).auth?.sid === login.sid) become(req, undefined);
  }

  async #recogniseBy(ids: readonly PresentedId[], req: IncomingMessage, reply: Reply | undefined): Promise<Finding> {
    const found = await this.#find(ids);
    if (reply !== undefined) {
      this.#lend(req, reply, found);
      const stale = ids.some(({ value, fresh }) => value === found.id && !fresh);
      if (stale && !reply.res.headersSent) this.setCookie(reply.res, found);
    }
    return findingOf(found.login);
  }

  /** A bearer that comes along is judged by whom it concerns: then the cookie only counts as absent. */
  #crossSiteFailure(req: IncomingMessage): AuthError | undefined {
    const { cookie, crossSite } = this.#settings;
    if (!(isUnsafe(req) || isUpgrade(req)) || cookie.read(req).length === 0) return undefined;
    try {
      crossSite.check(req);
      return undefined;
    } catch (error) {
      if (error instanceof CrossSiteRequest && /^bearer /i.test(req.headers.authorization ?? '')) return error;
      throw error;
    }
  }

  #idsIn(req: IncomingMessage): readonly PresentedId[] {
    const { cookie, signer } = this.#settings;
    return cookie.read(req).flatMap((raw) => signer.unsign(raw) ?? []);
  }

  /** The first of these ids that leads to a login, else to a row. Whoever can set cookies beside ours locks nobody out. */
  async #find(ids: readonly PresentedId[]): Promise<SessionFound> {
    const { logins, audits } = this.#settings.parts;
    let lone: SessionFound | undefined;
    for (const { value: id } of ids) {
      const sid = sidOf(id);
      const { login, row, corrupt } = await logins.store.find(sid, this.#touch);
      if (corrupt || row === '') tell(audits, { type: 'session_corrupt', sid });
      const found = { id, sid, row: row ?? (corrupt ? '' : undefined), login };
      if (login?.mode === 'session' && !logins.isOver(login)) return found;
      if (login === undefined && row !== undefined) lone ??= found;
    }
    return lone ?? NO_SESSION;
  }

  #lend(req: IncomingMessage, reply: Reply, found: SessionFound): RequestSession {
    const lent = new RequestSession(req, reply, found, this.#keeping);
    this.#lent.set(req, lent);
    return lent;
  }

  #makeKeeping(): SessionKeeping {
    const { parts, cookie, signer } = this.#settings;
    const { logins, audits } = parts;
    const lazy = new LazySession(logins.store, {
      end: (sid) => logins.endRow(sid),
      lifeOf: (data) => this.#lifeOf(data),
      conflict: (sid, fields) => tell(audits, { type: 'session_conflict', sid, fields }),
      corrupt: (sid) => tell(audits, { type: 'session_corrupt', sid }),
    });
    return {
      lazy,
      cookieName: cookie.name,
      end: (sid) => logins.endRow(sid),
      async dropUnlessLogin(sid) {
        if ((await logins.store.find(sid)).login === undefined) await logins.store.dropRow(sid);
      },
      demandCookie: (req) => demandSecure(req, cookie),
      setCookie: (res, id) => cookie.set(res, signer.sign(id)),
      clearCookie: (res) => cookie.clear(res),
      ended: (req, login) => this.forget(req, login),
    };
  }

  // A row lasts as long as its login would if it were used now. Meanwhile others may have used it: what this request
  // read of its end may be over, and the login not.
  #lifeOf(data: object): number {
    const { req } = data as { readonly req?: IncomingMessage };
    const login = req === undefined ? undefined : this.#lent.get(req)?.found.login;
    if (login === undefined) return this.#settings.idle;
    return Math.ceil(Math.min(login.idle, login.endsAt - this.#settings.parts.replica.clock.now()));
  }
}

// What this process takes for the store's time may be behind.
function restOf({ endsAt, lastSeenAt }: LoginRecord, now: number): number {
  return endsAt - Math.max(now, lastSeenAt);
}

function findingOf(login: LoginRecord | undefined): Finding {
  return login === undefined ? NOBODY : { auth: authFrom(login) };
}
