import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { isExpired } from '../../lib/token/claims.ts';
import type { TrustedIssuer } from '../../lib/token/keys.ts';
import { localKeys } from '../../lib/token/local-keys.ts';
import { tokenVerifier, type VerifiedToken } from '../../lib/token/verifier.ts';
import { keyFor } from './key-material.ts';
import { makeToken } from './make-token.ts';

const secret = keyFor('HS256');
const keys = localKeys([{ kid: 'a', alg: 'HS256', key: secret }]);
// The same keys, as another issuer's: all that is known of those is how to find one.
const foreignKeys = { find: keys.find };
const now = Math.floor(Date.now() / 1000);
const claims = { iss: 'https://i.example', aud: 'api', sub: 'u', iat: now, exp: now + 3_600, jti: 'j' };

interface Reading extends Partial<TrustedIssuer> {
  readonly leeway?: number;
  readonly maxLifetime?: number;
}

function read(members: object, { leeway = 0, maxLifetime, ...trusted }: Reading = {}): VerifiedToken {
  const issuer = { issuer: 'https://i.example', audience: 'api', keys, ...trusted };
  const token = makeToken(
    'HS256',
    secret,
    { alg: 'HS256', kid: 'a', ...(trusted.types && { typ: 'at+jwt' }) },
    { ...claims, ...members },
  );
  return tokenVerifier({ issuers: [issuer], leeway, maxLifetime }).verify(token) as VerifiedToken;
}

function reason(members: object, reading?: Reading): string {
  try {
    read(members, reading);
    return 'accepted';
  } catch (error) {
    return (error as { reason: string }).reason;
  }
}

describe('times', () => {
  test('T15, T20: expired from the very millisecond of exp plus leeway on', () => {
    expect(isExpired(1_000, { leeway: 0 }, 999)).toBe(false);
    expect(isExpired(1_000, { leeway: 0 }, 1_000)).toBe(true);
    for (let leeway = 0; leeway <= 61_000; leeway += 1_000) {
      expect(isExpired(1_000, { leeway }, 999 + leeway)).toBe(false);
      expect(isExpired(1_000, { leeway }, 1_000 + leeway)).toBe(true);
    }
  });

  test.each([
    ['exp', -30, 'accepted'],
    ['exp', -90, 'expired'],
    ['iat', 30, 'accepted'],
    ['iat', 90, 'bad_claim'],
    ['nbf', 30, 'accepted'],
    ['nbf', 90, 'bad_claim'],
  ])('T20: with a minute of leeway, %s %i s from now is %s', (name, seconds, verdict) => {
    expect(reason({ iat: now - 120, [name]: now + seconds }, { leeway: 60_000 })).toBe(verdict);
  });

  test.each([
    ['exp', -30, 'expired'],
    ['iat', 30, 'bad_claim'],
    ['nbf', 30, 'bad_claim'],
  ])('T20: without leeway, %s %i s from now is %s', (name, seconds, verdict) => {
    expect(reason({ iat: now - 120, [name]: now + seconds })).toBe(verdict);
  });

  test('T19: a life of just the longest allowed is accepted, a millisecond more is not', () => {
    expect(reason({ exp: now + 3_600 }, { maxLifetime: 3_600_000 })).toBe('accepted');
    expect(reason({ exp: now + 3_600.001 }, { maxLifetime: 3_600_000 })).toBe('bad_claim');
    expect(reason({ exp: now + 315_360_000 })).toBe('accepted');
  });

  test('T19: milliseconds for seconds are refused where no life is too long as well', () => {
    expect(reason({ exp: (now + 600) * 1_000 })).toBe('bad_claim');
  });

  test('T18: nothing was issued before 1970', () => {
    expect(reason({ iat: -1 })).toBe('bad_claim');
    expect(reason({ iat: 0 })).toBe('accepted');
  });

  test('what is both expired and wrong is called wrong: a client must not refresh for it', () => {
    expect(reason({ exp: now - 10, aud: 'other' })).toBe('bad_claim');
    expect(reason({ exp: now - 10 }, { accepts: () => false })).toBe('bad_claim');
    expect(reason({ exp: now - 10 })).toBe('expired');
  });

  test('times come in milliseconds', () => {
    expect(read({ iat: now - 1.5, exp: now + 60.25 })).toMatchObject({
      issuedAt: now * 1000 - 1_500,
      expiresAt: now * 1000 + 60_250,
    });
  });

  test.each([
    [now - 100, (now - 100) * 1000],
    [now - 0.5, now * 1000 - 500],
    [undefined, undefined],
    [0, undefined],
    [-1, undefined],
    [String(now), undefined],
    [null, undefined],
    [now + 3_600, undefined],
    [now * 1000, undefined],
    [[now], undefined],
  ])('T30: auth_time %j is read as %j', (time, expected) => {
    expect(read({ auth_time: time }).authenticatedAt).toBe(expected);
  });

  test('T30: authenticatedAt is never taken from iat', () => {
    expect('authenticatedAt' in read({})).toBe(false);
  });
});

