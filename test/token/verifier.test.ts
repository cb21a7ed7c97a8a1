import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { StoreUnavailable, Unauthenticated } from '../../lib/errors.ts';
import { mint } from '../../lib/token/issuer.ts';
import type { Key, TrustedIssuer, VerificationKeys } from '../../lib/token/keys.ts';
import { localKeys } from '../../lib/token/local-keys.ts';
import { recentTokens } from '../../lib/token/recent-tokens.ts';
import { tokenVerifier } from '../../lib/token/verifier.ts';
import { keyFor } from './key-material.ts';
import { makeToken } from './make-token.ts';

const A = 'https://a.example';
const B = 'https://b.example';
const input = { kid: 'k', alg: 'HS256', key: keyFor('HS256') } as const;

function issuer(name = A, others: Pick<TrustedIssuer, 'accepts'> = {}) {
  return { issuer: name, audience: 'api', keys: localKeys([{ ...input, key: keyFor('HS256') }]), ...others };
}
const tokenOf = (trusted: ReturnType<typeof issuer>, lifetime = 600_000, subject = 'u') =>
  mint({ ...trusted, lifetime }, { subject }).token;
const verifierOf = (...issuers: TrustedIssuer[]) => tokenVerifier({ issuers, leeway: 0 });
const refusedAs = (reason: string) => expect.objectContaining({ reason });

describe('several issuers', () => {
  test('T28: two issuers, one subject: two users', () => {
    const [a, b] = [issuer(A), issuer(B)];
    const verifier = verifierOf(a, b);
    expect(verifier.verify(tokenOf(a))).toMatchObject({ issuer: A, subject: 'u' });
    expect(verifier.verify(tokenOf(b))).toMatchObject({ issuer: B, subject: 'u' });
  });

  test('T01: keys of the same name never cross over', () => {
    const [a, b] = [issuer(A), issuer(B)];
    expect(() => verifierOf(a, b).verify(tokenOf({ ...b, issuer: A }))).toThrow(refusedAs('bad_signature'));
    expect(() => verifierOf(a).verify(tokenOf(b))).toThrow(refusedAs('bad_claim'));
  });

  test('T01: an issuer that is not trusted has no key looked for', () => {
    const asked: unknown[] = [];
    const a = issuer();
    const find = (header: object) => {
      asked.push(header);
      return undefined;
    };
    const spied = { ...a, keys: { find } };
    expect(() => verifierOf(spied).verify(tokenOf(issuer(B)))).toThrow();
    expect(asked).toEqual([]);
    expect(() => verifierOf(spied).verify(tokenOf(a))).toThrow(refusedAs('unknown_key'));
    expect(asked).toEqual([{ alg: 'HS256', kid: 'k' }]);
  });

  test('one issuer given twice is a mistake', () => {
    expect(() => verifierOf(issuer(), issuer())).toThrow(
      new TypeError(`the issuer "${A}" is given twice: give it once`),
    );
  });
});

describe('T01: before the signature is proved', () => {
  test('no claim is shown to anybody', () => {
    const seen: unknown[] = [];
    const accepts = (claims: object) => seen.push(claims) > 0;
    const [trusted, thief] = [issuer(A, { accepts }), issuer(A)];
    expect(() => verifierOf(trusted).verify(tokenOf(thief))).toThrow(refusedAs('bad_signature'));
    expect(seen).toEqual([]);
    verifierOf(trusted).verify(tokenOf(trusted));
    expect(seen.length).toBe(1);
  });

  test('an expired or misaddressed forgery is only called a forgery', () => {
    const thief = issuer();
    const forged = makeToken('HS256', thief.keys.current.key, { alg: 'HS256' }, { iss: A, exp: 0 });
    expect(() => verifierOf(issuer()).verify(forged)).toThrow(refusedAs('bad_signature'));
    expect(() => verifierOf(issuer()).verifyExpired(forged)).toThrow(refusedAs('bad_signature'));
  });
});

