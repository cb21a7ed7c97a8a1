import type { IncomingMessage } from 'node:http';
import type { Request, Response } from 'express';
import { accessTokens } from './access-tokens.ts';
import type { Identity, Login, LoginMode } from './auth.ts';
import { CookieCallers } from './hybrid/cookie-callers.ts';
import { Families } from './hybrid/families.ts';
import { HybridLogins } from './hybrid/hybrid-logins.ts';
import { Pairs } from './hybrid/pairs.ts';
import type { HybridSettings } from './hybrid/settings.ts';
import { accessTokenReader, type CredentialReader, keepReaders, loginReader } from './login/credentials.ts';
import { refreshTokens } from './login/refresh-token.ts';
import { type LoginModeOptions, settleLoginMode } from './mode-options.ts';
import type { Duration } from './options.ts';
import { authenticate, type Door, type Reply } from './request/authenticate.ts';
import { bearerOf } from './request/bearer.ts';
import { settleCookieKind } from './request/cookie-settings.ts';
import { crossSitePolicy } from './request/cross-site.ts';
import { loginRoutes } from './routes/login-routes.ts';
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
  const settings = settle(options);
  const { required, audit, parts, accessTokens, cookies } = settings;
  const families = new Families(settings);
  const pairs = new Pairs(settings);
  const callers = new CookieCallers(settings, families, pairs);
  const logins = new HybridLogins(settings, families, pairs, callers);
  const door: Door = {
    required,
    audit,
    explicit(req: IncomingMessage) {
      const token = bearerOf(req);
      return token === undefined ? undefined : accessTokens.judge(token);
    },
    ...(cookies === undefined
      ? {}
      : { ambient: (req: IncomingMessage, reply: Reply | undefined) => callers.recognise(req, reply?.res) }),
  };
  const verbs: Pick<HybridAuth, 'login' | 'logout' | 'refresh' | 'routes'> = {
    login: (req, res, identity, options) => logins.login(req, res, identity, options?.remember !== false),
    logout: (req, res) => logins.logout(req, res),
    refresh: (req, res) => logins.refresh(req, res),
    routes() {
      const recognise = authenticate({ ...door, required: true });
      return loginRoutes({ recognise, parts, audit, logout: verbs.logout, refresh: verbs.refresh });
    },
  };
  return keepReaders(Object.assign(authenticate(door), verbs), readersFor(settings));
}

function readersFor(settings: HybridSettings): readonly CredentialReader[] {
  const { parts, minting, grace, refreshTokens, accessTokens } = settings;
  const handleIn = refreshTokens.read;
  return [
    loginReader({ kind: 'refresh_token', parts, issuer: minting.issuer, grace, handleIn }),
    accessTokenReader(accessTokens.judge, parts),
  ];
}

// Clocks of our processes may differ this much before a token of one seems to come from the future to another.
const AHEAD = 60_000;

// What was issued to a subject until an instant is taken back for at least so long: no token may last longer.
const LONGEST_LIFE = 86_400_000;

function settle(options: HybridAuthOptions): HybridSettings {
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
  const { parts, absolute } = settings;
  parts.replica.expectLifetime(absolute);
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
      maxLifetime: LONGEST_LIFE,
    }),
  };
}
