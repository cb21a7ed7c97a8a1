import { describe, expect, test } from 'vitest';
import type { Claims, Identity } from '../../lib/auth.ts';
import { checkIdentity, type MintedFor, type Minting, mint } from '../../lib/token/issuer.ts';
import { localKeys } from '../../lib/token/local-keys.ts';
import { tokenVerifier } from '../../lib/token/verifier.ts';
import { keyFor } from './key-material.ts';

const keys = localKeys([{ kid: 'k', alg: 'ES256', key: keyFor('ES256') }]);
const minting: Minting = { keys, issuer: 'https://i.example', audience: 'api', lifetime: 600_000 };
const verifier = tokenVerifier({ issuers: [minting], leeway: 0, maxLifetime: 600_000 });

function payload(identity: Identity, login?: MintedFor, lifetime = minting.lifetime): Record<string, unknown> {
  const { token } = mint({ ...minting, lifetime }, identity, login);
  return JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString());
}

describe('a minted token', () => {
  test('T23, T24, T26: names its issuer, its audience, its subject, its times, itself and its kind', () => {
    const { token, jti, expiresAt } = mint(minting, { subject: 'u' });
    const [header, body] = token.split('.').map((part) => Buffer.from(part, 'base64url').toString());
    expect(JSON.parse(header as string)).toEqual({ alg: 'ES256', typ: 'at+jwt', kid: 'k' });
    const claims = JSON.parse(body as string);
    expect(claims).toEqual({
      iss: 'https://i.example',
      aud: 'api',
      sub: 'u',
      iat: expect.any(Number),
      exp: claims.iat + 600,
      jti,
    });
    expect(expiresAt).toBe(claims.exp * 1000);
  });

  test('carries scopes, roles, login and claims', () => {
    const authenticatedAt = new Date('2024-05-06T07:08:09.999Z');
    const identity = {
      subject: 'u',
      scopes: ['read', 'write'],
      roles: ['admin'],
      authenticatedAt,
      claims: { tenant: { id: 7 } },
    };
    expect(payload(identity, { sid: 's', generation: 0, stamp: 1_700_000_000_123 })).toMatchObject({
      scope: 'read write',
      roles: ['admin'],
      auth_time: 1_714_979_289,
      sid: 's',
      gen: 0,
      lat: 1_700_000_000_123,
      tenant: { id: 7 },
    });
    expect(payload(identity, { authenticatedAt: 1_000_000 })).toMatchObject({ auth_time: 1_000 });
    expect(Object.keys(payload({ subject: 'u', scopes: [], roles: [] }))).toEqual([
      'iss',
      'aud',
      'sub',
      'iat',
      'exp',
      'jti',
    ]);
  });

  test('says of itself what verifying it says', () => {
    const login = { sid: 's', generation: 2, stamp: Date.now(), authenticatedAt: Date.now() - 5_000 };
    const { token, verified, jti } = mint(
      minting,
      { subject: 'u', scopes: ['a'], roles: ['b'], claims: { x: [1, { y: 2 }] } },
      login,
    );
    expect(verifier.verify(token)).toEqual(verified);
    expect(verified).toMatchObject({ jti, subject: 'u', sid: 's', generation: 2, kid: 'k', ours: true });
  });

  test('T27: its name has 128 random bits', () => {
    const names = Array.from({ length: 500 }, () => mint(minting, { subject: 'u' }).jti);
    expect(new Set(names).size).toBe(500);
    for (const name of names) expect(Buffer.from(name, 'base64url').length).toBeGreaterThanOrEqual(16);
  });

  test.each([60_000, 90_500, 600_000, 3_600_000])(
    'lives %i ms, or up to a second less, in whole seconds',
    (lifetime) => {
      const before = Date.now();
      const { iat, exp } = payload({ subject: 'u' }, {}, lifetime) as { iat: number; exp: number };
      expect(Number.isInteger(iat)).toBe(true);
      expect(Math.round((exp - iat) * 1000)).toBe(lifetime);
      expect(exp * 1000).toBeGreaterThan(before + lifetime - 1_000);
      expect(exp * 1000).toBeLessThanOrEqual(Date.now() + lifetime);
    },
  );

  test.each([1, 250, 2_000, 59_999])(
    'one of %i ms lives so to the millisecond, and no longer than its issuer allows',
    (lifetime) => {
      const before = Date.now();
      const { token, expiresAt } = mint({ ...minting, lifetime }, { subject: 'u' });
      expect(expiresAt).toBeGreaterThanOrEqual(before + lifetime);
      expect(expiresAt).toBeLessThanOrEqual(Date.now() + lifetime);
      const strict = tokenVerifier({ issuers: [minting], leeway: 5_000, maxLifetime: lifetime });
      expect(strict.verify(token)).toMatchObject({ expiresAt });
    },
  );

  test('over 4 KiB is refused, and one that nobody would take', () => {
    expect(() => mint(minting, { subject: 'u', claims: { x: 'x'.repeat(4_000) } })).toThrow(
      /^a token of \d+ bytes is too long \(at most 4096\): put fewer or shorter claims/,
    );
    const deep = JSON.parse(`${'['.repeat(40)}${']'.repeat(40)}`);
    expect(() => mint(minting, { subject: 'u', claims: { deep } })).toThrow(
      new TypeError('these claims cannot stand in a token: nested too deeply'),
    );
  });
});

