import { readOptions } from '../options.ts';
import type { Reading, TrustedIssuer } from '../token/keys.ts';
import { remoteKeys } from '../token/remote-keys.ts';
import { READING, trust } from './provider.ts';

export interface FirebaseOptions extends Reading {
  readonly projectId: string;
}

/**
 * ID tokens of Firebase Authentication, which serve as access tokens there. They have no scopes and no roles, unless your
 * custom claims do: `claims: { roles: 'roles' }`. Anonymous users have them too: `firebase.sign_in_provider` tells.
 *
 * Facts: Firebase docs, "Verify ID Tokens", section "using a third-party JWT library".
 */
export function firebase(options: FirebaseOptions): TrustedIssuer {
  const reader = readOptions('firebase', options, ['projectId', ...READING]);
  const project = reader.text('projectId');
  if (!/^[a-z0-9:.-]+$/.test(project)) reader.fail(`"projectId" must be the project's id, such as 'shop-12ab3'`);
  const keys = remoteKeys(KEYS, { algorithms: ['RS256'] });
  return trust(
    'firebase',
    {
      issuer: `https://securetoken.google.com/${project}`,
      audience: project,
      keys,
      idTokens: true,
      // The trap: one key set signs for every project of Google's, so all hangs on issuer and audience; and there is no `jti`.
      accepts: ({ auth_time: time }) => typeof time === 'number' && time <= Date.now() / 1_000 + 60,
    },
    options,
  );
}

const KEYS = 'https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com';
