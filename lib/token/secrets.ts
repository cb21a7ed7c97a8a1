import { createPrivateKey, createPublicKey } from 'node:crypto';

// What tutorials, debuggers and sample files show; the shorter ones only ever come repeated.
const FAMOUS = new Set([
  'secret',
  'shhhhh',
  'secretkey',
  'jwtsecret',
  'jwt-secret',
  'your-secret',
  'your-secret-key',
  'your-jwt-secret',
  'supersecret',
  'super-secret',
  'mysecretkey',
  'my-secret-key',
  'keyboard cat',
  'password',
  'changeme',
  'change-me',
  'your-256-bit-secret',
  'your-384-bit-secret',
  'your-512-bit-secret',
  'your-super-secret-jwt-token-with-at-least-32-characters-long',
  'super-secret-jwt-token-with-at-least-32-characters-long',
  'a-string-secret-at-least-256-bits-long',
  'a-valid-string-secret-that-is-at-least-384-bits-long',
  'a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long',
  'abcdefghijklmnopqrstuvwxyz123456',
  'abcdefghijklmnopqrstuvwxyz012345',
  '0123456789abcdef',
]);

const SHORTEST_PERIOD = 11;

/** Why anybody could guess this secret, however long it is, as the end of a sentence; undefined if nothing speaks against it. */
export function weakness(secret: Uint8Array): string | undefined {
  if (isKeyText(secret)) {
    return 'is given a key, not a secret: whoever has a public key could sign with it. Under an HS algorithm give random bytes';
  }
  const text = Buffer.from(secret).toString('latin1').trim().toLowerCase();
  const unit = text.slice(0, period(text));
  if (FAMOUS.has(unit)) return 'is given a secret that everybody knows from examples';
  const steady = secret.every(
    (byte, index) => index < 2 || byte - at(secret, index - 1) === at(secret, 1) - at(secret, 0),
  );
  return unit.length < SHORTEST_PERIOD || steady ? 'is given a secret that only repeats itself' : undefined;
}

/** How many characters a text takes before it repeats. */
function period(text: string): number {
  let length = 1;
  while (length < text.length && !text.startsWith(text.slice(length))) length++;
  return length;
}

function at(bytes: Uint8Array, index: number): number {
  return bytes[index] ?? 0;
}

// A public key taken for a secret lets anyone sign (CVE-2016-10555; CVE-2026-34950: leading blanks were enough).
function isKeyText(secret: Uint8Array): boolean {
  const bytes = Buffer.from(secret);
  const decoded = Buffer.from(bytes.toString('latin1').replace(/\s|\\n/g, ''), 'base64');
  return [bytes, decoded].some((form) => looksLikeKey(form.toString('latin1').replaceAll('\0', '')) || isDer(form));
}

function looksLikeKey(text: string): boolean {
  return /-{4,5}\s*BEGIN/i.test(text) || /"kty"\s*:/.test(text) || /^\W*(ssh-|ecdsa-sha2-)/.test(text);
}

function isDer(key: Buffer): boolean {
  return [
    () => createPublicKey({ key, format: 'der', type: 'spki' }),
    () => createPublicKey({ key, format: 'der', type: 'pkcs1' }),
    () => createPrivateKey({ key, format: 'der', type: 'pkcs8' }),
    () => createPrivateKey({ key, format: 'der', type: 'pkcs1' }),
    () => createPrivateKey({ key, format: 'der', type: 'sec1' }),
  ].some(succeeds);
}

function succeeds(attempt: () => unknown): boolean {
  try {
    attempt();
    return true;
  } catch {
    return false;
  }
}