describe('keys that are found by other means', () => {
  const a = issuer();
  const found = a.keys.find({ alg: 'HS256' }) as Key;
  const withFind = (find: VerificationKeys['find']) => verifierOf({ ...a, keys: { find } });

  test('at hand: the verdict is at hand too', () => {
    expect(withFind(() => found).verify(tokenOf(a))).toMatchObject({ subject: 'u' });
  });

  test('later: the verdict comes later, good or bad, at first and again', async () => {
    const verifier = withFind(async () => found);
    const token = tokenOf(a);
    const [first, second] = [await verifier.verify(token), await verifier.verify(token)];
    expect(first).toMatchObject({ subject: 'u' });
    expect(second).toBe(first);
    await expect(verifier.verify(tokenOf(issuer()))).rejects.toThrow(refusedAs('bad_signature'));
    await expect(withFind(async () => undefined).verify(token)).rejects.toThrow(refusedAs('unknown_key'));
  });

  test('not to be had: 503, for the token may be good', async () => {
    const fails = () => {
      throw new Error('connect ECONNREFUSED');
    };
    expect(() => withFind(fails).verify(tokenOf(a))).toThrow(StoreUnavailable);
    await expect(withFind(async () => fails()).verify(tokenOf(a))).rejects.toThrow(StoreUnavailable);
  });

  test('what they refuse by themselves stands', () => {
    const refuses = () => {
      throw new Unauthenticated();
    };
    expect(() => withFind(refuses).verify(tokenOf(a))).toThrow(Unauthenticated);
  });

  test('T04: a key for another algorithm, or one that does not fit its own, verifies nothing', () => {
    const rsa = keyFor('RS256');
    for (const key of [
      { ...found, alg: 'HS512' },
      { kid: 'k', alg: 'HS256', key: rsa },
      { kid: 'k', alg: 'EdDSA', key: rsa },
    ] as Key[]) {
      expect(() => withFind(() => key).verify(tokenOf(a)), key.alg).toThrow(refusedAs('unknown_key'));
    }
    const ed = { kid: 'k', alg: 'EdDSA', key: keyFor('EdDSA') } as const;
    const now = Math.floor(Date.now() / 1000);
    const misnamed = makeToken(
      'EdDSA',
      ed.key,
      { alg: 'HS256' },
      { iss: A, aud: 'api', sub: 'u', iat: now, exp: now + 60 },
    );
    expect(() => withFind(() => ed).verify(misnamed)).toThrow(refusedAs('unknown_key'));
    const token = makeToken('RS256', rsa, { alg: 'EdDSA' }, { iss: A });
    expect(() => withFind(() => ({ kid: 'k', alg: 'EdDSA', key: rsa })).verify(token)).toThrow(
      refusedAs('unknown_key'),
    );
  });
});

describe('verifyExpired', () => {
  const a = issuer();
  const verifier = verifierOf(a);

  test('takes what is merely expired, and nothing else that is wrong', async () => {
    const token = tokenOf(a, 1);
    await sleep(5);
    expect(() => verifier.verify(token)).toThrow(refusedAs('expired'));
    expect(verifier.verifyExpired(token)).toMatchObject({ subject: 'u' });
    expect(() => verifier.verify(token)).toThrow(refusedAs('expired'));
    expect(() => verifier.verifyExpired(tokenOf({ ...a, audience: 'other' }, 1))).toThrow(refusedAs('bad_claim'));
    expect(() => verifier.verifyExpired('x')).toThrow(refusedAs('malformed'));
  });

  test('gives a good token as verify does', () => {
    const token = tokenOf(a);
    expect(verifier.verifyExpired(token)).toBe(verifier.verify(token));
  });
});

