import { mintUnrevoked } from './access-tokens.ts';
import type { Identity } from './auth.ts';
import { type AuthStore, partsOf } from './login/auth-store.ts';
import { type Duration, readOptions } from './options.ts';
import { checkIdentity } from './token/identity.ts';
import { mint } from './token/issuer.ts';
import { checkSigningKeys, type SigningKeys } from './token/keys.ts';

export interface TokenIssuerOptions {
  readonly keys: SigningKeys;
  readonly issuer: string;
  readonly audience: string;
  readonly lifetime: Duration;
  /** Lets a token issued just after `revokeSubject` be told from one issued just before: it is stamped with Redis' clock. */
  readonly store?: AuthStore;
}

/**
 * Issues access tokens outside a login: for a service, a job, a downstream call, a test. What it returns throws a TypeError
 * for an identity that cannot stand in a token, and an Error once the signing key was revoked.
 */
export function tokenIssuer(options: TokenIssuerOptions): (identity: Identity) => string {
  const reader = readOptions('tokenIssuer', options, ['keys', 'issuer', 'audience', 'lifetime', 'store']);
  checkSigningKeys('tokenIssuer', options.keys);
  const { keys, store } = options;
  if (options.lifetime === undefined) reader.fail(`"lifetime" must be given, such as '5m'`);
  const lifetime = reader.duration('lifetime', '5m');
  const minting = { keys, issuer: reader.text('issuer'), audience: reader.text('audience'), lifetime };
  const parts = store === undefined ? undefined : partsOf('tokenIssuer', store);
  parts?.replica.expectLifetime(lifetime);
  return function issueToken(identity) {
    checkIdentity('tokenIssuer', identity);
    if (parts === undefined) return mint(minting, identity).token;
    return mintUnrevoked('tokenIssuer', minting, parts, identity).token;
  };
}
