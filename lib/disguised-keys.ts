import { createPrivateKey, createPublicKey, ECDH } from 'node:crypto';

/**
 * Whether these bytes are a key, of whatever half: as text (PEM, JWK, SSH, XML), as DER (a certificate too), or as a bare
 * point of a curve. A public key taken for a secret lets anyone sign (CVE-2016-10555).
 */
export function isKey(bytes: Buffer): boolean {
  return looksLikeKey(bytes.toString('latin1').replaceAll('\0', '')) || isDer(bytes) || isPoint(bytes);
}

/**
 * Whether these bytes could be the modulus of an RSA key of 2048, 3072, 4096 or 8192 bits. Of random bytes of just these
 * lengths one in 27 could: none else has its top bit set, and no factor below 2000.
 */
export function isModulus(bytes: Buffer): boolean {
  // As a DER integer it has a zero in front.
  const digits = bytes[0] === 0 ? bytes.subarray(1) : bytes;
  if (!MODULUS_BYTES.includes(digits.length) || (digits[0] ?? 0) < 0x80) return false;
  return !hasSmallFactor(BigInt(`0x${digits.toString('hex')}`));
}

const MODULUS_BYTES: readonly number[] = [256, 384, 512, 1024];

function hasSmallFactor(number: bigint): boolean {
  if (number % 2n === 0n) return true;
  for (let factor = 3n; factor < 2_000n; factor += 2n) {
    if (number % factor === 0n) return true;
  }
  return false;
}

// Wherever a PEM begins: leading blanks were enough in CVE-2026-34950.
function looksLikeKey(text: string): boolean {
  return (
    /-{4,5}\s*BEGIN/i.test(text) ||
    /"(kty|n|x5c)"\s*:/.test(text) ||
    /<Modulus>/i.test(text) ||
    /^\W*(sk-)?(ssh-|ecdsa-sha2-)/.test(text)
  );
}

function isDer(key: Buffer): boolean {
  if (key[0] !== SEQUENCE) return false;
  return (
    isLongSequence(key) ||
    [
      () => createPublicKey({ key, format: 'der', type: 'spki' }),
      () => createPublicKey({ key, format: 'der', type: 'pkcs1' }),
      () => createPrivateKey({ key, format: 'der', type: 'pkcs8' }),
      () => createPrivateKey({ key, format: 'der', type: 'pkcs1' }),
      () => createPrivateKey({ key, format: 'der', type: 'sec1' }),
    ].some(succeeds)
  );
}

const INTEGER = 0x02;
const OBJECT_IDENTIFIER = 0x06;
const SEQUENCE = 0x30;

// A sequence of 128 bytes or more (X.690, section 8.1.3.5) that begins as certificates, requests and locked keys do: of
// random bytes one in ten million.
function isLongSequence(bytes: Buffer): boolean {
  const [, form, high = 0, low = 0] = bytes;
  const [start, length] = form === 0x81 ? [3, high] : form === 0x82 ? [4, high * 256 + low] : [0, 0];
  const first = bytes[start] ?? 0;
  const begins = first === SEQUENCE || first === INTEGER || first === OBJECT_IDENTIFIER;
  return length >= 128 && start + length <= bytes.length && begins;
}

// Uncompressed: 4, and both coordinates (RFC 5480, section 2.2). Half of all 33 bytes that begin as a compressed one are one.
function isPoint(bytes: Buffer): boolean {
  return bytes[0] === 4 && CURVES.some((curve) => succeeds(() => ECDH.convertKey(bytes, curve)));
}

const CURVES: readonly string[] = ['prime256v1', 'secp384r1', 'secp521r1', 'secp256k1'];

function succeeds(attempt: () => unknown): boolean {
  try {
    attempt();
    return true;
  } catch {
    return false;
  }
}
