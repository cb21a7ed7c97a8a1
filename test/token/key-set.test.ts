import { describe, expect, test } from 'vitest';
import { readKeySet } from '../../lib/token/key-set.ts';
import type { Alg } from '../../lib/token/keys.ts';
import { rsaKey } from './key-material.ts';
import { issuerKey } from './key-server.ts';

const good = issuerKey('good');
const rsa = issuerKey('rsa', 'RS256');
const bare = ({ alg: _alg, use: _use, ...jwk }: Readonly<Record<string, unknown>>) => jwk;
const read = (jwks: readonly unknown[], ...algorithms: Alg[]) => readKeySet({ keys: jwks }, algorithms);

describe('K05, K07: of a set', () => {
  const skipped = [
    ['for encryption', { ...good.jwk, kid: 'x', use: 'enc' }],
    ['that may not verify', { ...bare(good.jwk), kid: 'x', key_ops: ['deriveKey'] }],
    ['with key_ops that are no list', { ...bare(good.jwk), kid: 'x', key_ops: 'verify' }],
    ['of an unknown type', { kty: 'AKP', kid: 'x', alg: 'ML-DSA-44', pub: 'AAAA' }],
    ['on an unknown curve', { kty: 'EC', kid: 'x', crv: 'P-999', x: 'AAAA', y: 'AAAA' }],
    ['on another curve than its algorithm', { ...issuerKey('x', 'ES384').jwk, alg: 'ES256' }],
    ['off its curve', { ...good.jwk, kid: 'x', y: good.jwk['x'] }],
    ['for an algorithm that is not allowed', issuerKey('x', 'ES384').jwk],
    ['for an algorithm of another type', { ...good.jwk, kid: 'x', alg: 'RS256' }],
    ['for an unknown algorithm', { ...good.jwk, kid: 'x', alg: 'RSA-OAEP' }],
    ['that is a secret', { kty: 'oct', kid: 'x', alg: 'ES256', k: Buffer.alloc(64, 1).toString('base64url') }],
    ['that is private', { ...good.key.export({ format: 'jwk' }), kid: 'x', alg: 'ES256' }],
    ['that is weak', { ...rsaKey(1_024).export({ format: 'jwk' }), d: undefined, kid: 'x', alg: 'RS256' }],
    ['that is a certificate only', { kty: 'EC', kid: 'x', x5c: ['MIIB'] }],
    ['with a name that is no string', { ...good.jwk, kid: 7 }],
    ['that is null', null as never],
    ['that is a string', 'x' as never],
  ] as const;

  test.each<readonly [string, unknown]>(skipped)('a key %s is skipped, and the others serve', (_which, jwk) => {
    const set = read([jwk, good.jwk], 'ES256', 'RS256');
    expect(set.keys.map(({ kid }) => kid)).toEqual(['good']);
    expect(set.find({ kid: 'good', alg: 'ES256' })?.key.type).toBe('public');
  });

  test('T04: a key without alg serves the first allowed algorithm that fits it, and no other', () => {
    const set = read([bare(rsa.jwk)], 'ES256', 'PS256', 'RS256');
    expect(set.find({ kid: 'rsa', alg: 'PS256' })).toMatchObject({ alg: 'PS256' });
    expect(set.find({ kid: 'rsa', alg: 'RS256' })).toBeUndefined();
    expect(set.mayLack({ kid: 'rsa', alg: 'RS256' })).toBe(false);
  });

  test('a key without a name is named by its thumbprint (RFC 7638, section 3.1)', () => {
    const n =
      '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMs' +
      'tn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajr' +
      'n1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw';
    const [key] = read([{ kty: 'RSA', n, e: 'AQAB' }], 'RS256').keys;
    expect(key?.kid).toBe('NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs');
  });

  test('a token without a kid finds the only key of its algorithm', () => {
    const set = read([good.jwk, rsa.jwk, issuerKey('rsa-2', 'RS256').jwk], 'ES256', 'RS256');
    expect(set.find({ alg: 'ES256' })?.kid).toBe('good');
    expect(set.find({ alg: 'RS256' })).toBeUndefined();
    expect(set.mayLack({ alg: 'RS256' })).toBe(false);
  });

  test('under one name each algorithm may have its key, and the first of one algorithm serves', () => {
    const [first, second, other] = [issuerKey('k'), issuerKey('k'), issuerKey('k', 'RS256')];
    const set = read([first.jwk, second.jwk, other.jwk], 'ES256', 'RS256');
    expect(set.find({ kid: 'k', alg: 'ES256' })?.key.export({ format: 'jwk' })['x']).toBe(first.jwk['x']);
    expect(set.find({ kid: 'k', alg: 'RS256' })?.alg).toBe('RS256');
  });

  test('names are names, whatever objects make of them', () => {
    const set = read([issuerKey('__proto__').jwk], 'ES256');
    expect(set.find({ kid: '__proto__', alg: 'ES256' })).toBeDefined();
    expect(set.find({ kid: 'constructor', alg: 'ES256' })).toBeUndefined();
  });
});
