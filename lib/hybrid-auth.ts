import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Request, Response } from 'express';
import { type AccessTokens, accessTokens } from './access-tokens.ts';
import { origin, tell } from './audit.ts';
import { type Auth, type Identity, type Login, type LoginMode, recognitionOf } from './auth.ts';
import {
  type AuthError,
  InvalidGrant,
  InvalidRequest,
  InvalidToken,
  StoreUnavailable,
  Unauthenticated,
} from './errors.ts';
import { identityOf, storedIdentity } from './login/identity.ts';
import { newLoginSecret, sidOf } from './login/login-secret.ts';
import { loginFrom } from './login/login-view.ts';
import { type RefreshToken, type RefreshTokens, refreshTokens } from './login/refresh-token.ts';
import { type LoginModeOptions, type LoginModeSettings, settleLoginMode } from './mode-options.ts';
import type { Duration } from './options.ts';
import { authenticate, become, type Finding, type Reply } from './request/authenticate.ts';
import { bearerOf } from './request/bearer.ts';
import { settleCookieKind } from './request/cookie-settings.ts';
import { type Cookie, demandSecure } from './request/cookies.ts';
import { type CrossSitePolicy, crossSitePolicy, isUnsafe, isUpgrade } from './request/cross-site.ts';
import { loginRoutes } from './routes/login-routes.ts';
import type { LoginRecord } from './store/ports.ts';
import { checkIdentity } from './token/identity.ts';
import { type MintedToken, type Minting, mint } from './token/issuer.ts';
import { checkSigningKeys, type SigningKeys } from './token/keys.ts';

export interface HybridAuthOptions extends LoginModeOptions {
  /** Signs access tokens. */
  readonly keys: SigningKeys;
  readonly issuer: string;
  readonly audience: string;
  /** How long an access token lasts. @default '10m', at most '1h' */
  readonly access?: Duration;
  /**
   * For tabs that refresh at once: within this time of a rotation the spent token yields the same successor, and the
   * successor itself is not rotated again. (Later, while the successor was never seen in use because the response was
   * lost, the spent token yields a new successor in its place.) @default '10s', at most '60s'
   */
  readonly grace?: Duration;
  /**
   * What carries the tokens: `cookie` for a browser app of ours (the access cookie is then renewed in line, on a
   * request that finds it near its end), `body` for mobile and third-party clients. Authorization is read in both.
   */
  readonly transport: 'cookie' | 'body';
  /** The user's scopes and roles today, asked at every refresh; undefined ends the login. @default those given to `login` */
  readonly renew?: (login: Login) => Identity | undefined | Promise<Identity | undefined>;
}

/** A token response as in RFC 6749, section 5.1. The `cookie` transport leaves the tokens out. */
export interface TokenResponse {
  readonly token_type: 'Bearer';
  /** Seconds. */
  readonly expires_in: number;
  readonly access_token?: string;
  readonly refresh_token?: string;
  readonly scope?: string;
}

export interface HybridAuth extends LoginMode<TokenResponse> {
  /** Trades the refresh token of this request for a new pair. */
  refresh(req: Request, res: Response): Promise<TokenResponse>;
}

/** The hybrid: a short access JWT, kept alive by an opaque refresh token that works once. Also takes tokens of `tokenIssuer` with its keys. */
export function hybridAuth(options: HybridAuthOptions): HybridAuth {
  return new HybridDoor(settle(options)).mode();
}

interface Settings extends LoginModeSettings {
  readonly minting: Minting;
  readonly grace: number;
  readonly renew: HybridAuthOptions['renew'];
  /** Undefined where the body carries the tokens. */
  readonly cookies: { readonly access: Cookie; readonly refresh: Cookie } | undefined;
  readonly crossSite: CrossSitePolicy;
  readonly refreshTokens: RefreshTokens;
  readonly accessTokens: AccessTokens;
}

/** An access token and the refresh token beside it, on their way to the client. */
interface Pair {
  readonly minted: MintedToken;
  readonly refreshToken: string;
  readonly login: LoginRecord;
}

// Clocks of our processes may differ this much before a token of one seems to come from the future to another.
const AHEAD = 60_000;

