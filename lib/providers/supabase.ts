import { readOptions } from '../options.ts';
import { readKey } from '../token/key-input.ts';
import type { Key, Reading, TrustedIssuer, VerificationKeys } from '../token/keys.ts';
import { remoteKeys } from '../token/remote-keys.ts';
import { baseOf, READING, trust } from './provider.ts';

export interface SupabaseOptions extends Reading {
  /** `https://abcdefgh.supabase.co` */
  readonly projectUrl: string;
  /** The project's legacy JWT secret, as long as tokens under it are alive. @default the published keys alone */
  readonly secret?: string | undefined;
}

/**
 * Access tokens of Supabase Auth: under its signing keys and, with `secret`, under the legacy secret too, so that a project
 * can change from the one to the other. The Postgres role is the role. Anonymous users pass: `is_anonymous` tells.
 *
 * Facts: Supabase docs, "JWT Claims Reference" and "JWT Signing Keys".
 */
export function supabase(options: SupabaseOptions): TrustedIssuer {
  const reader = readOptions('supabase', options, ['projectUrl', 'secret', ...READING]);
  const project = baseOf('projectUrl', options.projectUrl, 'https://abcdefgh.supabase.co', reader.fail);
  const issuer = `${project}/auth/v1`;
  const published = remoteKeys(`${issuer}/.well-known/jwks.json`, { algorithms: ['ES256', 'RS256', 'EdDSA'] });
  return trust(
    'supabase',
    {
      issuer,
      keys: options.secret === undefined ? published : besides(options.secret, published, reader.fail),
      // The trap: `anon` and `service_role` keys are JWTs by the same secret; they name another issuer and no audience.
      audience: 'authenticated',
      claims: { roles: 'role' },
    },
    options,
  );
}

/** The secret serves HS256 alone, whatever `kid` Supabase writes beside it, and the published keys all else. */
function besides(secret: string, published: VerificationKeys, fail: (complaint: string) => never): VerificationKeys {
  const key = readSecret(secret, fail);
  return { find: (asked) => (asked.alg === 'HS256' ? key : published.find(asked)) };
}

function readSecret(secret: string, fail: (complaint: string) => never): Key {
  try {
    return readKey({ kid: 'legacy', alg: 'HS256', key: secret });
  } catch (error) {
    return fail((error as Error).message.replace('localKeys: ', ''));
  }
}
