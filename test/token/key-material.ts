import { createSecretKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { ALGORITHMS } from '../../lib/token/algorithms.ts';
import type { Alg } from '../../lib/token/keys.ts';

export const ALGS = Object.keys(ALGORITHMS) as readonly Alg[];

// One RSA key serves all tests of a file: making one takes longer than all else.
let rsa: KeyObject | undefined;

/** A private key, or a secret, that suits the algorithm. */
export function keyFor(alg: Alg): KeyObject {
  const { keyType, curve, leastSize } = ALGORITHMS[alg];
  if (keyType === 'secret') return createSecretKey(randomBytes(leastSize as number));
  if (keyType === 'ec') return generateKeyPairSync('ec', { namedCurve: curve as string }).privateKey;
  if (keyType === 'ed25519') return generateKeyPairSync('ed25519').privateKey;
  rsa ??= rsaKey(2048);
  return rsa;
}

export function rsaKey(modulusLength: number, publicExponent = 65_537): KeyObject {
  return generateKeyPairSync('rsa', { modulusLength, publicExponent }).privateKey;
}

export function pem(key: KeyObject): string {
  return key.export({ type: key.type === 'private' ? 'pkcs8' : 'spki', format: 'pem' }) as string;
}