class HybridDoor {
  readonly #settings: Settings;

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  mode(): HybridAuth {
    const { required, audit, parts, cookies } = this.#settings;
    const door = {
      required,
      audit,
      explicit: (req: IncomingMessage) => {
        const token = bearerOf(req);
        return token === undefined ? undefined : this.#settings.accessTokens.judge(token);
      },
      ...(cookies === undefined
        ? {}
        : { ambient: (req: IncomingMessage, reply: Reply | undefined) => this.#fromCookies(req, reply?.res) }),
    };
    const verbs: Omit<HybridAuth, keyof typeof door | 'authenticate'> = {
      login: (req, res, identity, options) => this.#login(req, res, identity, options?.remember !== false),
      logout: (req, res) => this.#logout(req, res),
      refresh: (req, res) => this.#refresh(req, res),
      routes: () =>
        loginRoutes({
          recognise: authenticate({ ...door, required: true }),
          logout: verbs.logout,
          refresh: verbs.refresh,
          parts,
        }),
    };
    return Object.assign(authenticate(door), verbs);
  }

  // ── recognising ──────────────────────────────────────────────────────────────────────────────

  async #fromCookies(req: IncomingMessage, res: ServerResponse | undefined): Promise<Finding> {
    const { cookies, crossSite } = this.#settings;
    const access = cookies?.access.read(req) ?? [];
    if (access.length === 0 && cookies?.refresh.read(req).length === 0) return {};
    if (isUnsafe(req) || isUpgrade(req)) crossSite.check(req);
    const finding = await this.#judgeAny(access);
    if (res === undefined || res.headersSent) return finding;
    if (finding.auth !== undefined) return { auth: await this.#renewedSoftly(req, res, finding.auth) };
    return this.#renewed(req, res, finding);
  }

  async #judgeAny(tokens: readonly string[]): Promise<Finding> {
    let failure: AuthError | undefined;
    for (const token of tokens) {
      try {
        return { auth: await this.#settings.accessTokens.judge(token) };
      } catch (error) {
        if (!(error instanceof InvalidToken)) throw error;
        failure ??= error;
      }
    }
    return { failure };
  }

  /** In passing, when four fifths of its life are over. While the token is good, nothing that goes wrong here matters. */
  async #renewedSoftly(req: IncomingMessage, res: ServerResponse, auth: Auth): Promise<Auth> {
    const life = auth.expiresAt.getTime() - auth.issuedAt.getTime();
    if (auth.expiresAt.getTime() - Date.now() > life / 5) return auth;
    const presented = this.#presentedCookie(req);
    if (presented === undefined || presented.sid !== auth.sid) return auth;
    try {
      const pair = await this.#rotate(req, presented, true);
      return pair === undefined ? auth : this.#hand(req, res, pair);
    } catch (error) {
      if (error instanceof StoreUnavailable) return auth;
      throw error;
    }
  }

  /** The access cookie is over, its login may not be. */
  async #renewed(req: IncomingMessage, res: ServerResponse, finding: Finding): Promise<Finding> {
    const presented = this.#presentedCookie(req);
    if (presented === undefined) return finding;
    try {
      const pair = await this.#rotate(req, presented, false);
      return pair === undefined ? finding : { auth: this.#hand(req, res, pair) };
    } catch (error) {
      if (!(error instanceof InvalidGrant)) throw error;
      return { failure: finding.failure ?? new InvalidToken(error.reason === 'expired' ? 'expired' : 'revoked') };
    }
  }

  #presentedCookie(req: IncomingMessage): RefreshToken | undefined {
    const { cookies, refreshTokens } = this.#settings;
    for (const value of cookies?.refresh.read(req) ?? []) {
      const token = refreshTokens.read(value);
      if (token !== undefined) return token;
    }
    return undefined;
  }

  // ── login, refresh, logout ───────────────────────────────────────────────────────────────────

