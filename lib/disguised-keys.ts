import { createPrivateKey, createPublicKey, ECDH } from 'node:crypto';

/**
 * What key these bytes are, of whatever half: as text (PEM, JWK, SSH, XML), as DER (a certificate too), as a bare point of
 * a curve or as the modulus of an RSA key, and in whatever spelling configuration leaves them. A public key taken for a
 * secret lets anyone sign (CVE-2016-10555).
 */
export function disguisedKey(secret: Buffer): 'key' | 'modulus' | undefined {
  const readings = readingsOf(secret, MOST_LAYERS);
  if (readings.some(isKey)) return 'key';
  return readings.some(isModulus) ? 'modulus' : undefined;
}

/** The bytes whose hex or base64 a text is; of what is neither, some bytes all the same. */
export function decode(text: string): Buffer {
  // `0x30, 0x82`, `30:82`, and what `openssl rsa -modulus` prints.
  const digits = text.replace(/^modulus=|0?x|[^0-9a-z]/gi, '');
  return /^[0-9a-f]+$/i.test(digits) ? Buffer.from(digits, 'hex') : Buffer.from(text, 'base64');
}

/** The text that bytes are, in lines or not, without what configuration files, shells and URLs put into it. */
export function plainText(bytes: Buffer): string {
  return bytes
    .toString('latin1')
    .replaceAll('\0', '')
    .replace(/%([0-9a-f]{2})/gi, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)))
    .replace(/\\[nr]/g, '\n')
    .replaceAll('\\', '');
}

const MOST_LAYERS = 3;
const SHORTEST_KEY = 16;

/** These bytes, and what their text is the hex or base64 of, layer by layer; with a label in front of it or not. */
function readingsOf(bytes: Buffer, layers: number): readonly Buffer[] {
  if (bytes.length < SHORTEST_KEY) return [];
  if (layers === 0) return trimmingsOf(bytes);
  const text = plainText(bytes).replace(/\s/g, '');
  const bodies = new Set([text, longest(text.match(/[\w+/-]+/g)), longest(text.match(/[0-9a-f]+/gi))]);
  return [...trimmingsOf(bytes), ...[...bodies].flatMap((body) => readingsOf(decode(body), layers - 1))];
}

/** With all, some and none of the blanks in front, and the line break at the end: a key can begin and end with such bytes. */
function trimmingsOf(bytes: Buffer): readonly Buffer[] {
  const [blanks] = /^[ \t\r\n]{0,8}/.exec(bytes.toString('latin1')) as RegExpExecArray;
  const end = bytes.at(-1) === 0x0a ? -1 : bytes.length;
  const starts = Array.from({ length: (blanks as string).length + 1 }, (_, start) => start);
  return starts.flatMap((start) => [bytes.subarray(start), bytes.subarray(start, end)]);
}

function longest(texts: readonly string[] | null): string {
  return (texts ?? []).reduce((best, text) => (text.length > best.length ? text : best), '');
}

function isKey(bytes: Buffer): boolean {
  return looksLikeKey(plainText(bytes)) || isDer(bytes) || isPoint(bytes);
}

// Of 2048, 3072, 4096 or 8192 bits. Of random bytes of just these lengths one in 27 could be one: none else has its top bit
// set, and no factor below 2000.
function isModulus(bytes: Buffer): boolean {
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

function looksLikeKey(text: string): boolean {
  return KEY_TEXTS.some((pattern) => pattern.test(text));
}

const KEY_TEXTS: readonly RegExp[] = [
  // Wherever a PEM begins: leading blanks were enough in CVE-2026-34950.
  /-{4,5}\s*BEGIN/i,
  /BEGIN [A-Z0-9 ]*(KEY|CERTIFICATE)/,
  /["'](kty|x5c)["']\s*:/,
  /\bkty\W{1,9}(RSA|EC|OKP|oct)\b/,
  /["']n["']\s*:.*["']e["']\s*:|["']e["']\s*:.*["']n["']\s*:/s,
  /<Modulus>/i,
  // As a line, or as the bytes in it, where the next length follows.
  /^\W*(sk-)?(ssh-(rsa|dss|ed25519)|ecdsa-sha2-nistp\d+)([^\x21-\x7e]|@openssh\.com)/,
];

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

// Both coordinates, behind a 4, or a 6 or 7 (RFC 5480, section 2.2; SEC 1, section 2.3.4), or alone. Half of all 33 bytes
// that begin as a compressed point are one.
function isPoint(bytes: Buffer): boolean {
  const point = COORDINATES_BYTES.includes(bytes.length) ? Buffer.concat([Buffer.of(4), bytes]) : bytes;
  return [4, 6, 7].includes(point[0] ?? 0) && CURVES.some((curve) => succeeds(() => ECDH.convertKey(point, curve)));
}

const COORDINATES_BYTES: readonly number[] = [64, 96, 132];
const CURVES: readonly string[] = ['prime256v1', 'secp384r1', 'secp521r1', 'secp256k1'];

function succeeds(attempt: () => unknown): boolean {
  try {
    attempt();
    return true;
  } catch {
    return false;
  }
}
