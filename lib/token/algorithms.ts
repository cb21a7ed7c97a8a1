import type { KeyObject } from 'node:crypto';
import { isSoundPoint } from './ed25519-points.ts';
import type { Alg } from './keys.ts';

interface Algorithm {
  readonly keyType: 'secret' | 'rsa' | 'ec' | 'ed25519';
  /** Bytes of a secret, bits of an RSA modulus. */
  readonly leastSize?: number;
  /** As OpenSSL names it. */
  readonly curve?: string;
  /** Bytes, where every key gives as many (RFC 7518, 3.4: ECDSA is r and s, raw and of full length). */
  readonly signatureSize?: number;
  /** How to make a key for it. */
  readonly recipe: string;
}

const secret = (size: number) =>
  ({ keyType: 'secret', leastSize: size, signatureSize: size, recipe: `openssl rand -base64 ${size}` }) as const;

const rsa = {
  keyType: 'rsa',
  leastSize: 2048,
  recipe: 'openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072',
} as const;

const ec = (curve: string, signatureSize: number, name: string) =>
  ({
    keyType: 'ec',
    curve,
    signatureSize,
    recipe: `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:${name}`,
  }) as const;

/**
 * All there is to know of each algorithm; nothing else in the suite lists them. Least sizes: RFC 7518, sections 3.2
 * (a secret as long as its hash), 3.3 and 3.5 (RSA of 2048 bits).
 */
export const ALGORITHMS: Readonly<Record<Alg, Algorithm>> = {
  HS256: secret(32),
  HS384: secret(48),
  HS512: secret(64),
  RS256: rsa,
  RS384: rsa,
  RS512: rsa,
  PS256: rsa,
  PS384: rsa,
  PS512: rsa,
  ES256: ec('prime256v1', 64, 'P-256'),
  ES384: ec('secp384r1', 96, 'P-384'),
  ES512: ec('secp521r1', 132, 'P-521'),
  EdDSA: { keyType: 'ed25519', signatureSize: 64, recipe: 'openssl genpkey -algorithm ED25519' },
};

/** The algorithm of this name, to the letter. `Ed25519` is what RFC 9864 calls the one kind of EdDSA known here. */
export function algorithmNamed(name: unknown): Alg | undefined {
  if (name === 'Ed25519') return 'EdDSA';
  return typeof name === 'string' && Object.hasOwn(ALGORITHMS, name) ? (name as Alg) : undefined;
}

/** Whether one secret both signs and verifies. */
export function isSymmetric(alg: Alg): boolean {
  return ALGORITHMS[alg].keyType === 'secret';
}

/** What is wrong with this key under this algorithm, as the end of a sentence; undefined if it fits. */
export function misfit(alg: Alg, key: KeyObject): string | undefined {
  const { keyType, leastSize = 0, curve } = ALGORITHMS[alg];
  const actual = key.type === 'secret' ? 'secret' : key.asymmetricKeyType;
  if (actual !== keyType) return `takes a key of type ${keyType}, not ${actual}`;
  if (key.type === 'secret') {
    return (key.symmetricKeySize ?? 0) < leastSize ? `needs a secret of at least ${leastSize} bytes` : undefined;
  }
  const details = key.asymmetricKeyDetails ?? {};
  if (curve !== undefined && details.namedCurve !== curve) return `takes a key on the curve ${curve}`;
  if (keyType === 'ed25519' && !isSoundPoint(key))
    return 'needs a key that is a sound point: under this one others can sign';
  if (keyType !== 'rsa') return undefined;
  if ((details.modulusLength ?? 0) < leastSize) return `needs an RSA key of at least ${leastSize} bits`;
  const exponent = details.publicExponent ?? 0n;
  return exponent < 3n || exponent % 2n === 0n ? 'needs an RSA key with an odd exponent of at least 3' : undefined;
}
