import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { purposeKey, settleSecrets } from '../lib/secrets.ts';

const fresh = () => randomBytes(32).toString('base64url');

describe('settleSecrets', () => {
  test('one secret is a list of one', () => {
    const secret = fresh();
    expect(settleSecrets('sessionAuth', secret)).toEqual([secret]);
  });

  test('S16: a list keeps its order, whatever becomes of the array', () => {
    const secrets = [fresh(), fresh()];
    const settled = settleSecrets('sessionAuth', secrets);
    const before = [...secrets];
    secrets.reverse();
    expect(settled).toEqual(before);
  });

  test('32 bytes suffice, counted as UTF-8', () => {
    expect(() => settleSecrets('sessionAuth', randomBytes(16).toString('hex'))).not.toThrow();
    expect(() => settleSecrets('sessionAuth', 'äöüßéèêëàâîïôûçñ')).not.toThrow();
  });

  test.each([
    ['undefined', undefined],
    ['null', null],
    ['a number', 7],
    ['a Buffer', randomBytes(32)],
    ['an empty list', []],
    ['a list with a hole', [fresh(), undefined]],
    ['an empty string', ''],
    ['31 bytes', randomBytes(31).toString('latin1').slice(0, 15)],
    ['a short one in a list', [fresh(), 'short']],
    ['one twice', ['x5F0kq_the-same-secret-two-times!!', 'x5F0kq_the-same-secret-two-times!!']],
    ['one character only', 'a'.repeat(40)],
    ['a word over and over', 'secret'.repeat(8)],
    ['digits in order', '1234567890'.repeat(4)],
    ['a run of hex digits', '0123456789abcdef0123456789abcdef'],
    ['the secret of jwt.io', 'a-string-secret-at-least-256-bits-long'],
    ['the secret of iron-session', 'complex_password_at_least_32_characters_long'],
    ['a placeholder', 'CHANGE_ME_CHANGE_ME_PLEASE_before_production'],
    ['another placeholder', 'your-super-secret-key-for-this-application'],
  ])('K01, K02: %s is refused, and the message says how to make one', (_, secret) => {
    const settle = () => settleSecrets('sessionAuth', secret as never);
    expect(settle).toThrow(TypeError);
    expect(settle).toThrow(/^sessionAuth: "secret" .*; make one with: node -e /);
  });

  test('K13: the refusal does not print the secret', () => {
    expect(() => settleSecrets('sessionAuth', [fresh(), 'canary'])).not.toThrow(/canary/);
    expect(() => settleSecrets('sessionAuth', [fresh(), 'canary'])).toThrow(TypeError);
  });
});

describe('purposeKey', () => {
  test('K12: the same secret, purpose and context give the same 32 bytes', () => {
    const secret = fresh();
    expect(purposeKey(secret, 'refresh', 'a', 'b')).toEqual(purposeKey(secret, 'refresh', 'a', 'b'));
    expect(purposeKey(secret, 'refresh')).toHaveLength(32);
  });

  test('K12: anything else gives another, however it is cut into words', () => {
    const secret = fresh();
    const keys = [
      purposeKey(secret, 'refresh'),
      purposeKey(secret, 'refresh', ''),
      purposeKey(secret, 'refresh', 'a', 'b'),
      purposeKey(secret, 'refresh', 'b', 'a'),
      purposeKey(secret, 'refresh', 'ab'),
      purposeKey(secret, 'refresh', 'a","b'),
      purposeKey(secret, 'refresh', 'a,b'),
      purposeKey(secret, 'refresha', 'b'),
      purposeKey(secret, 'cookie', 'a', 'b'),
      purposeKey(fresh(), 'refresh', 'a', 'b'),
    ];
    expect(new Set(keys.map((key) => key.toString('hex'))).size).toBe(keys.length);
  });

  test('a context longer than HKDF takes is no error', () => {
    const secret = fresh();
    const long = 'https://issuer.example/'.repeat(100);
    expect(purposeKey(secret, 'refresh', long)).not.toEqual(purposeKey(secret, 'refresh', `${long}x`));
  });
});