describe('scopes and roles', () => {
  test.each([
    ['a b', ['a', 'b']],
    ['a', ['a']],
    [' a  b ', ['a', 'b']],
    ['', []],
    [
      ['a', 'b'],
      ['a', 'b'],
    ],
    [[], []],
    [['a b'], []],
    [['a', 1], []],
    [[['a']], []],
    [[''], []],
    ['a\tb', []],
    ['a\nb', []],
    ['a "b"', []],
    ['a\\b', []],
    ['é', []],
    [null, []],
    [1, []],
    [true, []],
    [{ 0: 'a', length: 1 }, []],
    [undefined, []],
  ])('T29: scope %j is read as %j', (scope, expected) => {
    expect(read({ scope }).scopes).toEqual(expected);
  });

  test.each([
    [
      ['a', 'b c'],
      ['a', 'b c'],
    ],
    ['admin', ['admin']],
    ['a b', ['a b']],
    [['a', 1], []],
    [['a', ''], []],
    ['', []],
    [null, []],
    [{ admin: true }, []],
    [undefined, []],
  ])('T29: roles %j are read as %j', (roles, expected) => {
    expect(read({ roles }).roles).toEqual(expected);
  });

  test("another issuer's roles are nobody's roles here, unless it is said where they are", () => {
    expect(read({ roles: ['admin'] }, { keys: foreignKeys })).toMatchObject({ roles: [], ours: false });
    expect(read({ roles: ['admin'] }, { keys: foreignKeys, claims: { roles: 'roles' } }).roles).toEqual(['admin']);
    expect(read({ roles: ['admin'] })).toMatchObject({ roles: ['admin'], ours: true });
  });

  test('a path leads into objects, a name is one claim, dots and all', () => {
    const payload = { realm_access: { roles: ['a'] }, 'realm_access.roles': ['b'], 'https://example.com/scp': ['c'] };
    expect(read(payload, { claims: { roles: ['realm_access', 'roles'] } }).roles).toEqual(['a']);
    expect(read(payload, { claims: { roles: 'realm_access.roles' } }).roles).toEqual(['b']);
    expect(read(payload, { claims: { scopes: 'https://example.com/scp' } }).scopes).toEqual(['c']);
    expect(read({ scope: 'a', ...payload }, { claims: { roles: 'x' } })).toMatchObject({ scopes: ['a'], roles: [] });
  });

  test('a path goes through a list into each of its members, and not one may lack what it names', () => {
    const roles = { claims: { roles: ['roles', 'key'] } };
    expect(read({ roles: [{ id: '1', key: 'admin' }, { key: 'editor' }] }, roles).roles).toEqual(['admin', 'editor']);
    expect(read({ roles: [] }, roles).roles).toEqual([]);
    for (const other of [[{ key: 'admin' }, { id: '2' }], ['admin'], [null], [{ key: ['admin'] }], { admin: true }]) {
      expect(read({ roles: other }, roles).roles).toEqual([]);
    }
  });

  test('T38: a path goes through own members only', () => {
    for (const path of [
      ['constructor', 'name'],
      ['__proto__', 'roles'],
      ['roles', 'constructor', 'name'],
      ['sub', 'length'],
      ['x', 'y', 'z'],
      ['list', 'constructor', 'name'],
    ]) {
      const payload = { roles: ['a'], list: [{}] };
      expect(read(payload, { claims: { roles: path } }).roles, path.join()).toEqual([]);
    }
  });
});

