import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { newLoginSecret, sidOf } from '../../lib/login/login-secret.ts';
import { refreshTokens } from '../../lib/login/refresh-token.ts';

const [OLD, NEW] = ['an old secret of 32 bytes or more...', 'a new secret of 32 bytes or more...'];
const ISSUER = 'https://issuer.example';
const AUDIENCE = 'https://api.example';

const tokens = refreshTokens([NEW], ISSUER, AUDIENCE);

test('S02, H10: the secret of a login has 256 random bits, and its sid does not tell it', () => {
  const secrets = Array.from({ length: 1_000 }, newLoginSecret);
  expect(new Set(secrets).size).toBe(1_000);
  for (const secret of secrets) {
    expect(Buffer.from(secret, 'base64url')).toHaveLength(32);
    expect(sidOf(secret)).toMatch(/^[\w-]{43}$/);
    expect(sidOf(secret)).not.toBe(secret);
  }
});

test('a token is read as it was written, and the same generation is written the same again', () => {
  const family = newLoginSecret();
  for (const generation of [0, 1, 999_999_999_999_999]) {
    const token = tokens.write(family, generation);
    expect(tokens.read(token)).toEqual({ family, sid: sidOf(family), generation });
    expect(tokens.write(family, generation)).toBe(token);
  }
});

test('of several secrets the first signs and all verify', () => {
  const family = newLoginSecret();
  const both = refreshTokens([NEW, OLD], ISSUER, AUDIENCE);
  const old = refreshTokens([OLD], ISSUER, AUDIENCE);
  expect(both.read(old.write(family, 1))?.generation).toBe(1);
  expect(both.write(family, 1)).toBe(tokens.write(family, 1));
  expect(old.read(both.write(family, 1))).toBeUndefined();
});

test('a token for one issuer and audience means nothing to another', () => {
  const token = tokens.write(newLoginSecret(), 1);
  for (const [issuer, audience] of [
    ['https://other.example', AUDIENCE],
    [ISSUER, 'https://other.example'],
    [AUDIENCE, ISSUER],
  ]) {
    expect(refreshTokens([NEW], issuer as string, audience as string).read(token)).toBeUndefined();
  }
});

test('A-H13: what we did not write is nothing: altered, cut, padded, of another generation, garbage', () => {
  const family = newLoginSecret();
  const token = tokens.write(family, 7);
  const [, , mac] = token.split('.') as [string, string, string];
  const forged = [
    ...['', '.', '..', 'x', '*', `${family}`, `${family}.7`, `${family}.7.`, `.7.${mac}`, '\u0000', 'a'.repeat(10_000)],
    ...[
      `${family}.8.${mac}`,
      `${family}.07.${mac}`,
      `${family}.7.0.${mac}`,
      `${family}.-7.${mac}`,
      `${family}.7e0.${mac}`,
    ],
    ...[
      `${family}.7.${mac}=`,
      `${token}\n`,
      ` ${token}`,
      `${token}.`,
      `${family}.7.${mac.slice(0, -1)}`,
      `${family}}{.7.${mac}`,
    ],
    ...[
      `${newLoginSecret()}.7.${mac}`,
      `${family}.7.${randomBytes(32).toString('base64url')}`,
      `${family}.1${'0'.repeat(20)}.${mac}`,
    ],
  ];
  for (let at = 0; at < token.length; at++) {
    // The last of 43 characters holds two bits that mean nothing.
    if (at === token.length - 1) continue;
    forged.push(token.slice(0, at) + (token[at] === 'A' ? 'B' : 'A') + token.slice(at + 1));
  }
  for (const each of forged) expect(tokens.read(each), each.slice(0, 100)).toBeUndefined();
});