  async #login(req: Request, res: Response, identity: Identity, remember: boolean): Promise<TokenResponse> {
    const { parts, idle, absolute, cookies, crossSite, maxLogins, refreshTokens } = this.#settings;
    checkIdentity('login', identity);
    crossSite.check(req);
    if (cookies !== undefined) demandSecure(req, cookies.refresh);
    const previous = await this.#loginOf(req);
    const family = newLoginSecret();
    const sid = sidOf(family);
    const stored = storedIdentity(identity);
    // Before anything is stored: a key that was revoked, or claims too long, must not leave a login behind.
    const minted = this.#mint(identity, { sid, generation: 0, authenticatedAt: stored.authenticatedAt });
    const { subject } = identity;
    const facts = { sid, mode: 'hybrid' as const, subject, identity: stored, persistent: remember, ...origin(req) };
    const opening = { previous, atMost: maxLogins };
    const login = await parts.logins.open({ ...facts, idle, absolute }, undefined, opening);
    const pair = { minted, refreshToken: refreshTokens.write(family, 0), login };
    this.#hand(req, res, pair);
    this.#tell('login', login, req);
    return this.#receipt(pair);
  }

  async #refresh(req: Request, res: Response): Promise<TokenResponse> {
    const { cookies, crossSite } = this.#settings;
    if (cookies !== undefined && isUnsafe(req) && cookies.refresh.read(req).length > 0) crossSite.check(req);
    const pair = await this.#rotate(req, this.#presented(req), false);
    if (pair === undefined) throw new InvalidGrant('unknown');
    this.#hand(req, res, pair);
    return this.#receipt(pair);
  }

  /** The refresh token of a request that was sent to be refreshed. */
  #presented(req: Request): RefreshToken {
    const { cookies, refreshTokens } = this.#settings;
    if (cookies !== undefined) {
      if (cookies.refresh.read(req).length === 0) throw new Unauthenticated();
      const token = this.#presentedCookie(req);
      if (token === undefined) throw new InvalidGrant('unknown');
      return token;
    }
    const given = bodyToken(req);
    if (given === undefined) throw new InvalidRequest('the body must hold a refresh_token, as JSON or a form');
    const token = refreshTokens.read(given);
    if (token === undefined) throw new InvalidGrant('unknown');
    return token;
  }

  async #logout(req: Request, res: Response): Promise<void> {
    const { cookies, crossSite, parts } = this.#settings;
    const carried =
      cookies !== undefined && (cookies.access.read(req).length > 0 || cookies.refresh.read(req).length > 0);
    if (carried && isUnsafe(req) && bearerOf(req) === undefined) crossSite.check(req);
    const login = await this.#loginOf(req);
    if (login !== undefined) await parts.logins.end(login);
    if (carried) {
      cookies.access.clear(res);
      cookies.refresh.clear(res);
    }
    if (login === undefined) return;
    if (recognitionOf(req).auth?.sid === login.sid) become(req, undefined);
    this.#tell('logout', login, req);
  }

  /** The login a request belongs to, by whatever it carries, be it spent or expired. */
  async #loginOf(req: Request): Promise<{ readonly subject: string; readonly sid: string } | undefined> {
    const { cookies, accessTokens, refreshTokens } = this.#settings;
    const bearer = bearerOf(req);
    if (bearer !== undefined) return accessTokens.loginOf(bearer);
    const given = cookies === undefined ? bodyToken(req) : undefined;
    const refreshToken = given === undefined ? this.#presentedCookie(req) : refreshTokens.read(given);
    if (refreshToken !== undefined) return this.#ownerOf(refreshToken.sid);
    for (const token of cookies?.access.read(req) ?? []) {
      const login = await accessTokens.loginOf(token).catch(ifForged);
      if (login !== undefined) return login;
    }
    return undefined;
  }

  async #ownerOf(sid: string): Promise<{ readonly subject: string; readonly sid: string } | undefined> {
    const { login } = await this.#settings.parts.logins.store.find(sid);
    return login?.mode === 'hybrid' ? { subject: login.subject, sid } : undefined;
  }

  // ── the family ───────────────────────────────────────────────────────────────────────────────

  /** Undefined where a soft rotation leaves things alone. Throws InvalidGrant for a token that is not good any more. */
  async #rotate(req: IncomingMessage, token: RefreshToken, soft: boolean): Promise<Pair | undefined> {
    const { parts, grace, refreshTokens } = this.#settings;
    if (parts.logins.isRevoked(token.sid)) throw new InvalidGrant('unknown');
    const { sid, generation } = token;
    const rotation = await parts.logins.store.rotate({ sid, generation, grace, soft });
    if (rotation.outcome === 'declined') return undefined;
    if (rotation.outcome === 'reused') {
      this.#tell('refresh_reused', rotation.login, req);
      await parts.logins.endReused(rotation.login);
      throw new InvalidGrant('reused');
    }
    if (rotation.outcome !== 'valid') throw new InvalidGrant(rotation.outcome === 'expired' ? 'expired' : 'unknown');
    const { login, generation: tip } = rotation;
    const identity = await this.#identityToday(login);
    const { authenticatedAt } = login.identity;
    const minted = this.#mint(identity, { sid, generation: tip, authenticatedAt });
    this.#tell('refresh', login, req);
    return { minted, refreshToken: refreshTokens.write(token.family, tip), login };
  }

  /** What the user may do today. Whom the application does not know any more is logged out; if it cannot say, nothing happens. */
  async #identityToday(login: LoginRecord): Promise<Identity> {
    const { renew, parts } = this.#settings;
    if (renew === undefined) return identityOf(login);
    const identity = await ask(renew, login);
    if (identity === undefined) {
      await parts.logins.end(login);
      throw new InvalidGrant('unknown');
    }
    return identity;
  }

  #mint(identity: Identity, login: { sid: string; generation: number; authenticatedAt: number }): MintedToken {
    const { minting, parts } = this.#settings;
    const { kid } = minting.keys.current;
    if (parts.replica.revocations.keyRevoked(minting.issuer, kid)) {
      throw new Error(
        `hybridAuth: the signing key "${kid}" was revoked: put another in its place with keys.replace([...])`,
      );
    }
    return mint(minting, identity, login);
  }

  // ── answering ────────────────────────────────────────────────────────────────────────────────

  /** Gives the client its tokens, and the request its caller. */
  #hand(req: IncomingMessage, res: ServerResponse, { minted, refreshToken, login }: Pair): Auth {
    const { cookies, minting, parts, accessTokens } = this.#settings;
    const auth = accessTokens.admit(minted.verified);
    res.setHeader('Cache-Control', 'no-store');
    if (cookies !== undefined) {
      const rest = Math.min(login.idle, login.endsAt - parts.replica.clock.now());
      cookies.access.set(res, minted.token, login.persistent ? minting.lifetime : undefined);
      cookies.refresh.set(res, refreshToken, login.persistent ? rest : undefined);
    }
    become(req, auth);
    return auth;
  }

  #receipt({ minted, refreshToken }: Pair): TokenResponse {
    const { cookies, minting } = this.#settings;
    const scope = minted.verified.scopes.join(' ');
    return {
      token_type: 'Bearer',
      expires_in: Math.ceil(minting.lifetime / 1000),
      ...(cookies === undefined ? { access_token: minted.token, refresh_token: refreshToken } : {}),
      ...(scope === '' ? {} : { scope }),
    };
  }

  #tell(
    type: 'login' | 'logout' | 'refresh' | 'refresh_reused',
    { subject, sid }: { readonly subject: string; readonly sid: string },
    req: IncomingMessage,
  ): void {
    const { audit } = this.#settings;
    if (audit !== undefined) tell([audit], { type, mode: 'hybrid', subject, sid }, req);
  }
}

