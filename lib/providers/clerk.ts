import { readOptions } from '../options.ts';
import type { Reading, TrustedIssuer } from '../token/keys.ts';
import { remoteKeys } from '../token/remote-keys.ts';
import { baseOf, READING, trust } from './provider.ts';

export interface ClerkOptions extends Reading {
  /** The Frontend API URL: `https://clerk.your-site.com`. */
  readonly issuer: string;
  /** The origins whose pages may obtain tokens: `https://app.your-site.com`. */
  readonly authorizedParties: readonly string[];
  /** The `aud` that you gave your session tokens, if you did. @default none, and a token that has one is refused */
  readonly audience?: string | undefined;
}

/**
 * Session tokens of Clerk: they last a minute, and name the active organisation's role in `o.rol` (version 2; for version 1
 * say `claims: { roles: 'org_role' }`). Tokens made from a JWT template are for other services, and refused.
 *
 * Facts: Clerk docs, "Session tokens" (default claims of version 2), "Customize your session token" (any claim besides),
 * "JWT templates" (no `sid`) and "Manual JWT verification" (`azp`, where the keys are).
 */
export function clerk(options: ClerkOptions): TrustedIssuer {
  const reader = readOptions('clerk', options, ['issuer', 'authorizedParties', 'audience', ...READING]);
  const issuer = baseOf('issuer', options.issuer, 'https://clerk.your-site.com', reader.fail);
  const parties: unknown = options.authorizedParties;
  if (!Array.isArray(parties) || parties.length === 0) {
    reader.fail(`"authorizedParties" must list the origins of your pages, such as ['https://app.example.com']`);
  }
  const audience = options.audience === undefined ? undefined : reader.text('audience');
  const keys = remoteKeys(`${issuer}/.well-known/jwks.json`, { algorithms: ['RS256'] });
  return trust(
    'clerk',
    {
      issuer,
      keys,
      // The trap: no `aud`, but the origin the token was obtained from. A neighbour on a subdomain can obtain one too.
      audience: options.authorizedParties,
      claims: { audience: 'azp', roles: ['o', 'rol'] },
      // Only session tokens have a `sid`; one of a session with tasks left (`pending`) is signed in by half. An `aud`, where
      // there is one, must name us (RFC 7519, section 4.1.3).
      accepts: ({ sid, sts, aud }) => typeof sid === 'string' && sts !== 'pending' && [aud].flat().includes(audience),
    },
    options,
  );
}
