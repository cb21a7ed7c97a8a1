import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Request } from 'express';
import { origin, tell } from './audit.ts';
import { type Auth, type Identity, type LoginMode, recognitionOf } from './auth.ts';
import { type AuthError, CrossSiteRequest } from './errors.ts';
import { storedIdentity } from './login/identity.ts';
import { touchAfter } from './login/lifetimes.ts';
import { newLoginSecret, sidOf } from './login/login-secret.ts';
import { authFrom } from './login/login-view.ts';
import { type LoginModeOptions, type LoginModeSettings, settleLoginMode } from './mode-options.ts';
import type { Duration } from './options.ts';
import { authenticate, become, type Finding, type Reply } from './request/authenticate.ts';
import { settleCookie } from './request/cookie-settings.ts';
import { type CookieSigner, cookieSigner } from './request/cookie-signature.ts';
import { type Cookie, demandSecure } from './request/cookies.ts';
import { type CrossSitePolicy, crossSitePolicy, isUnsafe, isUpgrade } from './request/cross-site.ts';
import { loginRoutes } from './routes/login-routes.ts';
import { purposeKey } from './secrets.ts';
import { LazySession } from './session/lazy-session.ts';
import { NO_SESSION, newRow, RequestSession, type SessionFound } from './session/request-session.ts';
import type { LoginRecord } from './store/ports.ts';
import { checkIdentity } from './token/identity.ts';

export interface SessionAuthOptions extends LoginModeOptions {
  /** How long a login opened with `remember: true` lasts, idle or not; its cookie outlives the browser, others do not. @default '30d' */
  readonly remember?: Duration;
}

/** Cookie sessions: an opaque id in the cookie, the rest in Redis. Goes where `express-session` stood; `req.session` is express-session's, for data of your own. */
export function sessionAuth(options: SessionAuthOptions): LoginMode<Auth> {
  return new SessionDoor(settle(options)).mode();
}

interface Settings extends LoginModeSettings {
  readonly remember: number;
  readonly cookie: Cookie;
  readonly signer: CookieSigner;
  readonly crossSite: CrossSitePolicy;
}

class SessionDoor {
  readonly #settings: Settings;
  readonly #lazy: LazySession;
  readonly #sessions = new WeakMap<IncomingMessage, RequestSession>();

