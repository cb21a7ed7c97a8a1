import type { AccessTokens } from '../access-tokens.ts';
import type { Identity, Login } from '../auth.ts';
import type { RefreshTokens } from '../login/refresh-token.ts';
import type { LoginModeSettings } from '../mode-options.ts';
import type { Cookie } from '../request/cookies.ts';
import type { CrossSitePolicy } from '../request/cross-site.ts';
import type { Minting } from '../token/issuer.ts';

/** The options of `hybridAuth`, settled. Times are milliseconds. */
export interface HybridSettings extends LoginModeSettings {
  readonly minting: Minting;
  readonly grace: number;
  readonly renew: ((login: Login) => Identity | undefined | Promise<Identity | undefined>) | undefined;
  /** Undefined where the body carries the tokens. */
  readonly cookies: PairCookies | undefined;
  readonly crossSite: CrossSitePolicy;
  readonly refreshTokens: RefreshTokens;
  readonly accessTokens: AccessTokens;
}

/** The cookies of a browser app of ours. */
export interface PairCookies {
  readonly access: Cookie;
  readonly refresh: Cookie;
}