describe('T40: a token met before', () => {
  test('gives the same object, and its neighbour its own', () => {
    const a = issuer();
    const verifier = verifierOf(a);
    const [one, two] = [tokenOf(a, 600_000, 'one'), tokenOf(a, 600_000, 'two')];
    const first = verifier.verify(one);
    expect(verifier.verify(two)).toMatchObject({ subject: 'two' });
    expect(verifier.verify(one)).toBe(first);
    expect(first).toMatchObject({ subject: 'one' });
    expect(Object.isFrozen(first)).toBe(true);
  });

  test('expires on time', async () => {
    const a = issuer();
    const verifier = verifierOf(a);
    const token = tokenOf(a, 400);
    expect(verifier.verify(token)).toBe(verifier.verify(token));
    await sleep(420);
    expect(() => verifier.verify(token)).toThrow(refusedAs('expired'));
    expect(() => verifier.verify(token)).toThrow(refusedAs('expired'));
  });

  test('K11: dies with its key at once', () => {
    const a = issuer();
    const verifier = verifierOf(a);
    const token = tokenOf(a);
    verifier.verify(token);
    a.keys.replace([{ ...input, kid: 'other' }]);
    expect(() => verifier.verify(token)).toThrow(refusedAs('unknown_key'));
    a.keys.replace([{ ...input, key: keyFor('HS256') }]);
    expect(() => verifier.verify(token)).toThrow(refusedAs('bad_signature'));
  });

  test('is judged anew when its key is read anew', () => {
    const trusted = { ...issuer(), keys: localKeys([input]) };
    const verifier = verifierOf(trusted);
    const token = tokenOf(trusted);
    const first = verifier.verify(token);
    trusted.keys.replace([input]);
    expect(verifier.verify(token)).toEqual(first);
    expect(verifier.verify(token)).not.toBe(first);
  });

  test('is asked about again where the issuer has a last word', () => {
    let open = true;
    const a = issuer(A, { accepts: () => open });
    const verifier = verifierOf(a);
    const token = tokenOf(a);
    expect(verifier.verify(token)).toMatchObject({ subject: 'u' });
    open = false;
    expect(() => verifier.verify(token)).toThrow(refusedAs('bad_claim'));
    open = true;
    expect(verifier.verify(token)).toMatchObject({ subject: 'u' });
  });

  test('one changed character makes it another token', () => {
    const a = issuer();
    const verifier = verifierOf(a);
    const token = tokenOf(a);
    verifier.verify(token);
    for (let place = 0; place < token.length; place++) {
      const changed = token.slice(0, place) + (token[place] === 'A' ? 'B' : 'A') + token.slice(place + 1);
      expect(() => verifier.verify(changed), String(place)).toThrow(expect.objectContaining({ status: 401 }));
    }
  });

  test('A-D03: no more than a thousand are remembered, those in use among them', () => {
    const recent = recentTokens<number>();
    recent.set('busy', -1);
    for (let index = 0; index < 10_000; index++) {
      recent.set(`token-${index}`, index);
      expect(recent.get('busy')).toBe(-1);
    }
    const kept = Array.from({ length: 10_000 }, (_, index) => `token-${index}`).filter(
      (token) => recent.get(token) !== undefined,
    );
    expect(kept.length).toBeLessThanOrEqual(1_000);
    expect(kept).toContain('token-9999');
    recent.delete('busy');
    expect(recent.get('busy')).toBeUndefined();
  });

  test('T36: long ones are verified and not remembered', () => {
    const a = issuer();
    const verifier = verifierOf(a);
    const now = Math.floor(Date.now() / 1000);
    const payload = { iss: A, aud: 'api', sub: 'u', iat: now, exp: now + 60, x: 'x'.repeat(5_000) };
    const token = makeToken('HS256', a.keys.current.key, { alg: 'HS256' }, payload);
    const first = verifier.verify(token);
    expect(verifier.verify(token)).toEqual(first);
    expect(verifier.verify(token)).not.toBe(first);
  });
});
