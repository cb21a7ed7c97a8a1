import { createHash, createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { algorithmNamed, isSymmetric, misfit } from './algorithms.ts';
import type { Alg, Key, VerificationKeys } from './keys.ts';

/** What a token asks for. */
export type KeyAsked = Parameters<VerificationKeys['find']>[0];

/** The keys that an issuer publishes, as far as they may be used. */
export interface KeySet {
  find(asked: KeyAsked): Key | undefined;
  /** Whether a newer edition of the set could hold what is asked for: then it is worth fetching. */
  mayLack(asked: KeyAsked): boolean;
  /** Whether it holds a key that `other` does not. */
  addsTo(other: KeySet | undefined): boolean;
  readonly keys: readonly Key[];
}

/**
 * Reads a JWK Set (RFC 7517, section 5). Skipped are keys that are not understood or may not be used here: another type,
 * curve, use or operation, an algorithm that is not one of `algorithms`, weak ones, secrets, and private ones, which the
 * whole world knows. A key without `alg` serves the first of `algorithms` that fits it. A key that `before` holds as well
 * stays the same object. An issuer may publish no key, and so withdraw all it had; throws where there are some, and none is
 * left.
 */
export function readKeySet(document: unknown, algorithms: readonly Alg[], before?: KeySet): KeySet {
  const jwks = (document as { keys?: unknown } | null)?.keys;
  if (!Array.isArray(jwks)) throw new Error('what was fetched is not a JWK Set');
  const known = new Map(before?.keys.map((key) => [nameOf(key), key]));
  const keys = jwks.flatMap((jwk) => {
    const key = readJwk(jwk, algorithms);
    return key === undefined ? [] : [known.get(nameOf(key)) ?? key];
  });
  if (keys.length === 0 && jwks.length > 0)
    throw new Error(`the JWK Set holds no key that can be used for ${algorithms.join(', ')}`);
  return keySet(keys);
}

function keySet(keys: readonly Key[]): KeySet {
  const byKid = new Map<string, Key[]>();
  for (const key of keys) byKid.set(key.kid, [...(byKid.get(key.kid) ?? []), key]);

  return {
    keys,
    find({ alg: name, kid }) {
      const alg = algorithmNamed(name);
      if (kid !== undefined) return byKid.get(kid)?.find((key) => key.alg === alg);
      const fitting = keys.filter((key) => key.alg === alg);
      return fitting.length === 1 ? fitting[0] : undefined;
    },
    mayLack({ alg: name, kid }) {
      const alg = algorithmNamed(name);
      return kid === undefined ? keys.every((key) => key.alg !== alg) : !byKid.has(kid);
    },
    addsTo: (other) => keys.some((key) => other?.keys.includes(key) !== true),
  };
}

function readJwk(jwk: unknown, algorithms: readonly Alg[]): Key | undefined {
  if (typeof jwk !== 'object' || jwk === null) return undefined;
  const { kid, use, key_ops: operations, alg } = jwk as Record<string, unknown>;
  if (kid !== undefined && (typeof kid !== 'string' || kid === '' || kid.length > 255)) return undefined;
  // RFC 7517, sections 4.2 and 4.3.
  if (use !== undefined && use !== 'sig') return undefined;
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) return undefined;
  const key = publicKey(jwk as JsonWebKey);
  if (key === undefined) return undefined;
  const candidates = alg === undefined ? algorithms : algorithms.filter((each) => each === algorithmNamed(alg));
  const fitting = candidates.find((each) => !isSymmetric(each) && misfit(each, key) === undefined);
  return fitting && Object.freeze({ kid: kid ?? thumbprint(key), alg: fitting, key });
}

function publicKey(jwk: JsonWebKey): KeyObject | undefined {
  const { kty, n, e, crv, x, y, d } = jwk;
  if (kty === 'oct' || d !== undefined) return undefined;
  const members = Object.entries({ kty, n, e, crv, x, y }).filter(([, member]) => member !== undefined);
  try {
    return createPublicKey({ key: Object.fromEntries(members) as JsonWebKey, format: 'jwk' });
  } catch {
    return undefined;
  }
}

/** What makes it the same key: a new one under an old name is another. */
function nameOf({ kid, alg, key }: Key): string {
  return JSON.stringify([kid, alg, thumbprint(key)]);
}

/** RFC 7638, section 3. */
function thumbprint(key: KeyObject): string {
  const { crv, e, kty, n, x, y } = key.export({ format: 'jwk' });
  return createHash('sha256').update(JSON.stringify({ crv, e, kty, n, x, y })).digest('base64url');
}
