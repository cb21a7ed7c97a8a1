import type { Request, Response } from 'express';
import { origin, tell } from '../audit.ts';
import { type Identity, recognitionOf, tellRefusal } from '../auth.ts';
import { AuthError, InvalidGrant, InvalidRequest, InvalidToken, Unauthenticated } from '../errors.ts';
import type { TokenResponse } from '../hybrid-auth.ts';
import { storedIdentity } from '../login/identity.ts';
import { LEEWAY } from '../login/lifetimes.ts';
import { newLoginSecret, sidOf } from '../login/login-secret.ts';
import type { RefreshToken } from '../login/refresh-token.ts';
import { entryOf, idOf } from '../login/revocation.ts';
import { become } from '../request/authenticate.ts';
import { bearerOf } from '../request/bearer.ts';
import { demandSecure } from '../request/cookies.ts';
import { isUnsafe } from '../request/cross-site.ts';
import type { LoginRecord, NewLogin } from '../store/ports.ts';
import { checkIdentity } from '../token/identity.ts';
import type { MintedToken } from '../token/issuer.ts';
import type { CookieCallers } from './cookie-callers.ts';
import type { Families } from './families.ts';
import type { PairFacts, Pairs } from './pairs.ts';
import type { HybridSettings } from './settings.ts';

/** The login a request belongs to; `expiresAt` is the end of the access token that says so. */
interface Belonging {
  readonly subject: string;
  readonly sid: string;
  readonly expiresAt?: number;
}

/** Logins in hybrid mode: opened, prolonged by a refresh token, ended. */
export class HybridLogins {
  readonly #settings: HybridSettings;
  readonly #families: Families;
  readonly #pairs: Pairs;
  readonly #callers: CookieCallers;

  constructor(settings: HybridSettings, families: Families, pairs: Pairs, callers: CookieCallers) {
    this.#settings = settings;
    this.#families = families;
    this.#pairs = pairs;
    this.#callers = callers;
  }

  login(req: Request, res: Response, identity: Identity, remember: boolean): Promise<TokenResponse> {
    return this.#heard(req, () => this.#login(req, res, identity, remember));
  }

  refresh(req: Request, res: Response): Promise<TokenResponse> {
    return this.#heard(req, () => this.#refresh(req, res));
  }

  logout(req: Request, res: Response): Promise<void> {
    return this.#heard(req, () => this.#logout(req, res));
  }

  async #login(req: Request, res: Response, identity: Identity, remember: boolean): Promise<TokenResponse> {
    const { parts, cookies, crossSite, maxLogins, refreshTokens } = this.#settings;
    checkIdentity('login', identity);
    crossSite.check(req);
    if (cookies !== undefined) demandSecure(req, cookies.refresh);
    // A bearer that is good for nothing any more keeps nobody from logging in again.
    const previous = await this.#belonging(req).catch(ifInvalid);
    const family = newLoginSecret();
    const opened = this.#newLogin(req, sidOf(family), identity, remember);
    const facts = firstFacts(opened);
    // Before anything is stored: a key that was revoked, or claims too long, must not leave a login behind.
    this.#pairs.mint(identity, facts);
    const login = await parts.logins.open(opened, undefined, { previous, atMost: maxLogins });
    const minted = this.#mintFirst(identity, { ...facts, stamp: login.createdAt }, login);
    const pair = { minted, refreshToken: refreshTokens.write(family, 0), login };
    become(req, this.#pairs.hand(req, res, pair));
    this.#tell('login', login, req);
    return this.#pairs.receipt(pair);
  }

