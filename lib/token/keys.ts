import type { KeyObject } from 'node:crypto';
import type { Claims } from '../auth.ts';

/** The JWS algorithms the suite knows (RFC 7518, section 3.1; RFC 8037). There is no `none`. */
export type Alg =
  | 'HS256'
  | 'HS384'
  | 'HS512'
  | 'RS256'
  | 'RS384'
  | 'RS512'
  | 'PS256'
  | 'PS384'
  | 'PS512'
  | 'ES256'
  | 'ES384'
  | 'ES512'
  | 'EdDSA';

/** A key under its name. It serves one algorithm, whatever a token says. */
export interface Key {
  readonly kid: string;
  readonly alg: Alg;
  readonly key: KeyObject;
}

/** Finds the key that a token names. */
export interface VerificationKeys {
  find(header: { readonly alg: string; readonly kid?: string }): Key | undefined | Promise<Key | undefined>;
}

/** Keys of ours: they sign as well, and their public halves may be published. */
export interface SigningKeys extends VerificationKeys {
  readonly current: Key;
  /** Puts other keys in place of these, at once: rotation without a restart. */
  replace(keys: readonly KeyInput[]): void;
  /** Public halves only: never a private member, never a symmetric key. */
  jwks(): { readonly keys: readonly object[] };
}

/** PEM (with an optional passphrase), JWK, or KeyObject; a bare string is a secret only under an HS algorithm. */
export interface KeyInput {
  readonly kid: string;
  readonly alg: Alg;
  readonly key: string | object | KeyObject;
  readonly passphrase?: string | undefined;
}

/** An issuer whose tokens are believed, and how to read them. Presets (`auth0`, `keycloak`, …) return one. */
export interface TrustedIssuer {
  readonly issuer: string;
  readonly audience: string | readonly string[];
  /** `localKeys([...])` or `remoteKeys(url)`. A key serves one algorithm; a token cannot choose another. */
  readonly keys: VerificationKeys;
  /**
   * The `typ` headers accepted, compared without regard to case and to an `application/` prefix; any other is refused.
   * @default 'at+jwt', 'JWT' or none at all. `tokenIssuer` and `hybridAuth` write 'at+jwt'.
   */
  readonly types?: readonly string[];
  /**
   * Where this issuer puts scopes, roles and the audience: a claim's name, or the path to it as an array (Keycloak's
   * roles: ['realm_access', 'roles']; the audience of Cognito's access tokens: 'client_id'). A path goes through a list
   * into each of its members.
   * @default { scopes: 'scope', audience: 'aud' }, and roles: 'roles' where the keys are ours: another issuer's 'admin' is not our admin
   */
  readonly claims?: {
    readonly scopes?: string | readonly string[];
    readonly roles?: string | readonly string[];
    readonly audience?: string;
  };
  /** A last look at verified claims, after the preset's own; only `true` accepts. */
  readonly accepts?: (claims: Claims) => boolean;
  /**
   * Takes ID tokens too, where an issuer's credential is one. They tell a client who logged in, and give access to nothing
   * (RFC 9068, section 5). @default false
   */
  readonly idTokens?: boolean;
}

/** What may be said of any issuer, on top of a preset. */
export type Reading = Pick<TrustedIssuer, 'claims' | 'accepts' | 'types' | 'idTokens'>;

/** Whether these keys are ours, as `localKeys` makes them: what they verify was signed by us. */
export function isSigningKeys(keys: unknown): keys is SigningKeys {
  const candidate = keys as Partial<SigningKeys> | null | undefined;
  return (
    typeof candidate === 'object' &&
    candidate !== null &&
    typeof candidate.find === 'function' &&
    typeof candidate.replace === 'function' &&
    typeof candidate.jwks === 'function' &&
    'current' in candidate
  );
}

/** Throws a TypeError in the factory's name unless `keys` can sign as well. */
export function checkSigningKeys(factory: string, keys: unknown): asserts keys is SigningKeys {
  if (!isSigningKeys(keys)) throw new TypeError(`${factory}: "keys" must come from localKeys([{ kid, alg, key }])`);
  if (keys.current.key.type !== 'public') return;
  throw new TypeError(
    `${factory}: the first key signs, and "${keys.current.kid}" is public only: put a private key first`,
  );
}