  constructor(settings: Settings) {
    const { parts, idle } = settings;
    this.#settings = settings;
    this.#lazy = new LazySession(parts.logins.store, {
      end: (sid) => parts.logins.endRow(sid),
      lifeOf: (data) => this.#lifeOf(data) ?? idle,
      conflict: (sid, fields) => tell(parts.audits, { type: 'session_conflict', sid, fields }),
      corrupt: (sid) => tell(parts.audits, { type: 'session_corrupt', sid }),
    });
  }

  mode(): LoginMode<Auth> {
    const { required, audit, parts } = this.#settings;
    const door = {
      required,
      audit,
      ambient: (req: IncomingMessage, reply: Reply | undefined) => this.#recognise(req, reply),
    };
    const verbs: Pick<LoginMode<Auth>, 'login' | 'logout' | 'routes'> = {
      login: (req, res, identity, options) => this.#login(req, res, identity, options?.remember === true),
      logout: (req, res) => this.#logout(req, res),
      routes: () => loginRoutes({ recognise: authenticate({ ...door, required: true }), logout: verbs.logout, parts }),
    };
    return Object.assign(authenticate(door), verbs);
  }

  #recognise(req: IncomingMessage, reply: Reply | undefined): Finding | Promise<Finding> {
    const known = this.#sessions.get(req);
    if (known !== undefined) return findingOf(known.found.login);
    const failure = this.#crossSiteFailure(req);
    if (failure !== undefined) return { failure };
    const ids = this.#idsIn(req);
    if (ids.length === 0) {
      if (reply !== undefined) this.#lend(req, reply, NO_SESSION);
      return {};
    }
    return this.#find(ids).then((found) => {
      if (reply !== undefined) {
        this.#lend(req, reply, found);
        if (ids.some(({ value, fresh }) => value === found.id && !fresh)) this.#setCookie(reply.res, found);
      }
      return findingOf(found.login);
    });
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

  #idsIn(req: IncomingMessage): readonly { readonly value: string; readonly fresh: boolean }[] {
    const { cookie, signer } = this.#settings;
    return cookie.read(req).flatMap((raw) => signer.unsign(raw) ?? []);
  }

  /** The first of these ids that leads to a login, else to a row. Whoever can set cookies beside ours locks nobody out. */
  async #find(ids: readonly { readonly value: string }[]): Promise<SessionFound> {
    const { parts, idle } = this.#settings;
    let lone: SessionFound | undefined;
    for (const { value: id } of ids) {
      const sid = sidOf(id);
      const { login, row, corrupt } = await parts.logins.store.find(sid, { after: touchAfter(idle), idle });
      if (corrupt) tell(parts.audits, { type: 'session_corrupt', sid });
      if (login?.mode === 'session' && !parts.logins.isRevoked(sid)) return { id, sid, row, login };
      if (login === undefined && row !== undefined) lone ??= { id, sid, row, login };
    }
    return lone ?? NO_SESSION;
  }

  #lend(req: IncomingMessage, reply: Reply, found: SessionFound): RequestSession {
    const { cookie } = this.#settings;
    const lent = new RequestSession(req, reply, found, {
      lazy: this.#lazy,
      end: (sid) => this.#settings.parts.logins.endRow(sid),
      demandCookie: (request) => demandSecure(request, cookie),
      setCookie: (response, id) => cookie.set(response, this.#settings.signer.sign(id)),
      clearCookie: (response) => cookie.clear(response),
      ended: (request) => forget(request, lent.found.login),
    });
    this.#sessions.set(req, lent);
    return lent;
  }

  async #login(req: Request, res: ServerResponse, identity: Identity, remember: boolean): Promise<Auth> {
    const { parts, cookie, crossSite, maxLogins, audit } = this.#settings;
    checkIdentity('login', identity);
    crossSite.check(req);
    demandSecure(req, cookie);
    const lent = await this.#lent(req, res);
    const before = lent.found;
    const stranger = before.login !== undefined && before.login.subject !== identity.subject;
    const data = stranger ? new Map<string, string>() : lent.data;
    const id = newLoginSecret();
    const row = newRow(data, { originalMaxAge: null, expires: null, httpOnly: true, path: '/' });
    const login = await parts.logins.open(this.#newLogin(req, id, identity, remember), row, {
      previous: before.login,
      atMost: maxLogins,
    });
    if (before.login === undefined && before.id !== undefined) await parts.logins.store.dropRow(before.sid);
    const found = { id, sid: login.sid, row, login };
    lent.become(found);
    this.#setCookie(res, found);
    const auth = authFrom(login);
    become(req, auth);
    tell(
      audit === undefined ? [] : [audit],
      { type: 'login', mode: 'session', subject: auth.subject, sid: login.sid },
      req,
    );
    return auth;
  }

  /** What this request came with, be the middleware in front of it or not. */
  async #lent(req: Request, res: ServerResponse): Promise<RequestSession> {
    const known = this.#sessions.get(req);
    if (known !== undefined) return known;
    const reply = { res, next: (error: unknown) => req.next?.(error) };
    return this.#lend(req, reply, await this.#find(this.#idsIn(req)));
  }

  #newLogin(req: Request, id: string, identity: Identity, remember: boolean) {
    const { idle, absolute, remember: remembered } = this.#settings;
    return {
      sid: sidOf(id),
      mode: 'session' as const,
      subject: identity.subject,
      identity: storedIdentity(identity),
      persistent: remember,
      idle: remember ? remembered : idle,
      absolute: remember ? remembered : absolute,
      ...origin(req),
    };
  }

  async #logout(req: Request, res: ServerResponse): Promise<void> {
    const { parts, cookie, crossSite, audit } = this.#settings;
    if (cookie.read(req).length === 0 && this.#sessions.get(req)?.found.login === undefined) return;
    if (isUnsafe(req)) crossSite.check(req);
    const lent = this.#sessions.get(req);
    const { login, id, sid } = lent?.found ?? (await this.#find(this.#idsIn(req)));
    if (login !== undefined) await parts.logins.end(login);
    else if (id !== undefined) await parts.logins.store.dropRow(sid);
    lent?.close();
    cookie.clear(res);
    forget(req, login);
    if (login === undefined || audit === undefined) return;
    tell([audit], { type: 'logout', mode: 'session', subject: login.subject, sid }, req);
  }

  #setCookie(res: ServerResponse, { id, login }: SessionFound): void {
    const { cookie, signer, parts } = this.#settings;
    if (id === undefined) return;
    cookie.set(res, signer.sign(id), login?.persistent ? login.endsAt - parts.replica.clock.now() : undefined);
  }

  #lifeOf(data: object): number | undefined {
    const { req } = data as { readonly req?: IncomingMessage };
    const login = req === undefined ? undefined : this.#sessions.get(req)?.found.login;
    return login === undefined ? undefined : Math.ceil(login.expiresAt - this.#settings.parts.replica.clock.now());
  }
}

function findingOf(login: LoginRecord | undefined): Finding {
  return login === undefined ? {} : { auth: authFrom(login) };
}

/** The request speaks for nobody any more, if it was this login that it spoke for. */
function forget(req: IncomingMessage, login: LoginRecord | undefined): void {
  if (login !== undefined && recognitionOf(req).auth?.sid === login.sid) become(req, undefined);
}

function settle(options: SessionAuthOptions): Settings {
  const { reader, settings } = settleLoginMode('sessionAuth', options, ['remember'], { idle: '30m', absolute: '7d' });
  const cookie = settleCookie('sessionAuth', options.cookie, 'sid');
  const keys = settings.secrets.map((secret) => purposeKey(secret, 'session', cookie.name).toString('base64url'));
  return {
    ...settings,
    remember: reader.duration('remember', '30d'),
    cookie,
    signer: cookieSigner(keys),
    crossSite: crossSitePolicy('sessionAuth', options.trustedOrigins, cookie.sameSite),
  };
}
