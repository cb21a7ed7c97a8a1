import { readOptions } from '../options.ts';
import type { Reading, TrustedIssuer } from '../token/keys.ts';
import { remoteKeys } from '../token/remote-keys.ts';
import { hostOf, READING, trust } from './provider.ts';

export interface KindeOptions extends Reading {
  /** `business.kinde.com`, or your own. */
  readonly domain: string;
  /** The API's audience, which the app must ask for. */
  readonly audience: string;
}

/**
 * Access tokens of Kinde. Roles are there if token customisation adds them; permissions stand in `permissions`:
 * `claims: { scopes: 'permissions' }`. Where roles come as `{ id, key, name }`: `claims: { roles: ['roles', 'key'] }`.
 *
 * Facts: Kinde docs, "About access tokens" (claims), "Verifying JSON web tokens" (RS256, where the keys are), "User roles".
 */
export function kinde(options: KindeOptions): TrustedIssuer {
  const reader = readOptions('kinde', options, ['domain', 'audience', ...READING]);
  const issuer = `https://${hostOf('domain', options.domain, reader.fail)}`;
  const keys = remoteKeys(`${issuer}/.well-known/jwks`, { algorithms: ['RS256'] });
  return trust(
    'kinde',
    {
      issuer,
      audience: reader.text('audience'),
      keys,
      claims: { scopes: 'scp', roles: 'roles' },
      // The trap: an ID token has the same issuer, keys and `typ`, and may name your domain as its audience; it has no `scp`.
      accepts: ({ scp }) => Array.isArray(scp),
    },
    options,
  );
}
