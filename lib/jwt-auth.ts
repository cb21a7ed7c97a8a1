import type { IncomingMessage } from 'node:http';
import { type AccessTokens, accessTokens } from './access-tokens.ts';
import type { Audit } from './audit.ts';
import type { Mode } from './auth.ts';
import type { AuthStore, StoreParts } from './login/auth-store.ts';
import { partsOf } from './login/auth-store.ts';
import { accessTokenReader, keepReaders } from './login/credentials.ts';
import type { ModeOptions } from './mode-options.ts';
import { type Duration, type OptionReader, readOptions } from './options.ts';
import { authenticate, type Finding } from './request/authenticate.ts';
import { bearerOf } from './request/bearer.ts';
import { cookieValues } from './request/cookies.ts';
import { type CrossSitePolicy, crossSitePolicy, isUnsafe, isUpgrade } from './request/cross-site.ts';
import type { TrustedIssuer } from './token/keys.ts';
import { checkTrustedIssuer, TRUSTED_ISSUER_OPTIONS, trustedIssuerIn } from './token/trusted-issuer.ts';

export type JwtAuthOptions = Omit<ModeOptions, 'store'> &
  (TrustedIssuer | { readonly issuers: readonly TrustedIssuer[] }) & {
    /** 'none': verify only, no Redis, and so no revocation. It must be said, for it is easily forgotten. */
    readonly store: AuthStore | 'none';
    /** How far clocks may differ. @default '5s', at most '60s' */
    readonly leeway?: Duration;
    /** A token meant to live longer than this (exp - iat) is refused. @default '24h' with a store (it bounds how long a revocation must be kept), unlimited without */
    readonly maxLifetime?: Duration;
    /** Also take the token from this cookie (cross-site writes are then refused). @default header only */
    readonly cookie?: string;
  };

interface Settings {
  readonly required: boolean;
  readonly audit: Audit | undefined;
  readonly cookie: string | undefined;
  readonly crossSite: CrossSitePolicy;
  /** Undefined for tokens that nobody can take back. */
  readonly parts: StoreParts | undefined;
  readonly tokens: AccessTokens;
}

/** Bearer verification: a JWT of ours or of another issuer. Goes where `express-jwt` stood. */
export function jwtAuth(options: JwtAuthOptions): Mode {
  const { required, audit, cookie, crossSite, parts, tokens } = settle(options);

  async function fromCookie(req: IncomingMessage, name: string): Promise<Finding> {
    const values = cookieValues(req, name);
    if (values.length === 0) return {};
    if (isUnsafe(req) || isUpgrade(req)) crossSite.check(req);
    return tokens.judgeAny(values);
  }

  const mode = authenticate({
    required,
    audit,
    explicit(req) {
      const token = bearerOf(req);
      return token === undefined ? undefined : tokens.judge(token);
    },
    ...(cookie === undefined ? {} : { ambient: (req) => fromCookie(req, cookie) }),
  });
  return keepReaders(mode, [accessTokenReader(tokens.judge, parts)]);
}

function settle(options: JwtAuthOptions): Settings {
  const reader = readOptions<Partial<TrustedIssuer> & Partial<JwtAuthOptions> & { issuers?: unknown }>(
    'jwtAuth',
    options,
    [
      ...TRUSTED_ISSUER_OPTIONS,
      'issuers',
      'store',
      'required',
      'trustedOrigins',
      'audit',
      'leeway',
      'maxLifetime',
      'cookie',
    ],
  );
  const parts = options.store === 'none' ? undefined : settleStore(options.store);
  const leeway = reader.duration('leeway', '5s', { least: '0ms', most: '60s' });
  const maxLifetime =
    parts === undefined && options.maxLifetime === undefined ? undefined : reader.duration('maxLifetime', '24h');
  const audit = reader.optionalFunction('audit') as Audit | undefined;
  if (parts !== undefined && maxLifetime !== undefined) parts.replica.expectLifetime(maxLifetime);
  if (parts !== undefined && audit !== undefined) parts.audits.add(audit);
  return {
    required: reader.flag('required', true),
    audit,
    cookie: settleCookieName(options, reader),
    crossSite: crossSitePolicy('jwtAuth', options.trustedOrigins, 'lax'),
    parts,
    tokens: accessTokens({ mode: 'jwt', issuers: settleIssuers(options), parts, leeway, maxLifetime }),
  };
}

function settleCookieName(options: JwtAuthOptions, reader: OptionReader<{ cookie?: string }>): string | undefined {
  if (options.cookie === undefined) return undefined;
  const name = reader.text('cookie');
  // RFC 6265, 4.1.1: a name is a token of RFC 9110, 5.6.2.
  if (!/^[!#$%&'*+.^_`|~0-9a-z-]+$/i.test(name)) reader.fail('"cookie" must be the name of a cookie');
  return name;
}

function settleStore(store: AuthStore | undefined): StoreParts {
  if (store === undefined) {
    throw new TypeError(
      `jwtAuth: "store" must be given: redisStore(client), or 'none' for tokens that nobody can take back`,
    );
  }
  return partsOf('jwtAuth', store);
}

function settleIssuers(options: JwtAuthOptions): readonly TrustedIssuer[] {
  const { issuers } = options as { readonly issuers?: readonly TrustedIssuer[] };
  if (issuers === undefined) {
    const trusted = trustedIssuerIn(options as TrustedIssuer);
    checkTrustedIssuer('jwtAuth', trusted);
    return [trusted];
  }
  if (!Array.isArray(issuers) || issuers.length === 0)
    throw new TypeError('jwtAuth: "issuers" must list at least one issuer');
  const both = TRUSTED_ISSUER_OPTIONS.find((name) => (options as Partial<TrustedIssuer>)[name] !== undefined);
  if (both !== undefined) throw new TypeError(`jwtAuth: give "issuers" or "${both}", not both`);
  for (const trusted of issuers) checkTrustedIssuer('jwtAuth', trusted);
  return issuers;
}
