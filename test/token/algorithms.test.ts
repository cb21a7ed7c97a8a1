import { createPublicKey, createSecretKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { importJWK, jwtVerify, SignJWT } from 'jose';
import { describe, expect, test } from 'vitest';
import { ALGORITHMS, algorithmNamed, misfit } from '../../lib/token/algorithms.ts';
import { mint } from '../../lib/token/issuer.ts';
import type { Alg } from '../../lib/token/keys.ts';
import { localKeys } from '../../lib/token/local-keys.ts';
import { tokenVerifier } from '../../lib/token/verifier.ts';
import { ALGS, keyFor, rsaKey } from './key-material.ts';
import { makeToken } from './make-token.ts';

const ISSUER = 'https://issuer.example';
const AUDIENCE = 'https://api.example';

test('there are thirteen algorithms, and none is not among them', () => {
  expect(ALGS.length).toBe(13);
  expect(algorithmNamed('none')).toBeUndefined();
});

describe.each(ALGS)('%s', (alg) => {
  const privateKey = keyFor(alg);
  const keys = localKeys([{ kid: 'one', alg, key: privateKey }]);
  const trusted = { issuer: ISSUER, audience: AUDIENCE, keys };
  const verifier = tokenVerifier({ issuers: [trusted], leeway: 5_000 });
  const forJose = (key: KeyObject) => (key.type === 'private' ? createPublicKey(key) : key);

  test('what we mint, we verify', () => {
    const { token, verified } = mint({ ...trusted, lifetime: 600_000 }, { subject: 'u', scopes: ['a'], roles: ['r'] });
    expect(verifier.verify(token)).toEqual(verified);
  });

  test('what we mint, jose verifies', async () => {
    const { token } = mint({ ...trusted, lifetime: 600_000 }, { subject: 'u', claims: { text: 'Zoë 🦊' } });
    const { payload, protectedHeader } = await jwtVerify(token, forJose(privateKey), {
      algorithms: [alg],
      issuer: ISSUER,
      audience: AUDIENCE,
      typ: 'at+jwt',
      requiredClaims: ['exp', 'iat', 'jti', 'sub'],
    });
    expect(protectedHeader).toEqual({ alg, typ: 'at+jwt', kid: 'one' });
    expect(payload).toMatchObject({ sub: 'u', text: 'Zoë 🦊' });
  });

  test('what jose signs, we verify', async () => {
    const token = await new SignJWT({ scope: 'a b', text: 'Zoë 🦊' })
      .setProtectedHeader({ alg, kid: 'one' })
      .setIssuer(ISSUER)
      .setAudience(AUDIENCE)
      .setSubject('u')
      .setIssuedAt()
      .setExpirationTime('10m')
      .sign(privateKey);
    expect(verifier.verify(token)).toMatchObject({ subject: 'u', scopes: ['a', 'b'], claims: { text: 'Zoë 🦊' } });
  });

  test('what jose signs with another key of the kind is refused', async () => {
    const other = ALGORITHMS[alg].keyType === 'rsa' ? rsaKey(2048) : keyFor(alg);
    const token = await new SignJWT({ sub: 'u', iss: ISSUER, aud: AUDIENCE, iat: 0, exp: 1e10 })
      .setProtectedHeader({ alg, kid: 'one' })
      .sign(other);
    expect(() => verifier.verify(token)).toThrow(expect.objectContaining({ reason: 'bad_signature' }));
  });

  test('T04: its key takes no token under any other name, even signed with that very key', () => {
    const now = Math.floor(Date.now() / 1000);
    const payload = { iss: ISSUER, aud: AUDIENCE, sub: 'u', iat: now, exp: now + 60 };
    for (const other of ALGS.filter((name) => name !== alg)) {
      const token = makeToken(alg, privateKey, { alg: other, kid: 'one' }, payload);
      expect(() => verifier.verify(token), other).toThrow(expect.objectContaining({ reason: 'unknown_key' }));
    }
    expect(verifier.verify(makeToken(alg, privateKey, { alg, kid: 'one' }, payload))).toMatchObject({ subject: 'u' });
  });

  test('published keys, where there are any, verify it with jose', async () => {
    const [jwk] = keys.jwks().keys;
    if (ALGORITHMS[alg].keyType === 'secret') return expect(jwk).toBeUndefined();
    const { token } = mint({ ...trusted, lifetime: 600_000 }, { subject: 'u' });
    const { payload } = await jwtVerify(token, await importJWK(jwk as object));
    expect(payload.sub).toBe('u');
  });
});

describe('which key fits which algorithm', () => {
  const suits = (alg: Alg, key: Alg) => {
    const [wanted, given] = [ALGORITHMS[alg], ALGORITHMS[key]];
    return wanted.keyType === 'secret' && given.keyType === 'secret'
      ? (given.leastSize as number) >= (wanted.leastSize as number)
      : wanted.keyType === given.keyType && wanted.curve === given.curve;
  };

  test.each(ALGS)('T03: %s takes the keys of its own kind only', (alg) => {
    for (const other of ALGS) {
      const complaint = misfit(alg, keyFor(other));
      if (suits(alg, other)) expect(complaint, other).toBeUndefined();
      else expect(complaint, other).toMatch(/takes a key|needs a secret/);
    }
  });

  test('K01: a secret is at least as long as its hash', () => {
    for (const [alg, size] of [
      ['HS256', 32],
      ['HS384', 48],
      ['HS512', 64],
    ] as const) {
      expect(misfit(alg, createSecretKey(Buffer.alloc(size - 1, 'x')))).toBe(
        `needs a secret of at least ${size} bytes`,
      );
      expect(misfit(alg, createSecretKey(Buffer.alloc(size, 'x')))).toBeUndefined();
      expect(misfit(alg, createSecretKey(Buffer.alloc(0)))).toContain(`${size} bytes`);
    }
  });

  test('K03: an RSA key has 2048 bits at least', () => {
    expect(misfit('RS256', rsaKey(1024))).toBe('needs an RSA key of at least 2048 bits');
    expect(misfit('PS512', rsaKey(2040))).toBe('needs an RSA key of at least 2048 bits');
    expect(misfit('RS256', rsaKey(2048, 3))).toBeUndefined();
  });

  test('K03: an RSA exponent is at least 3', () => {
    const { n } = keyFor('RS256').export({ format: 'jwk' });
    const key = createPublicKey({ key: { kty: 'RSA', n: n as string, e: 'AQ' }, format: 'jwk' });
    expect(misfit('RS256', key)).toContain('exponent');
  });

  test('T35: other curves and kinds fit nothing', () => {
    const strange = [
      generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey,
      generateKeyPairSync('ed448').privateKey,
      generateKeyPairSync('x25519').privateKey,
      generateKeyPairSync('dsa', { modulusLength: 2048, divisorLength: 256 }).privateKey,
    ];
    for (const key of strange) for (const alg of ALGS) expect(misfit(alg, key), alg).toContain('takes a key');
  });
});
