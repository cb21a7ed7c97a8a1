import type { Request } from 'express';
import type { Audit, AuditEvent } from './audit.ts';
import { type AuthStore, partsOf, type StoreParts } from './login/auth-store.ts';
import { type Duration, type OptionReader, readOptions } from './options.ts';
import type { CookieSettings } from './request/cookie-settings.ts';
import { settleSecrets } from './secrets.ts';

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

/** Those options, settled. Times are milliseconds. */
export interface LoginModeSettings {
  readonly required: boolean;
  readonly audit: Audit | undefined;
  readonly parts: StoreParts;
  readonly secrets: readonly string[];
  readonly idle: number;
  readonly absolute: number;
  readonly maxLogins: number | undefined;
}

const LOGIN_MODE_OPTIONS = [
  'store',
  'required',
  'trustedOrigins',
  'audit',
  'secret',
  'idle',
  'absolute',
  'cookie',
  'maxLogins',
] as const satisfies readonly (keyof LoginModeOptions)[];

/** Checks the options of a mode that opens logins; `own` are those it has besides. Throws a TypeError in its name. */
export function settleLoginMode<Options extends LoginModeOptions>(
  factory: string,
  options: Options,
  own: readonly (keyof Options & string)[],
  defaults: { readonly idle: Duration; readonly absolute: Duration },
): { readonly reader: OptionReader<Options>; readonly settings: LoginModeSettings } {
  const reader = readOptions<Options>(factory, options, [...LOGIN_MODE_OPTIONS, ...own]);
  const { maxLogins } = options;
  if (maxLogins !== undefined && !(Number.isSafeInteger(maxLogins) && maxLogins >= 1)) {
    reader.fail('"maxLogins" must be a whole number, 1 or more');
  }
  const parts = partsOf(factory, options.store);
  const audit = reader.optionalFunction('audit');
  if (audit !== undefined) parts.audits.add(audit);
  const settings = {
    required: reader.flag('required', true),
    audit,
    parts,
    secrets: settleSecrets(factory, options.secret),
    idle: reader.duration('idle', defaults.idle),
    absolute: reader.duration('absolute', defaults.absolute),
    maxLogins,
  };
  return { reader, settings };
}
