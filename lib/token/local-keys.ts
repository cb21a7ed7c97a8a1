import { createPublicKey } from 'node:crypto';
import { ALGORITHMS, algorithmNamed, isSymmetric } from './algorithms.ts';
import { checkSignature, parseJws, signJws } from './jws.ts';
import { readKey } from './key-input.ts';
import type { Alg, Key, KeyInput, SigningKeys } from './keys.ts';

/**
 * Keys held here. The first signs and all verify: rotate by putting the new one first. Weak keys are refused here, with a
 * TypeError. Public keys alone will do where nothing is signed.
 */
export function localKeys(keys: readonly KeyInput[]): SigningKeys {
  let set = keySet(keys);
  return {
    get current() {
      return set.current;
    },
    find: (header) => set.find(header),
    replace(others) {
      set = keySet(others);
    },
    jwks: () => set.jwks,
  };
}

interface KeySet {
  readonly current: Key;
  readonly jwks: ReturnType<SigningKeys['jwks']>;
  find(header: { readonly alg: string; readonly kid?: string }): Key | undefined;
}

function keySet(inputs: readonly KeyInput[]): KeySet {
  if (!Array.isArray(inputs) || inputs.length === 0) {
    throw new TypeError('localKeys: takes a list of keys: localKeys([{ kid, alg, key }])');
  }
  const keys = inputs.map(readKey);
  const verifying = keys.map(publicHalf);
  checkTogether(keys);
  checkHalves(keys, verifying);
  const byKid = new Map(verifying.map((key) => [key.kid, key]));
  const onlyOne = onlyOfTheirAlgorithm(verifying);
  return {
    current: keys[0] as Key,
    jwks: Object.freeze({ keys: Object.freeze(verifying.filter(({ alg }) => !isSymmetric(alg)).map(publicJwk)) }),
    find({ alg: name, kid }) {
      const alg = algorithmNamed(name);
      if (alg === undefined) return undefined;
      const key = kid === undefined ? onlyOne.get(alg) : byKid.get(kid);
      return key?.alg === alg ? key : undefined;
    },
  };
}

function publicHalf(key: Key): Key {
  return key.key.type === 'private' ? Object.freeze({ ...key, key: createPublicKey(key.key) }) : key;
}

// RFC 7517, section 4.5. And a secret beside a public key is one mistake away from being the same bytes (RFC 8725, 3.1).
function checkTogether(keys: readonly Key[]): void {
  const kids = new Set<string>();
  for (const { kid } of keys) {
    if (kids.has(kid)) throw new TypeError(`localKeys: two keys are named "${kid}": give each a "kid" of its own`);
    kids.add(kid);
  }
  if (new Set(keys.map(({ alg }) => isSymmetric(alg))).size > 1) {
    throw new TypeError(
      'localKeys: secrets (HS256, …) and key pairs do not go together: keep two sets, with an issuer each',
    );
  }
}

// A JWK can join a private half to another key's public half: its signatures would please nobody.
function checkHalves(keys: readonly Key[], verifying: readonly Key[]): void {
  keys.forEach((key, index) => {
    if (key.key.type !== 'private') return;
    try {
      checkSignature(parseJws(signJws({}, key)), verifying[index] as Key);
    } catch {
      throw new TypeError(
        `localKeys: the halves of "${key.kid}" do not belong together; ${ALGORITHMS[key.alg].recipe}`,
      );
    }
  });
}

function onlyOfTheirAlgorithm(keys: readonly Key[]): ReadonlyMap<Alg, Key> {
  const alone = keys.filter(({ alg }) => keys.filter((other) => other.alg === alg).length === 1);
  return new Map(alone.map((key) => [key.alg, key]));
}

/** Picks the public members by name (RFC 7518, section 6; RFC 8037), so that no other can slip through. */
function publicJwk({ kid, alg, key }: Key): object {
  const { kty, crv, x, y, n, e } = key.export({ format: 'jwk' });
  const members = Object.entries({ kty, crv, x, y, n, e, kid, alg, use: 'sig' });
  return Object.freeze(Object.fromEntries(members.filter(([, value]) => value !== undefined)));
}