async function ask(renew: NonNullable<HybridAuthOptions['renew']>, login: LoginRecord): Promise<Identity | undefined> {
  try {
    const identity = await renew(loginFrom(login));
    if (identity === undefined) return undefined;
    checkIdentity('renew', identity);
    if (identity.subject !== login.subject) throw new TypeError('renew: the subject of a login cannot change');
    return identity;
  } catch (error) {
    throw new StoreUnavailable(error);
  }
}

function bodyToken(req: Request): string | undefined {
  const token = (req.body as { refresh_token?: unknown } | undefined)?.refresh_token;
  return typeof token === 'string' && token !== '' ? token : undefined;
}

function ifForged(error: unknown): undefined {
  if (!(error instanceof InvalidToken)) throw error;
}

function settle(options: HybridAuthOptions): Settings {
  const own = ['keys', 'issuer', 'audience', 'access', 'grace', 'transport', 'renew'] as const;
  const { reader, settings } = settleLoginMode('hybridAuth', options, own, { idle: '14d', absolute: '90d' });
  checkSigningKeys('hybridAuth', options.keys);
  const { transport, keys } = options;
  if (transport !== 'cookie' && transport !== 'body') reader.fail(`"transport" must be 'cookie' or 'body'`);
  if (transport === 'body' && options.cookie !== undefined) reader.fail(`"cookie" is for transport 'cookie'`);
  const minting = {
    keys,
    issuer: reader.text('issuer'),
    audience: reader.text('audience'),
    lifetime: reader.duration('access', '10m', { most: '1h' }),
  };
  const { issuer, audience } = minting;
  const kind = (name: string) => settleCookieKind('hybridAuth', options.cookie, name);
  const cookies = transport === 'cookie' ? { access: kind('access'), refresh: kind('refresh') } : undefined;
  const { parts } = settings;
  return {
    ...settings,
    minting,
    grace: reader.duration('grace', '10s', { least: '0ms', most: '60s' }),
    renew: reader.optionalFunction('renew'),
    cookies,
    crossSite: crossSitePolicy('hybridAuth', options.trustedOrigins, cookies?.access.sameSite),
    refreshTokens: refreshTokens(settings.secrets, issuer, audience),
    accessTokens: accessTokens({
      mode: 'hybrid',
      issuers: [{ issuer, audience, keys }],
      parts,
      leeway: 0,
      ahead: AHEAD,
    }),
  };
}
