import { KeyObject } from 'node:crypto';
import { AuthError, InvalidToken, StoreUnavailable } from '../errors.ts';
import { after, type Eventually, isPromise } from '../eventually.ts';
import { algorithmNamed } from './algorithms.ts';
import { type ClaimsPolicy, checkAccepted, claimsPolicy, isExpired, type TimeLimits } from './claims.ts';
import { checkSignature, type Jws, parseJws } from './jws.ts';
import type { Alg, Key, TrustedIssuer } from './keys.ts';
import { recentTokens } from './recent-tokens.ts';
import { type VerifiedToken, verifiedToken } from './verified-token.ts';

export type { VerifiedToken } from './verified-token.ts';

/** Judges tokens. What it gives for one token is the same object until its key is replaced, so facts can be kept by it. */
export interface TokenVerifier {
  /** Throws (or rejects with) `InvalidToken`. Sync when the keys are found synchronously, else a promise of this realm. */
  verify(token: string): Eventually<VerifiedToken>;
  /** The same, but a token that is merely expired is taken: for logout. */
  verifyExpired(token: string): Eventually<VerifiedToken>;
}

interface Issuer {
  readonly trusted: TrustedIssuer;
  readonly policy: ClaimsPolicy;
}

interface Verdict {
  readonly issuer: Issuer;
  readonly asked: { readonly alg: Alg; readonly kid?: string };
  readonly key: Key;
  readonly verified: VerifiedToken;
}

/** Believes these issuers, each by its own keys only. Throws a TypeError where two have one name. */
export function tokenVerifier(settings: { readonly issuers: readonly TrustedIssuer[] } & TimeLimits): TokenVerifier {
  const issuers = issuersByName(settings);
  const recent = recentTokens<Verdict>();

  function recognise(token: string): Eventually<VerifiedToken> {
    const verdict = recent.get(token);
    if (verdict === undefined) return examine(token);
    return after(findKey(verdict.issuer, verdict.asked), (key) => {
      if (key !== verdict.key) {
        recent.delete(token);
        return examine(token);
      }
      checkAccepted(verdict.issuer.trusted, verdict.verified.claims);
      return verdict.verified;
    });
  }

  function examine(token: string): Eventually<VerifiedToken> {
    const jws = parseJws(token);
    const issuer = issuers.get(jws.payload.iss);
    if (issuer === undefined) throw new InvalidToken('bad_claim', 'iss');
    const asked = keyAsked(jws);
    return after(findKey(issuer, asked), (key) => {
      checkKey(key, asked.alg);
      const verified = judge(jws, issuer, key);
      if (!isExpired(verified.expiresAt, settings)) recent.set(token, { issuer, asked, key, verified });
      return verified;
    });
  }

  function refuseExpired(token: string, verified: VerifiedToken): VerifiedToken {
    if (!isExpired(verified.expiresAt, settings)) return verified;
    recent.delete(token);
    throw new InvalidToken('expired');
  }

  return {
    verify: (token) => after(recognise(token), (verified) => refuseExpired(token, verified)),
    verifyExpired: recognise,
  };
}

// The unverified `iss` only picks from this Map: nothing else is done by a claim before its signature is proved.
function issuersByName(
  settings: { readonly issuers: readonly TrustedIssuer[] } & TimeLimits,
): ReadonlyMap<unknown, Issuer> {
  const issuers = new Map<unknown, Issuer>();
  for (const trusted of settings.issuers) {
    if (issuers.has(trusted.issuer)) throw new TypeError(`the issuer "${trusted.issuer}" is given twice: give it once`);
    issuers.set(trusted.issuer, { trusted, policy: claimsPolicy(trusted, settings) });
  }
  return issuers;
}

function keyAsked({ header }: Jws): Verdict['asked'] {
  const alg = algorithmNamed(header.alg);
  if (alg === undefined) throw new InvalidToken('unknown_key', 'no such algorithm');
  return header.kid === undefined ? { alg } : { alg, kid: header.kid };
}

// What a developer's own `find` gives can be anything. Keys that cannot be had now are no reason to throw a good token away.
function findKey({ trusted }: Issuer, asked: Verdict['asked']): unknown {
  try {
    const found: unknown = trusted.keys.find(asked);
    return isPromise(found) ? settle(found) : found;
  } catch (error) {
    return unavailable(error);
  }
}

// What a stranger's `then` gives need not be a promise: from here on it is one, and of this realm.
async function settle(found: PromiseLike<unknown>): Promise<unknown> {
  try {
    return await found;
  } catch (error) {
    return unavailable(error);
  }
}

function unavailable(error: unknown): never {
  throw error instanceof AuthError ? error : new StoreUnavailable(error, 'the issuer of this token');
}

function checkKey(found: unknown, alg: Alg): asserts found is Key {
  if (found === undefined || found === null) throw new InvalidToken('unknown_key');
  const { kid, key, alg: served } = found as { readonly [Member in keyof Key]?: unknown };
  if (typeof kid !== 'string' || !(key instanceof KeyObject)) {
    throw new InvalidToken('unknown_key', 'what "find" gave is no key, { kid, alg, key }');
  }
  if (served !== alg) throw new InvalidToken('unknown_key', 'the key serves another algorithm');
}

function judge(jws: Jws, { trusted, policy }: Issuer, key: Key): VerifiedToken {
  checkSignature(jws, key);
  policy(jws);
  return verifiedToken(jws, key.kid, trusted);
}