describe('an identity', () => {
  const good: Identity = { subject: 'u' };
  const check = (members: object) => () => checkIdentity('login', { ...good, ...members });

  test.each([
    ['subject', 'u'],
    ['subject', 'Zoë 🦊'],
    ['subject', 'x'.repeat(255)],
    ['scopes', []],
    ['scopes', ['read:all', "it's", '[x]']],
    ['roles', ['any text at all', 'é']],
    ['authenticatedAt', new Date(0)],
    ['claims', {}],
    ['claims', Object.create(null)],
    ['claims', { date: new Date(), none: undefined, list: [1, null] }],
    ['claims', { Iss: 1, 'https://example.com/roles': [] }],
    ['scopes', undefined],
  ])('%s may be %j', (name, value) => {
    expect(check({ [name]: value })).not.toThrow();
    expect(() => mint(minting, { ...good, [name]: value })).not.toThrow();
  });

  test.each([
    ['subject', undefined],
    ['subject', ''],
    ['subject', 1],
    ['subject', null],
    ['subject', ['u']],
    ['subject', 'x'.repeat(256)],
    ['subject', 'a\nb'],
    ['subject', 'a\0'],
    ['subject', '\u0085'],
    ['subject', '\ud800'],
    ['scopes', 'read'],
    ['scopes', ['a b']],
    ['scopes', ['']],
    ['scopes', ['a"b']],
    ['scopes', ['a\\b']],
    ['scopes', ['é']],
    ['scopes', [1]],
    ['scopes', null],
    ['scopes', {}],
    ['roles', 'admin'],
    ['roles', ['']],
    ['roles', [1]],
    ['roles', null],
    ['authenticatedAt', 1],
    ['authenticatedAt', '2024-01-01'],
    ['authenticatedAt', new Date('x')],
    ['authenticatedAt', null],
    ['claims', null],
    ['claims', []],
    ['claims', 'x'],
    ['claims', new Map()],
    ['claims', new Date()],
    ['claims', { big: 1n }],
  ])('%s may not be %o', (name, value) => {
    expect(check({ [name]: value })).toThrow(TypeError);
    expect(check({ [name]: value })).toThrow(`login: "${name}" must be`);
    expect(() => mint(minting, { ...good, [name]: value } as Identity)).toThrow(TypeError);
  });

  test('what is no object is no identity', () => {
    for (const value of [undefined, null, 'u', 1]) {
      expect(() => checkIdentity('login', value as never)).toThrow(
        'login: takes an identity: { subject, scopes, roles, claims }',
      );
    }
  });

  test('claims that go in circles are refused', () => {
    const circle: Record<string, unknown> = {};
    circle.self = circle;
    expect(check({ claims: circle })).toThrow('login: "claims" must be JSON');
  });

  test.each([
    'iss',
    'sub',
    'aud',
    'exp',
    'nbf',
    'iat',
    'jti',
    'sid',
    'gen',
    'lat',
    'auth_time',
    'scope',
    'roles',
    'client_id',
    'cnf',
    'act',
    'azp',
    'typ',
    '__proto__',
    'constructor',
    'prototype',
  ])('A-J09: the claim %s is reserved', (name) => {
    const claims = JSON.parse(`{"${name}":"x"}`) as Claims;
    expect(check({ claims })).toThrow(
      new TypeError(`login: "claims" must not hold ${name}: reserved, use another name`),
    );
    expect(() => mint(minting, { subject: 'u', claims })).toThrow(TypeError);
  });

  test('A-J09: neither does a toJSON bring a reserved claim in', () => {
    expect(check({ claims: { toJSON: () => ({ sub: 'admin' }) } })).toThrow('must not hold sub');
    expect(payload({ subject: 'u', claims: { a: { toJSON: () => ({ sub: 'x' }) } } })).toMatchObject({
      sub: 'u',
      a: { sub: 'x' },
    });
  });

  test('every reserved name that clashes is told', () => {
    expect(check({ claims: { sub: 1, exp: 2, mine: 3 } })).toThrow('must not hold sub, exp:');
  });
});

test('keys that cannot sign say so', () => {
  const jwk = keys.jwks().keys[0] as object;
  const publicOnly = localKeys([{ kid: 'k', alg: 'ES256', key: jwk }]);
  expect(() => mint({ ...minting, keys: publicOnly }, { subject: 'u' })).toThrow('the key "k" is public only');
});