describe('whom it is for, and what it is', () => {
  test('T22: the audience can be another claim', () => {
    expect(reason({ aud: undefined, client_id: 'app' }, { audience: 'app', claims: { audience: 'client_id' } })).toBe(
      'accepted',
    );
    expect(reason({ aud: 'app', client_id: 'other' }, { audience: 'app', claims: { audience: 'client_id' } })).toBe(
      'bad_claim',
    );
    expect(reason({ aud: 'app' }, { audience: 'app', claims: { audience: 'client_id' } })).toBe('bad_claim');
  });

  test('T22: any of several audiences will do', () => {
    expect(reason({ aud: 'b' }, { audience: ['a', 'b'] })).toBe('accepted');
    expect(reason({ aud: ['x', 'a'] }, { audience: ['a', 'b'] })).toBe('accepted');
    expect(reason({ aud: 'ab' }, { audience: ['a', 'b'] })).toBe('bad_claim');
  });

  test('T24: where types are given, no other and none at all is refused', () => {
    const typ = (value: string | undefined, types: readonly string[]) => {
      const token = makeToken('HS256', secret, { alg: 'HS256', typ: value }, claims);
      const issuer = { issuer: claims.iss, audience: 'api', keys, types };
      return () => tokenVerifier({ issuers: [issuer], leeway: 0 }).verify(token);
    };
    expect(typ('at+jwt', ['at+jwt'])).not.toThrow();
    expect(typ('Application/AT+jwt', ['at+jwt'])).not.toThrow();
    expect(typ('at+jwt', ['application/AT+JWT'])).not.toThrow();
    for (const other of ['JWT', undefined, '']) expect(typ(other, ['at+jwt'])).toThrow('not valid');
  });

  test('accepts: only true does, and a throw refuses', () => {
    for (const answer of [false, 1, 'true', {}, [], undefined, null, Promise.resolve(true)]) {
      expect(reason({}, { accepts: () => answer as boolean })).toBe('bad_claim');
    }
    const fails = () => {
      throw new Error('no');
    };
    expect(reason({}, { accepts: fails })).toBe('bad_claim');
    expect(reason({ tenant: 'a' }, { accepts: ({ tenant }) => tenant === 'a' })).toBe('accepted');
  });
});

describe('A-J07: an ID token is no access token (RFC 9068, section 5)', () => {
  const hashes = [{ at_hash: 'x' }, { c_hash: 'x' }, { s_hash: 'x' }, { at_hash: null }, { at_hash: 'x', scope: 'a' }];
  const answers = [{ nonce: 'n' }, { nonce: '' }, { nonce: 'n', auth_time: now, sid: 's', azp: 'api' }];

  test.each([...hashes, ...answers])('%j tells one, whoever signed it', (members) => {
    expect(reason(members)).toBe('bad_claim');
    expect(reason(members, { keys: foreignKeys })).toBe('bad_claim');
    expect(reason(members, { idTokens: false })).toBe('bad_claim');
  });

  test.each([...hashes, ...answers])(
    '%j is taken where ID tokens are, and in what is at+jwt by its header',
    (members) => {
      expect(reason(members, { idTokens: true })).toBe('accepted');
      expect(reason(members, { types: ['at+jwt'] })).toBe('accepted');
    },
  );

  test.each([
    { nonce: 'n', scope: 'read' },
    { nonce: 'n', scope: '' },
    { nonce: 'n', scp: 'read' },
    { nonce: 'n', scp: ['read'] },
    { auth_time: now, acr: '1', amr: ['pwd'], azp: 'app', sid: 's' },
  ])('%j may stand in an access token', (members) => {
    expect(reason(members)).toBe('accepted');
  });
});

describe('a security event token is no access token (RFC 8417, section 4; OpenID Connect Back-Channel Logout 1.0, section 2.4)', () => {
  const logout = { 'http://schemas.openid.net/event/backchannel-logout': {} };

  test.each([
    { events: logout, sid: 's' },
    { events: logout, scope: 'read' },
  ])('%j tells one, whoever signed it, and where ID tokens are taken too', (members) => {
    expect(reason(members)).toBe('bad_claim');
    expect(reason(members, { keys: foreignKeys })).toBe('bad_claim');
    expect(reason(members, { idTokens: true })).toBe('bad_claim');
    // Its header says what it is.
    expect(reason(members, { types: ['at+jwt'] })).toBe('accepted');
  });
});

