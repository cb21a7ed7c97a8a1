import { createPublicKey, type KeyObject, sign as signRaw, verify as verifyRaw } from 'node:crypto';
import jsonwebtoken from 'jsonwebtoken';
import type { Claims } from '../auth.ts';
import { InvalidToken } from '../errors.ts';
import { ALGORITHMS, misfit } from './algorithms.ts';
import type { Key } from './keys.ts';
import { parseObject } from './strict-json.ts';

const LONGEST_TOKEN = 8_192;
const LONGEST_KID = 255;

/** A token taken apart, and nothing of it proved yet. */
export interface Jws {
  readonly token: string;
  /** Header and payload as they were signed: the part that names a token, for a signature can have two spellings. */
  readonly signedPart: string;
  readonly header: { readonly alg: string; readonly kid?: string; readonly typ?: string };
  readonly payload: Claims;
  readonly signature: Uint8Array;
}

/** Takes a token apart by the letter of RFC 7515, sections 5.2 and 7.1. Throws `InvalidToken`. */
export function parseJws(token: string): Jws {
  if (typeof token !== 'string' || token.length > LONGEST_TOKEN) throw new InvalidToken('malformed', 'too long');
  const [header, payload, signature, more] = token.split('.', 4);
  if (header === undefined || payload === undefined || !signature || more !== undefined) {
    throw new InvalidToken('malformed', 'not three segments');
  }
  return {
    token,
    signedPart: `${header}.${payload}`,
    header: readHeader(parseObject(decodeBase64url(header))),
    payload: parseObject(decodeBase64url(payload)),
    signature: decodeBase64url(signature),
  };
}

/** Throws `InvalidToken` unless this key made the signature, under the key's algorithm. */
export function checkSignature(jws: Jws, { alg, key }: Key): void {
  if (misfit(alg, key) !== undefined) throw new InvalidToken('unknown_key', 'the key does not fit its algorithm');
  const { signatureSize } = ALGORITHMS[alg];
  if (signatureSize !== undefined && jws.signature.length !== signatureSize) {
    throw new InvalidToken('bad_signature', 'of the wrong length');
  }
  const verifying = key.type === 'private' ? createPublicKey(key) : key;
  const good = alg === 'EdDSA' ? verifiesEdDSA(jws, verifying) : verifiesByLibrary(jws, alg, verifying);
  if (!good) throw new InvalidToken('bad_signature');
}

/** Signs claims as an access token (RFC 9068, section 2.1). Throws a TypeError for a key that cannot sign. */
export function signJws(claims: Claims, { kid, alg, key }: Key): string {
  if (key.type === 'public') throw new TypeError(`the key "${kid}" is public only: to sign, put a private key first`);
  const header = { alg, typ: 'at+jwt', kid };
  if (alg !== 'EdDSA') return jsonwebtoken.sign(claims, key, { algorithm: alg, header });
  const signedPart = `${encodeJson(header)}.${encodeJson(claims)}`;
  return `${signedPart}.${signRaw(null, Buffer.from(signedPart), key).toString('base64url')}`;
}

function readHeader(header: Claims): Jws['header'] {
  const { alg, kid, typ } = header;
  // What a critical extension means we do not know (RFC 7515, 4.1.11; RFC 7797, 7), and nothing is inflated (RFC 8725, 3.6).
  if ('crit' in header || 'b64' in header || 'zip' in header)
    throw new InvalidToken('malformed', 'an extension is used');
  if (typeof alg !== 'string') throw new InvalidToken('malformed', 'no algorithm');
  if (typ !== undefined && typeof typ !== 'string') throw new InvalidToken('malformed', 'typ is no string');
  if (kid === undefined) return { alg, ...(typ === undefined ? {} : { typ }) };
  if (typeof kid !== 'string' || kid.length > LONGEST_KID)
    throw new InvalidToken('malformed', 'kid is no short string');
  return { alg, kid, ...(typ === undefined ? {} : { typ }) };
}

/** RFC 7515, section 2: no padding, no blanks, and one spelling only (RFC 4648, section 3.5). */
function decodeBase64url(text: string): Uint8Array {
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.toString('base64url') !== text) throw new InvalidToken('malformed', 'not base64url');
  return bytes;
}

function encodeJson(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

// jsonwebtoken has no EdDSA.
function verifiesEdDSA({ signedPart, signature }: Jws, key: KeyObject): boolean {
  return verifyRaw(null, Buffer.from(signedPart), key, signature);
}

// It only proves the signature here: its claims policy takes an endless `exp`, and cannot be had for EdDSA.
function verifiesByLibrary({ token }: Jws, alg: Exclude<Key['alg'], 'EdDSA'>, key: KeyObject): boolean {
  try {
    jsonwebtoken.verify(token, key, { algorithms: [alg], ignoreExpiration: true, ignoreNotBefore: true });
    return true;
  } catch {
    return false;
  }
}
