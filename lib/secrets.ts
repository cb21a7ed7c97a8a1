import { createHash, hkdfSync } from 'node:crypto';
import { weakness } from './guessable-secrets.ts';

// 256 bits, as many as the HMAC under it gives out (RFC 2104, 3).
const LEAST_BYTES = 32;

const RECIPE = `make one with: node -e "console.log(require('crypto').randomBytes(32).toString('base64url'))"`;

/**
 * The secrets of a mode, the signing one first. Throws a TypeError in the factory's name unless each is a string of at
 * least 32 bytes that nobody can guess and no key, and none is listed twice.
 */
export function settleSecrets(factory: string, secret: string | readonly string[]): readonly string[] {
  const secrets: readonly unknown[] = Array.isArray(secret) ? [...secret] : [secret];
  const fail = (complaint: string): never => {
    throw new TypeError(`${factory}: "secret" ${complaint}; ${RECIPE}`);
  };
  if (secrets.length === 0) fail('must list at least one secret');
  for (const each of secrets) {
    if (typeof each !== 'string') fail('must be given, as a string or a list of strings');
    if (Buffer.byteLength(each as string) < LEAST_BYTES) fail(`must be at least ${LEAST_BYTES} bytes long`);
    const complaint = weakness(Buffer.from(each as string));
    if (complaint !== undefined) fail(complaint);
  }
  if (new Set(secrets).size < secrets.length) fail('lists the same secret twice');
  return Object.freeze(secrets as string[]);
}

/** A key of 32 bytes for one purpose: HKDF-SHA256 (RFC 5869). Another purpose or context gives an unrelated key. */
export function purposeKey(secret: string, purpose: string, ...context: string[]): Buffer {
  // JSON, so that no two lists read alike; hashed, for HKDF takes no more than 1024 bytes here.
  const info = createHash('sha256')
    .update(JSON.stringify([purpose, ...context]))
    .digest();
  return Buffer.from(hkdfSync('sha256', secret, '', info, 32));
}
