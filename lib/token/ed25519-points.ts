import type { KeyObject } from 'node:crypto';

// RFC 8032, section 5.1.
const P = 2n ** 255n - 19n;
const D = 0x52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3n;

// Judging one takes a fifth of a millisecond, and each token asks.
const sound = new WeakSet<KeyObject>();

/**
 * Whether only its owner can sign for this Ed25519 key: whether it is a point of the curve, written canonically (RFC 8032,
 * section 5.1.3), and not of small order (Chalkias, Garillot and Nikolaenko, "Taming the many EdDSAs"). OpenSSL takes any
 * 32 bytes. A private key makes its own point, which is sound.
 */
export function isSoundPoint(key: KeyObject): boolean {
  if (key.type === 'private' || sound.has(key)) return true;
  const y = readY(key.export({ type: 'spki', format: 'der' }).subarray(-32));
  if (y >= P || SMALL_ORDER.has(y) || !isOnCurve(y)) return false;
  sound.add(key);
  return true;
}

// The y of the eight points whose order is 1, 2, 4 or 8, whatever their x. Under the first, one signature is good for every
// message; under the others, for every eighth at least.
const SMALL_ORDER: ReadonlySet<bigint> = new Set([
  1n,
  P - 1n,
  0n,
  readY(Buffer.from('26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05', 'hex')),
  readY(Buffer.from('c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a', 'hex')),
]);

/** Little-endian; the top bit is the sign of x (RFC 8032, section 5.1.2). */
function readY(encoded: Uint8Array): bigint {
  return BigInt.asUintN(255, BigInt(`0x${Buffer.from(encoded).reverse().toString('hex')}`));
}

/** Whether there is an x: x² = (y² - 1) / (dy² + 1), and a quotient is a square if the product is one (Euler). */
function isOnCurve(y: bigint): boolean {
  const square = (y * y) % P;
  return power((square - 1n) * (D * square + 1n), (P - 1n) / 2n) === 1n;
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  let factor = base % P;
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * factor) % P;
    factor = (factor * factor) % P;
  }
  return result;
}
