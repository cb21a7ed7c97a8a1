import { createSecretKey } from 'node:crypto';
import { readOptions } from '../options.ts';
import { readKey } from '../token/key-input.ts';
import type { Key, Reading, TrustedIssuer, VerificationKeys } from '../token/keys.ts';
import { isLoopback } from '../token/remote-document.ts';
import { remoteKeys } from '../token/remote-keys.ts';
import { baseOf, READING, trust } from './provider.ts';

export interface SupabaseOptions extends Reading {
  /** `https://abcdefgh.supabase.co` */
  readonly projectUrl: string;
  /**
   * The project's legacy JWT secret, as long as tokens under it are alive. That of `supabase start`, which everybody knows,
   * is taken only for a project on loopback, to develop against. @default the published keys alone
   */
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
  const { secret } = options;
  const published = remoteKeys(`${issuer}/.well-known/jwks.json`, { algorithms: ['ES256', 'RS256', 'EdDSA'] });
  return trust(
    'supabase',
    {
      issuer,
      keys: secret === undefined ? published : besides(readSecret(secret, issuer, reader.fail), published),
      // The trap: `anon` and `service_role` keys are JWTs by the same secret; they name another issuer and no audience.
      audience: 'authenticated',
      claims: { roles: 'role' },
    },
    options,
  );
}

/** The secret serves HS256 alone, whatever `kid` Supabase writes beside it, and the published keys all else. */
function besides(legacy: Key, published: VerificationKeys): VerificationKeys {
  return { find: (asked) => (asked.alg === 'HS256' ? legacy : published.find(asked)) };
}

// The default of Supabase's CLI, the same on every machine.
const LOCAL_SECRET = 'super-secret-jwt-token-with-at-least-32-characters-long';

function readSecret(secret: string, issuer: string, fail: (complaint: string) => never): Key {
  const names = { kid: 'legacy', alg: 'HS256' } as const;
  if (secret === LOCAL_SECRET) {
    // For development: anybody who reaches an app that takes it can sign for it.
    if (isLoopback(new URL(issuer))) return { ...names, key: createSecretKey(secret, 'utf8') };
    return fail(
      '"secret" is the one of every local Supabase, so anybody could sign with it: it is taken only where "projectUrl" is ' +
        "on loopback, such as http://127.0.0.1:54321. Give this project's own",
    );
  }
  try {
    return readKey({ ...names, key: secret });
  } catch (error) {
    return fail((error as Error).message.replace('localKeys: ', ''));
  }
}