test.each([{ events: ['https://a.example/1'] }, { events: {} }, { events: null }, { events: { calendar: 7 } }])(
  '%j is an application’s own, and no security event',
  (members) => {
    expect(reason(members)).toBe('accepted');
  },
);

describe('what names a token and its login', () => {
  test('T27: its jti, or the SHA-256 of what was signed', () => {
    expect(read({}).jti).toBe('j');
    const [one, two] = [read({ jti: undefined, n: 1 }), read({ jti: undefined, n: 2 })];
    expect(one.jti).toMatch(/^[\w-]{43}$/);
    expect(two.jti).not.toBe(one.jti);
  });

  test('T27, A-J01: another spelling of an ECDSA signature is the same token', () => {
    const key = keyFor('ES256');
    const es = localKeys([{ kid: 'es', alg: 'ES256', key }]);
    const verifier = tokenVerifier({ issuers: [{ issuer: claims.iss, audience: 'api', keys: es }], leeway: 0 });
    const token = makeToken('ES256', key, { alg: 'ES256' }, { ...claims, jti: undefined });
    const [head, body, signature] = token.split('.') as [string, string, string];
    const raw = Buffer.from(signature, 'base64url');
    const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
    const s = (order - BigInt(`0x${raw.subarray(32).toString('hex')}`)).toString(16).padStart(64, '0');
    const respelt = `${head}.${body}.${Buffer.concat([raw.subarray(0, 32), Buffer.from(s, 'hex')]).toString('base64url')}`;
    const [one, two] = [verifier.verify(token), verifier.verify(respelt)] as [VerifiedToken, VerifiedToken];
    expect(respelt).not.toBe(token);
    expect(two.jti).toBe(one.jti);
  });

  test('sid, gen and lat are read where they make sense', () => {
    const lat = Date.now();
    expect(read({ sid: 's', gen: 3, lat })).toMatchObject({ sid: 's', generation: 3, stamp: lat });
    expect(read({ gen: 3 })).not.toHaveProperty('generation');
    for (const sid of [1, '', null, ['s'], 'x'.repeat(256), '\ud800'])
      expect(read({ sid, gen: 1 })).not.toHaveProperty('sid');
    for (const gen of [-1, 1.5, '1', null, 2 ** 53, {}])
      expect(read({ sid: 's', gen })).not.toHaveProperty('generation');
    // Whether a number can be an instant is judged where Redis' clock is known.
    for (const other of ['x', null, [lat]]) expect(read({ lat: other })).not.toHaveProperty('stamp');
  });
});

describe('T38: the claims', () => {
  test('have no prototype, are frozen throughout, and hold no __proto__', () => {
    const payload = `{"__proto__":{"isAdmin":true},"a":{"__proto__":{"isAdmin":true},"b":[{"c":1}]},${JSON.stringify(claims).slice(1)}`;
    const token = makeToken('HS256', secret, { alg: 'HS256' }, payload);
    const { claims: read } = tokenVerifier({
      issuers: [{ issuer: claims.iss, audience: 'api', keys }],
      leeway: 0,
    }).verify(token) as VerifiedToken;
    const { a } = read as { a: { b: { c: number }[] } };
    for (const part of [read, a, a.b[0]] as object[]) {
      expect(Object.getPrototypeOf(part)).toBeNull();
      expect(Object.isFrozen(part)).toBe(true);
      expect(Object.keys(part)).not.toContain('__proto__');
      expect((part as { isAdmin?: boolean }).isAdmin).toBeUndefined();
      expect((Object.assign({}, part) as { isAdmin?: boolean }).isAdmin).toBeUndefined();
    }
    expect(Object.isFrozen(a.b)).toBe(true);
    expect(({} as { isAdmin?: boolean }).isAdmin).toBeUndefined();
  });

  test('scopes and roles cannot be added to', () => {
    const { scopes, roles } = read({ scope: 'a', roles: 'b', n: randomBytes(4).toString('hex') });
    expect(() => (scopes as string[]).push('admin')).toThrow(TypeError);
    expect(() => (roles as string[]).push('admin')).toThrow(TypeError);
  });
});
