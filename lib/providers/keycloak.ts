import { readOptions } from '../options.ts';
import type { Reading, TrustedIssuer } from '../token/keys.ts';
import { PUBLIC_ALGORITHMS, type RemoteKeysOptions, remoteKeys } from '../token/remote-keys.ts';
import { baseOf, READING, trust } from './provider.ts';

export interface KeycloakOptions extends Reading {
  /** `https://id.example.com`; before Keycloak 17 it ended in `/auth`. */
  readonly baseUrl: string;
  readonly realm: string;
  /** What an audience mapper puts into `aud`: without one a token is for `account` alone. */
  readonly audience: string;
}

/**
 * Access tokens of a Keycloak realm. The realm's roles are the roles; for a client's say
 * `claims: { roles: ['resource_access', 'my-client', 'roles'] }`.
 *
 * Facts: Keycloak Server Administration Guide, "Audience support", and "Securing applications", "Endpoints".
 */
export function keycloak(options: KeycloakOptions): TrustedIssuer {
  const reader = readOptions('keycloak', options, ['baseUrl', 'realm', 'audience', ...READING]);
  const base = baseOf('baseUrl', options.baseUrl, 'https://id.example.com', reader.fail);
  const issuer = `${base}/realms/${encodeURIComponent(reader.text('realm'))}`;
  // Every key says its algorithm; the trap of encryption keys in the same set is caught where any set is read.
  const algorithms = PUBLIC_ALGORITHMS as RemoteKeysOptions['algorithms'];
  return trust(
    'keycloak',
    {
      issuer,
      audience: reader.text('audience'),
      keys: remoteKeys(`${issuer}/protocol/openid-connect/certs`, { algorithms }),
      claims: { roles: ['realm_access', 'roles'] },
      // The trap: ID, refresh and logout tokens look alike but for the payload's `typ`.
      accepts: (claims) => claims.typ === 'Bearer',
    },
    options,
  );
}
