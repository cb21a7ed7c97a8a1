import { createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, verify } from 'node:crypto';
import express from 'express';
import { jwtAuth, localKeys, remoteKeys, type VerificationKeys } from 'portcullis';
import { afterAll, describe, expect, test } from 'vitest';
import { misfit } from '../../lib/token/algorithms.ts';
import { isSoundPoint } from '../../lib/token/ed25519-points.ts';
import { serve } from '../support/http-server.ts';
import { goodClaims, issuerKey, startKeyServer } from './key-server.ts';
import { segment } from './make-token.ts';

const open: { close(): Promise<void> }[] = [];
afterAll(() => Promise.all(open.map((server) => server.close())));

const ISSUER = 'https://issuer.example';
const IDENTITY = `01${'00'.repeat(31)}`;

// Each with both signs of x; the last two are 0 and 1 once more, written as p and p + 1.
const SMALL_ORDER = [
  IDENTITY,
  `ec${'ff'.repeat(30)}7f`,
  '00'.repeat(32),
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  `ed${'ff'.repeat(30)}7f`,
  `ee${'ff'.repeat(30)}7f`,
].flatMap((point) => [point, otherSign(point)]);

function otherSign(point: string): string {
  const bytes = Buffer.from(point, 'hex');
  bytes[31] = (bytes[31] as number) ^ 0x80;
  return bytes.toString('hex');
}

const jwkOf = (point: string) => ({
  kty: 'OKP',
  crv: 'Ed25519',
  x: Buffer.from(point, 'hex').toString('base64url'),
  kid: 'small',
  alg: 'EdDSA',
  use: 'sig',
});
const keyOf = (point: string) => createPublicKey({ key: jwkOf(point), format: 'jwk' });

/** Newer versions of OpenSSL refuse these signatures themselves; keys have to be refused all the same. */
const FORGEABLE = verify(
  null,
  Buffer.from('any'),
  keyOf(IDENTITY),
  Buffer.from(`${IDENTITY}${'00'.repeat(32)}`, 'hex'),
);

/** A token that nobody signed: R is the identity and S is zero. Others are tried until the key is pleased, where it can be. */
function forge(key: KeyObject): string {
  const signature = Buffer.from(`${IDENTITY}${'00'.repeat(32)}`, 'hex');
  for (let attempt = 0; attempt < 500; attempt++) {
    const claims = goodClaims({ iss: ISSUER, aud: 'api', sub: 'admin', attempt });
    const signedPart = `${segment({ alg: 'EdDSA', kid: 'small', typ: 'at+jwt' })}.${segment(claims)}`;
    if (!FORGEABLE || verify(null, Buffer.from(signedPart), key, signature))
      return `${signedPart}.${signature.toString('base64url')}`;
  }
  throw new Error('no forged token verifies');
}

async function apiWith(keys: VerificationKeys) {
  const app = express();
  app.use(jwtAuth({ issuer: ISSUER, audience: 'api', keys, store: 'none' }));
  app.get('/', (req, res) => void res.json(req.auth));
  app.use(((error, _req, res, _next) => {
    res.status(error.status).json({ code: error.code, reason: error.reason });
  }) satisfies express.ErrorRequestHandler);
  const server = await serve(app);
  open.push(server);
  return async (token: string) => {
    const response = await fetch(server.url, { headers: { Authorization: `Bearer ${token}` } });
    return { status: response.status, body: await response.json() };
  };
}

async function published(...keys: readonly object[]): Promise<VerificationKeys> {
  const server = await startKeyServer(...keys);
  open.push(server);
  return remoteKeys(`${server.url}/jwks.json`, { algorithms: ['EdDSA'] });
}

describe('T41: a public key of small order, for which anybody can sign,', () => {
  test.each(SMALL_ORDER)('%s: OpenSSL may take a forged token, localKeys refuses the key', (point) => {
    const key = keyOf(point);
    expect(forge(key)).toMatch(/^ey/);
    for (const form of [key, jwkOf(point), key.export({ type: 'spki', format: 'pem' })]) {
      const make = () => localKeys([{ kid: 'small', alg: 'EdDSA', key: form }]);
      expect(make).toThrow(TypeError);
      expect(make).toThrow('the key "small" (EdDSA) needs a key that is a sound point: under this one others can sign');
    }
  });

  test.runIf(FORGEABLE)('the identity needs no second try, whatever the token says', () => {
    const signature = Buffer.from(`${IDENTITY}${'00'.repeat(32)}`, 'hex');
    for (let round = 0; round < 100; round++)
      expect(verify(null, randomBytes(99), keyOf(IDENTITY), signature)).toBe(true);
  });

  test('is skipped where an issuer publishes it: 503 if there is no other, 401 if there is', async () => {
    const good = issuerKey('good', 'EdDSA');
    const claims = goodClaims({ iss: ISSUER, aud: 'api' });
    for (const point of SMALL_ORDER) {
      const token = forge(keyOf(point));
      const alone = await apiWith(await published(jwkOf(point)));
      expect(await alone(token), point).toMatchObject({ status: 503 });
    }
    const beside = await apiWith(await published(...SMALL_ORDER.map(jwkOf), good));
    expect(await beside(good.sign(claims))).toMatchObject({ status: 200, body: { subject: 'ann' } });
    expect(await beside(forge(keyOf(IDENTITY)))).toMatchObject({ status: 401, body: { reason: 'unknown_key' } });
  });

  test('is refused too where somebody brings keys of their own making', async () => {
    const key = keyOf(IDENTITY);
    const ask = await apiWith({ find: () => ({ kid: 'small', alg: 'EdDSA', key }) });
    expect(await ask(forge(key))).toMatchObject({ status: 401, body: { reason: 'unknown_key' } });
  });
});

describe('isSoundPoint', () => {
  test('takes every key that somebody made, both halves, also when asked again', () => {
    for (let round = 0; round < 300; round++) {
      const { publicKey, privateKey } = generateKeyPairSync('ed25519');
      for (const key of [publicKey, publicKey, privateKey]) expect(misfit('EdDSA', key)).toBeUndefined();
    }
  });

  test('refuses a y of p or more, which is another one written twice', () => {
    for (let low = 0xed; low <= 0xff; low++) {
      const point = `${low.toString(16)}${'ff'.repeat(30)}7f`;
      expect(isSoundPoint(keyOf(point)), point).toBe(false);
      expect(isSoundPoint(keyOf(otherSign(point))), point).toBe(false);
    }
  });

  test('refuses what is not on the curve: about half of all 32 bytes', () => {
    const sound = Array.from({ length: 400 }, () => isSoundPoint(keyOf(randomBytes(32).toString('hex'))));
    const taken = sound.filter(Boolean).length;
    expect(taken).toBeGreaterThan(120);
    expect(taken).toBeLessThan(280);
  });

  test('knows which of the first y are on the curve', () => {
    const first = Array.from({ length: 10 }, (_, index) => index + 2);
    const on = first.filter((y) => isSoundPoint(keyOf(`${y.toString(16).padStart(2, '0')}${'00'.repeat(31)}`)));
    expect(on).toEqual([3, 4, 5, 6, 9, 10]);
  });

  test('a private JWK that claims such a point as its own is judged by what it makes', () => {
    const { d, ...jwk } = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
    const keys = localKeys([{ kid: 'a', alg: 'EdDSA', key: { ...jwk, d, x: jwkOf(IDENTITY).x } }]);
    expect(keys.jwks().keys).toEqual([{ ...jwk, kid: 'a', alg: 'EdDSA', use: 'sig' }]);
  });
});
