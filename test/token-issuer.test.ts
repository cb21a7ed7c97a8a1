import { createPublicKey } from 'node:crypto';
import { jwtAuth, localKeys, memoryStore, tokenIssuer } from 'portcullis';
import { describe, expect, test } from 'vitest';
import { claimsOf } from './hybrid/app.ts';
import { keyFor, pem } from './token/key-material.ts';

const keys = localKeys([{ kid: 'k', alg: 'HS256', key: keyFor('HS256') }]);
const ours = { keys, issuer: 'https://auth.example', audience: 'https://api.example' };
const asked = (token: string) => ({ headers: { authorization: `Bearer ${token}` }, rawHeaders: [] }) as never;

test('T23, T24, T26: what it issues says who, for whom, from whom, when, and is an access token', () => {
  const token = tokenIssuer({ ...ours, lifetime: '5m' })({
    subject: 'job',
    scopes: ['a', 'b'],
    roles: ['r'],
    claims: { tenant: 't' },
  });
  const { iat, exp, jti, ...rest } = claimsOf(token) as any;
  expect(rest).toEqual({ iss: ours.issuer, aud: ours.audience, sub: 'job', scope: 'a b', roles: ['r'], tenant: 't' });
  expect(exp - iat).toBe(300);
  expect(jti).toMatch(/^[\w-]{22}$/);
  expect(JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString())).toEqual({
    alg: 'HS256',
    typ: 'at+jwt',
    kid: 'k',
  });
});

test('says when the person proved who they are only where it is told: a session exchanged for a token keeps it', async () => {
  const issue = tokenIssuer({ ...ours, lifetime: '5m' });
  expect(claimsOf(issue({ subject: 'a' }))).not.toHaveProperty('auth_time');
  const authenticatedAt = new Date(Date.now() - 60_000);
  const auth = await jwtAuth({ ...ours, store: 'none' }).authenticate(asked(issue({ subject: 'a', authenticatedAt })));
  expect(auth?.authenticatedAt?.getTime()).toBe(Math.floor(authenticatedAt.getTime() / 1000) * 1000);
});

test('with a store it is stamped after every cut-off known, so that revokeSubject tells before from after', async () => {
  const store = memoryStore();
  await store.ready();
  const issue = tokenIssuer({ ...ours, lifetime: '5m', store });
  const jwt = jwtAuth({ ...ours, store });
  for (let round = 0; round < 20; round++) {
    const before = issue({ subject: 'ann' });
    await store.revokeSubject('ann', round % 2 === 0 ? {} : { issuer: ours.issuer });
    const after = issue({ subject: 'ann' });
    expect(claimsOf(before).lat).toBeLessThan(claimsOf(after).lat);
    await expect(jwt.authenticate(asked(before))).rejects.toMatchObject({ reason: 'revoked' });
    await expect(jwt.authenticate(asked(after))).resolves.toMatchObject({ subject: 'ann' });
  }
  await store.close();
});

describe('mistakes are sentences', () => {
  test.each([
    ['no lifetime', { ...ours }, `"lifetime" must be given, such as '5m'`],
    ['a lifetime that is none', { ...ours, lifetime: 300 }, '"lifetime" must be a duration'],
    ['no keys', { ...ours, keys: {}, lifetime: '5m' }, '"keys" must come from localKeys'],
    ['no audience', { ...ours, audience: undefined, lifetime: '5m' }, '"audience" must be given'],
    [
      "'none' for a store",
      { ...ours, store: 'none', lifetime: '5m' },
      '"store" must be redisStore(client) or memoryStore()',
    ],
    ['an unknown option', { ...ours, lifetime: '5m', subject: 'x' }, 'unknown option "subject"'],
  ])('%s', (_what, options, sentence) => {
    expect(() => tokenIssuer(options as never)).toThrow(sentence);
  });

  test('keys that cannot sign', () => {
    const verifying = localKeys([{ kid: 'p', alg: 'ES256', key: pem(createPublicKey(keyFor('ES256'))) }]);
    expect(() => tokenIssuer({ ...ours, keys: verifying, lifetime: '5m' })).toThrow('put a private key first');
  });

  test.each([
    ['nobody', undefined, 'takes an identity'],
    ['no subject', {}, '"subject" must be a string'],
    ['a scope of two', { subject: 'a', scopes: ['a b'] }, '"scopes" must be a list of scopes'],
    ['a reserved claim', { subject: 'a', claims: { exp: 9e9 } }, 'must not hold exp'],
    ['too much', { subject: 'a', claims: { x: 'x'.repeat(5_000) } }, 'put fewer or shorter claims'],
  ])('an identity: %s', (_what, identity, sentence) => {
    expect(() => tokenIssuer({ ...ours, lifetime: '5m' })(identity as never)).toThrow(sentence);
  });
});
