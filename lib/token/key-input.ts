import { createPrivateKey, createPublicKey, createSecretKey, type JsonWebKey, KeyObject } from 'node:crypto';
import { weakness } from '../guessable-secrets.ts';
import { readOptions } from '../options.ts';
import { ALGORITHMS, algorithmNamed, isSymmetric, misfit } from './algorithms.ts';
import type { Alg, Key, KeyInput } from './keys.ts';

/** Reads one key, in whatever form it is given. Throws a TypeError that says what to do, and never what the key is. */
export function readKey(input: KeyInput): Key {
  const { kid, alg } = readNames(input);
  const fail = (complaint: string): never => {
    throw new TypeError(`localKeys: the key "${kid}" (${alg}) ${complaint}`);
  };
  const better = `make one with: ${ALGORITHMS[alg].recipe}`;
  const key = isSymmetric(alg) ? readSecret(input, fail) : readKeyPair(input, fail);
  const complaint = misfit(alg, key) ?? (key.type === 'secret' ? weakness(key.export()) : undefined);
  if (complaint !== undefined) fail(`${complaint}; ${better}`);
  return Object.freeze({ kid, alg, key });
}

type Fail = (complaint: string) => never;

function readNames(input: KeyInput): { readonly kid: string; readonly alg: Alg } {
  const options = readOptions('localKeys', input, ['kid', 'alg', 'key', 'passphrase']);
  const { kid } = input;
  // It goes into a header, which jsonwebtoken writes as latin1.
  if (typeof kid !== 'string' || !/^[\x20-\x7e]{1,255}$/.test(kid)) {
    options.fail('every key needs a "kid", a name of its own of 1 to 255 ASCII characters');
  }
  const alg = algorithmNamed(input.alg);
  if (alg === undefined) options.fail(`the key "${kid}" needs an "alg", one of ${Object.keys(ALGORITHMS).join(', ')}`);
  if (input.key === undefined || input.key === null || input.key === '') {
    options.fail(`the key "${kid}" is empty: is its environment variable set?`);
  }
  return { kid, alg: alg as Alg };
}

function readSecret({ key, alg }: KeyInput, fail: Fail): KeyObject {
  if (key instanceof KeyObject) return key;
  if (typeof key === 'string') return createSecretKey(key, 'utf8');
  if (key instanceof Uint8Array) return createSecretKey(key);
  const { kty, k } = checkJwk(key, alg, fail);
  if (kty !== 'oct') return fail('takes a secret, not a key pair: give a JWK of kty "oct" or a random string');
  if (typeof k !== 'string' || Buffer.from(k, 'base64url').toString('base64url') !== k)
    return fail('has a "k" that is not base64url');
  return createSecretKey(k, 'base64url');
}

function readKeyPair({ key, alg, passphrase }: KeyInput, fail: Fail): KeyObject {
  if (key instanceof KeyObject) return key;
  if (typeof key === 'string') return readPem(key, passphrase, fail);
  if (key instanceof Uint8Array) return readPem(Buffer.from(key).toString('utf8'), passphrase, fail);
  const jwk = checkJwk(key, alg, fail);
  if (jwk.kty === 'oct') return fail('takes a key pair, not a secret: give a PEM, a JWK or a KeyObject');
  try {
    return 'd' in jwk ? createPrivateKey({ key: jwk, format: 'jwk' }) : createPublicKey({ key: jwk, format: 'jwk' });
  } catch {
    return fail('is a JWK that makes no key: are its members complete, and is its point on the curve?');
  }
}

function readPem(text: string, passphrase: string | undefined, fail: Fail): KeyObject {
  // Environment variables and config files wrap a PEM in blanks, or write its line breaks as two characters.
  const pem = text
    .replace(/^\ufeff/, '')
    .replaceAll('\\n', '\n')
    .trim();
  if (!/^-----BEGIN [A-Z0-9 ]+-----/m.test(pem)) {
    return fail('takes a PEM, a JWK or a KeyObject: a bare string is a secret only under HS256, HS384 and HS512');
  }
  try {
    if (!pem.includes('PRIVATE KEY-----')) return createPublicKey(pem);
    return createPrivateKey(passphrase === undefined ? pem : { key: pem, passphrase });
  } catch {
    const locked = pem.includes('ENCRYPTED');
    return fail(locked ? 'is encrypted, and this "passphrase" does not open it' : 'is a PEM that cannot be read');
  }
}

// RFC 7517, sections 4.2 to 4.4: what a JWK says of its own use holds here too.
function checkJwk(key: object, alg: string, fail: Fail): JsonWebKey {
  const jwk = key as JsonWebKey;
  if (typeof jwk.kty !== 'string') return fail('takes a PEM, a JWK (with "kty") or a KeyObject');
  if (jwk.alg !== undefined && algorithmNamed(jwk.alg) !== alg) return fail(`is a JWK for another "alg"`);
  if (jwk.use !== undefined && jwk.use !== 'sig') return fail('is a JWK whose "use" is not "sig"');
  const operations: unknown = jwk.key_ops;
  if (operations === undefined) return jwk;
  const needed = jwk.kty === 'oct' || 'd' in jwk ? ['sign', 'verify'] : ['verify'];
  const permitted = Array.isArray(operations) && needed.some((operation) => operations.includes(operation));
  return permitted ? jwk : fail('is a JWK whose "key_ops" permit neither to sign nor to verify');
}
