import { expect, test } from 'vitest';
import { InvalidToken } from '../../lib/errors.ts';
import { tokenVerifier } from '../../lib/token/verifier.ts';
import { GOOD, HOSTILE, TRUSTED } from './hostile-tokens.ts';

const verifier = tokenVerifier({ issuers: TRUSTED, leeway: 5_000, maxLifetime: 86_400_000 });

function refusal(token: string): unknown {
  try {
    return verifier.verify(token);
  } catch (error) {
    return error;
  }
}

test.each(GOOD)('accepted: $name', ({ token }) => {
  expect(verifier.verify(token)).toMatchObject({ kid: expect.any(String) });
});

test.each(HOSTILE)('$name: refused as $why', ({ token, why }) => {
  const error = refusal(token);
  expect(error).toBeInstanceOf(InvalidToken);
  expect(error).toMatchObject({ reason: why, status: 401, code: 'invalid_token' });
});

test('A-D03: a bad token is refused at every try, and no two of the catalogue are the same', () => {
  expect(new Set(HOSTILE.map(({ token }) => token)).size).toBe(HOSTILE.length);
  for (const { token, why } of HOSTILE) expect(refusal(token)).toMatchObject({ reason: why });
});

test('T39: what is no string is malformed', () => {
  for (const token of [undefined, null, 1, {}, [], Buffer.from('a.b.c')]) {
    expect(refusal(token as unknown as string)).toMatchObject({ reason: 'malformed' });
  }
});

test('B07: neither the message nor the headers echo a token', () => {
  for (const { token } of HOSTILE) {
    const { message, headers } = refusal(token) as InvalidToken;
    expect(['the token is not valid', 'the token has expired']).toContain(message);
    expect(headers['WWW-Authenticate']).toBe(`Bearer error="invalid_token", error_description="${message}"`);
  }
});
