import type { Claims } from '../auth.ts';
import { readOptions } from '../options.ts';
import type { Reading, TrustedIssuer } from '../token/keys.ts';
import { remoteKeys } from '../token/remote-keys.ts';
import { hostOf, READING, trust } from './provider.ts';

export interface Auth0Options extends Reading {
  /** Of the tenant, or your own: `tenant.eu.auth0.com`. */
  readonly domain: string;
  /** The API's identifier. */
  readonly audience: string;
}

/**
 * Access tokens of Auth0, in both of its profiles (`JWT` and `at+jwt`). Without the API's identifier Auth0 issues opaque
 * tokens, which nobody can verify. With RBAC its permissions stand in `permissions`: `claims: { scopes: 'permissions' }`;
 * roles only where an Action of yours puts them.
 *
 * Facts: Auth0 docs, "Access Token Profiles" (claims, `typ`), "Validate Access Tokens" (audience, `scope`) and "ID Token
 * Structure" (audience).
 */
export function auth0(options: Auth0Options): TrustedIssuer {
  const reader = readOptions('auth0', options, ['domain', 'audience', ...READING]);
  const domain = hostOf('domain', options.domain, reader.fail);
  const keys = remoteKeys(`https://${domain}/.well-known/jwks.json`, { algorithms: ['RS256', 'PS256'] });
  return trust(
    'auth0',
    {
      // The trap: its name ends in a slash.
      issuer: `https://${domain}/`,
      audience: reader.text('audience'),
      keys,
      accepts: isAccessToken,
    },
    options,
  );
}

/** An access token names the client that asked for it, or at least what that got; an ID token is for the client itself. */
function isAccessToken({ aud, azp, client_id: client = azp, scope, permissions }: Claims): boolean {
  if (client === undefined) return scope !== undefined || permissions !== undefined;
  return ![aud].flat().includes(client);
}
