import type { ServerResponse } from 'node:http';
import type { Request } from 'express';
import { origin, tell } from '../audit.ts';
import { type Auth, type Identity, tellRefusal } from '../auth.ts';
import { AuthError } from '../errors.ts';
import { storedIdentity } from '../login/identity.ts';
import { newLoginSecret, sidOf } from '../login/login-secret.ts';
import { authFrom } from '../login/login-view.ts';
import { newRow } from '../login/row.ts';
import { become, type Reply } from '../request/authenticate.ts';
import { demandSecure } from '../request/cookies.ts';
import { isUnsafe } from '../request/cross-site.ts';
import type { LoginRecord, NewLogin } from '../store/ports.ts';
import { NO_SESSION, type SessionFound } from './request-session.ts';
import type { SessionCallers } from './session-callers.ts';
import type { SessionSettings } from './session-settings.ts';

/** Logins in session mode: opened and ended. */
export class SessionLogins {
  readonly #settings: SessionSettings;
  readonly #callers: SessionCallers;

  constructor(settings: SessionSettings, callers: SessionCallers) {
    this.#settings = settings;
    this.#callers = callers;
  }

  login(req: Request, res: ServerResponse, identity: Identity, remember: boolean): Promise<Auth> {
    return this.#heard(req, () => this.#login(req, res, identity, remember));
  }

  logout(req: Request, res: ServerResponse): Promise<void> {
    return this.#heard(req, () => this.#logout(req, res));
  }

  async #login(req: Request, res: ServerResponse, identity: Identity, remember: boolean): Promise<Auth> {
    const { cookie, crossSite } = this.#settings;
    crossSite.check(req);
    demandSecure(req, cookie);
    const lent = await this.#callers.sessionOf(req, replyTo(req, res));
    const { login: former } = lent.found;
    const stranger = former !== undefined && former.subject !== identity.subject;
    const row = newRow(stranger ? new Map() : lent.data);
    const id = newLoginSecret();
    const login = await this.#open(this.#newLogin(req, id, identity, remember), row, lent.found);
    const found = { id, sid: login.sid, row, login };
    lent.become(found);
    this.#callers.setCookie(res, found);
    const auth = authFrom(login);
    become(req, auth);
    this.#tell('login', login, req);
    return auth;
  }

  #newLogin(req: Request, id: string, identity: Identity, remember: boolean): NewLogin {
    const { idle, absolute, remember: remembered } = this.#settings;
    return {
      sid: sidOf(id),
      mode: 'session',
      subject: identity.subject,
      identity: storedIdentity(identity),
      persistent: remember,
      idle: remember ? remembered : idle,
      absolute: remember ? remembered : absolute,
      ...origin(req),
    };
  }

  /** Opens a login in the place of what the request came with: a login, or a guest's row. */
  async #open(opened: NewLogin, row: string, { login: previous, id, sid }: SessionFound): Promise<LoginRecord> {
    const { parts, maxLogins } = this.#settings;
    const login = await parts.logins.open(opened, row, { previous, atMost: maxLogins });
    if (previous !== undefined || id === undefined) return login;
    try {
      await parts.logins.store.dropRow(sid);
      return login;
    } catch (error) {
      // Nobody gets its cookie.
      parts.logins.end(login).catch(() => undefined);
      throw error;
    }
  }

  async #logout(req: Request, res: ServerResponse): Promise<void> {
    const { parts, cookie, crossSite } = this.#settings;
    if (!this.#callers.carries(req)) return;
    if (isUnsafe(req)) crossSite.check(req);
    const lent = await this.#callers.sessionOf(req, replyTo(req, res));
    const { login, id, sid } = lent.found;
    if (login !== undefined) await parts.logins.end(login);
    else if (id !== undefined) await parts.logins.store.dropRow(sid);
    lent.become(NO_SESSION);
    cookie.clear(res);
    this.#callers.forget(req, login);
    if (login !== undefined) this.#tell('logout', login, req);
  }

  #tell(type: 'login' | 'logout', { subject, sid }: LoginRecord, req: Request): void {
    const { audit } = this.#settings;
    if (audit !== undefined) tell([audit], { type, mode: 'session', subject, sid }, req);
  }

  /** What is refused here is heard of too. */
  async #heard<Value>(req: Request, work: () => Promise<Value>): Promise<Value> {
    try {
      return await work();
    } catch (error) {
      const { audit } = this.#settings;
      if (error instanceof AuthError && audit !== undefined) tellRefusal(error, [audit], req);
      throw error;
    }
  }
}

/** Where the middleware does not stand in front of a route, an error goes on from there; without Express, it is answered here. */
function replyTo(req: Request, res: ServerResponse): Reply {
  return {
    res,
    next(error) {
      if (typeof req.next === 'function') return req.next(error);
      const { status = 500, headers = {} } = error instanceof AuthError ? error : {};
      res.writeHead(status, { ...headers }).end();
    },
  };
}
