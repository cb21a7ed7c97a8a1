import type { Audit } from '../audit.ts';
import type { StoreParts } from '../login/auth-store.ts';
import type { CookieSigner } from '../request/cookie-signature.ts';
import type { Cookie } from '../request/cookies.ts';
import type { CrossSitePolicy } from '../request/cross-site.ts';

/** The options of `sessionAuth`, settled. Times are milliseconds. */
export interface SessionSettings {
  readonly audit: Audit | undefined;
  readonly parts: StoreParts;
  readonly idle: number;
  readonly absolute: number;
  readonly remember: number;
  readonly maxLogins: number | undefined;
  readonly cookie: Cookie;
  readonly signer: CookieSigner;
  readonly crossSite: CrossSitePolicy;
}
