import type { Request } from 'express';
import type { AuditEvent } from './audit.ts';
import type { AuthStore } from './login/auth-store.ts';
import type { Duration } from './options.ts';
import type { CookieSettings } from './request/cookie-settings.ts';

export interface ModeOptions {
  /** Where logins and revocations live: one `redisStore(client)` for the whole suite, or `memoryStore()`. */
  readonly store: AuthStore;
  /** Refuse whom this mode does not know. False lets visitors through (in session mode with a `req.session` of their own). @default true */
  readonly required?: boolean;
  /**
   * Origins, besides our own, whose pages may act with our cookies. A request with an unsafe method that carries a cookie
   * of ours, and any `login`, is refused (403) unless Sec-Fetch-Site is same-origin or none, or Origin is our own or one
   * of these. Without Sec-Fetch-Site, Origin decides, then Referer; with none of the three it is no browser's request and
   * passes where the cookie is SameSite Lax or Strict. @default []
   */
  readonly trustedOrigins?: readonly string[];
  /** Hears of every login, refusal and revocation, once. It can neither delay nor break a request. */
  readonly audit?: (event: AuditEvent, req?: Request) => void;
}

/** What the modes that open logins have in common. */
export interface LoginModeOptions extends ModeOptions {
  /** Signs the session cookie or the refresh token, 32 bytes or more. Of several, the first signs and all verify. */
  readonly secret: string | readonly string[];
  /** A login unused for this long ends; a visitor's session too. @default '30m' (sessionAuth), '14d' (hybridAuth) */
  readonly idle?: Duration;
  /** A login this old ends, however busy. @default '7d' (sessionAuth), '90d' (hybridAuth) */
  readonly absolute?: Duration;
  /** Laid over the defaults { secure: true, sameSite: 'lax', path: '/' }; HttpOnly always. */
  readonly cookie?: CookieSettings;
  /** The most logins one subject may hold, in all modes; opening another ends the oldest. @default unlimited */
  readonly maxLogins?: number;
}