  #newLogin(req: Request, sid: string, identity: Identity, remember: boolean): NewLogin {
    const { idle, absolute, minting } = this.#settings;
    return {
      sid,
      mode: 'hybrid',
      subject: identity.subject,
      issuer: minting.issuer,
      identity: storedIdentity(identity),
      persistent: remember,
      idle,
      absolute,
      ...origin(req),
    };
  }

  /** It counts as issued when its login began: whatever is taken back of its subject reaches both or none. */
  #mintFirst(identity: Identity, facts: PairFacts, login: LoginRecord): MintedToken {
    try {
      return this.#pairs.mint(identity, facts);
    } catch (error) {
      // Its key was revoked meanwhile. Nobody gets these tokens.
      this.#settings.parts.logins.end(login).catch(() => undefined);
      throw error;
    }
  }

  async #refresh(req: Request, res: Response): Promise<TokenResponse> {
    const { cookies, crossSite } = this.#settings;
    if (isUnsafe(req) && cookies !== undefined && cookies.refresh.read(req).length > 0) crossSite.check(req);
    const succession = await this.#families.trade(req, this.#presented(req), false);
    if (succession === undefined) throw new InvalidGrant('unknown');
    const pair = this.#pairs.succeed(succession);
    become(req, this.#pairs.hand(req, res, pair));
    return this.#pairs.receipt(pair);
  }

  /** The refresh tokens of a request that was sent to be refreshed: good ones, by their MAC. */
  #presented(req: Request): readonly RefreshToken[] {
    const { cookies, refreshTokens } = this.#settings;
    if (cookies !== undefined) {
      if (cookies.refresh.read(req).length === 0) throw new Unauthenticated();
      return this.#callers.refreshTokensIn(req);
    }
    const given = bodyToken(req);
    if (given === undefined) throw new InvalidRequest('the body must hold a refresh_token, as JSON or a form');
    const token = refreshTokens.read(given);
    return token === undefined ? [] : [token];
  }

  async #logout(req: Request, res: Response): Promise<void> {
    const { cookies, crossSite } = this.#settings;
    const carried = this.#callers.areIn(req);
    if (carried && isUnsafe(req) && bearerOf(req) === undefined) crossSite.check(req);
    const login = await this.#belonging(req);
    const ended = login !== undefined && (await this.#end(login));
    if (carried || this.#pairs.handedTo(req) !== undefined) {
      cookies?.access.clear(res);
      cookies?.refresh.clear(res);
    }
    if (login === undefined) return;
    if (recognitionOf(req).auth?.sid === login.sid) become(req, undefined);
    if (ended) this.#tell('logout', login, req);
  }

  /** False if it was over before. */
  async #end({ subject, sid, expiresAt = 0 }: Belonging): Promise<boolean> {
    const { logins, replica } = this.#settings.parts;
    const live = entryOf({ kind: 'login', id: idOf.login(sid), expiresAt: expiresAt + LEEWAY });
    try {
      if (await logins.end({ subject, sid })) return true;
    } catch (error) {
      // Nobody can be asked whose it is, but the access token says so: here it is over at once.
      if (expiresAt > Date.now()) replica.revoke([live]).catch(() => undefined);
      throw error;
    }
    if (expiresAt <= Date.now() || logins.isRevoked(sid)) return false;
    // The store lost the login: the access token that names it is still believed.
    await replica.revoke([live]);
    return true;
  }

  /** The login a request belongs to, by whatever it carries, be it spent or expired. Throws `InvalidToken` for a forged bearer. */
  async #belonging(req: Request): Promise<Belonging | undefined> {
    const { cookies, accessTokens, refreshTokens } = this.#settings;
    const bearer = bearerOf(req) ?? this.#pairs.handedTo(req);
    if (bearer !== undefined) return accessTokens.loginOf(bearer);
    const given = cookies === undefined ? bodyToken(req) : undefined;
    const presented = given === undefined ? this.#callers.refreshTokensIn(req) : [refreshTokens.read(given)];
    for (const token of presented) {
      const login = token && (await this.#ownerOf(token));
      if (login !== undefined) return login;
    }
    for (const token of cookies?.access.read(req) ?? []) {
      const login = await accessTokens.loginOf(token).catch(ifInvalid);
      if (login !== undefined) return login;
    }
    return undefined;
  }

  async #ownerOf({ sid }: RefreshToken): Promise<Belonging | undefined> {
    const { login } = await this.#settings.parts.logins.store.find(sid);
    return login?.mode === 'hybrid' ? { subject: login.subject, sid } : undefined;
  }

  #tell(type: 'login' | 'logout', { subject, sid }: Belonging, req: Request): void {
    const { audit } = this.#settings;
    if (audit !== undefined) tell([audit], { type, mode: 'hybrid', subject, sid }, req);
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

function firstFacts({ sid, identity, idle, absolute }: NewLogin): PairFacts {
  return { sid, generation: 0, authenticatedAt: identity.authenticatedAt, rest: Math.min(idle, absolute) };
}

function bodyToken(req: Request): string | undefined {
  const token = (req.body as { refresh_token?: unknown } | undefined | null)?.refresh_token;
  return typeof token === 'string' && token !== '' ? token : undefined;
}

function ifInvalid(error: unknown): undefined {
  if (!(error instanceof InvalidToken)) throw error;
}
