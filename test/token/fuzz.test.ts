import { createPublicKey, type KeyObject } from 'node:crypto';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { InvalidToken } from '../../lib/errors.ts';
import type { Alg } from '../../lib/token/keys.ts';
import { localKeys } from '../../lib/token/local-keys.ts';
import { tokenVerifier } from '../../lib/token/verifier.ts';
import { keyFor } from './key-material.ts';
import { goodClaims } from './key-server.ts';
import { makeToken, segment } from './make-token.ts';

// More by FUZZ_TOKENS=1000000; the seed of a failure is in its message, and FUZZ_SEED repeats it.
const TOKENS = Number(process.env['FUZZ_TOKENS'] ?? 100_000);
const SEED = process.env['FUZZ_SEED'];
const run = (numRuns: number) => ({
  numRuns,
  endOnFailure: true,
  ...(SEED === undefined ? {} : { seed: Number(SEED) }),
});

const ISSUER = 'https://auth.example';
const ALGS = ['HS256', 'ES256', 'EdDSA', 'RS256'] as const satisfies readonly Alg[];
const pairs = ALGS.map((alg) => ({ alg, kid: `key-${alg}`, key: keyFor(alg) }));
const isSecret = ({ alg }: { alg: Alg }) => alg === 'HS256';
// Two issuers, because secrets and key pairs do not go together.
const verifier = tokenVerifier({
  leeway: 5_000,
  issuers: [
    { issuer: ISSUER, audience: 'api', keys: localKeys(pairs.filter((pair) => !isSecret(pair))) },
    { issuer: `${ISSUER}/secret`, audience: 'api', keys: localKeys(pairs.filter(isSecret)) },
  ],
});

interface Sample {
  readonly alg: Alg;
  readonly key: KeyObject;
  readonly header: object;
  readonly claims: object;
  readonly token: string;
}
const samples: Sample[] = [];

beforeAll(() => {
  for (const { alg, kid, key } of pairs) {
    const header = { alg, kid, typ: 'at+jwt' };
    const claims = goodClaims({ iss: alg === 'HS256' ? `${ISSUER}/secret` : ISSUER, aud: 'api', scope: 'read' });
    samples.push({ alg, key, header, claims, token: makeToken(alg, key, header, claims) });
  }
});

/** What the verifier makes of a token: what it threw, or undefined where it was taken. */
function refusalOf(token: string): unknown {
  try {
    verifier.verify(token);
    return undefined;
  } catch (error) {
    return error;
  }
}

const BASE64URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const character = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...BASE64URL) },
  { weight: 2, arbitrary: fc.constantFrom('.', '=', '+', '/', ' ', '\n', '\0', '%', '"', '\u00e9', '\u{1f600}') },
);

/** One change to a text: a character replaced, put in or taken out, a piece doubled, moved or cut off. */
const change = fc.record({
  kind: fc.constantFrom('replace', 'insert', 'remove', 'double', 'swap', 'cut', 'flip'),
  at: fc.nat(),
  length: fc.integer({ min: 1, max: 12 }),
  text: fc.string({ unit: character, minLength: 1, maxLength: 4 }),
});
type Change = typeof change extends fc.Arbitrary<infer Value> ? Value : never;

function bend(text: string, { kind, at, length, text: more }: Change): string {
  const place = at % (text.length + 1);
  const [head, piece, tail] = [text.slice(0, place), text.slice(place, place + length), text.slice(place + length)];
  switch (kind) {
    case 'replace':
      return head + more + text.slice(place + more.length);
    case 'insert':
      return head + more + piece + tail;
    case 'remove':
      return head + tail;
    case 'double':
      return head + piece + piece + tail;
    case 'swap':
      return head + [...piece].reverse().join('') + tail;
    case 'cut':
      return at % 2 === 0 ? head : piece + tail;
    default:
      // The last bits of a segment, which a careless decoder drops.
      return text.replace(/(.)(?=\.|$)/g, (last) => BASE64URL[BASE64URL.indexOf(last) ^ (at % 64)] ?? last);
  }
}

const anyJson = fc.oneof(
  fc.jsonValue(),
  fc.constantFrom<unknown>(null, [], {}, '', 0, -1, 1e300, true, ISSUER, 'api', ['api'], '__proto__'),
);
const claimNames = ['iss', 'sub', 'aud', 'exp', 'iat', 'nbf', 'jti', 'scope', 'typ', '__proto__', 'constructor'];
const headerNames = ['alg', 'kid', 'typ', 'crit', 'b64', 'jwk', 'jku', 'x5c', 'x5u', 'zip', 'cty', '__proto__'];

/** ECDSA gives every signature a second spelling (n − s): the token is the same, and so is its name. */
const untouched = (token: string) => samples.some((sample) => sample.token === token);

describe('fuzz', () => {
  test('texts near a good token are all refused, and as invalid tokens', () => {
    fc.assert(
      fc.property(fc.nat(3), fc.array(change, { minLength: 1, maxLength: 3 }), (which, changes) => {
        const token = changes.reduce(bend, (samples[which] as Sample).token);
        fc.pre(!untouched(token));
        expect(refusalOf(token)).toBeInstanceOf(InvalidToken);
      }),
      run(Math.ceil(TOKENS * 0.6)),
    );
  }, 600_000);

  test('headers, claims and signatures of anything at all, put together in order, are refused', () => {
    const header = fc.dictionary(fc.constantFrom(...headerNames), anyJson, { maxKeys: 4 });
    const claims = fc.dictionary(fc.constantFrom(...claimNames), anyJson, { maxKeys: 4 });
    fc.assert(
      fc.property(
        fc.nat(3),
        header,
        claims,
        fc.boolean(),
        fc.uint8Array({ maxLength: 140 }),
        (which, head, body, old, bytes) => {
          const sample = samples[which] as Sample;
          const signature = old ? sample.token.split('.')[2] : Buffer.from(bytes).toString('base64url');
          const token = `${segment({ ...sample.header, ...head })}.${segment({ ...sample.claims, ...body })}.${signature}`;
          fc.pre(!untouched(token));
          expect(refusalOf(token)).toBeInstanceOf(InvalidToken);
        },
      ),
      run(Math.ceil(TOKENS * 0.3)),
    );
  }, 600_000);

  test('well signed claims are taken only if every rule holds, and else refused by their claim', () => {
    const required = ['iss', 'sub', 'aud', 'exp', 'iat'];
    fc.assert(
      fc.property(fc.nat(2), fc.constantFrom(...required), anyJson, (which, name, value) => {
        const { alg, key, header, claims } = samples[which] as Sample;
        const good = (claims as Record<string, unknown>)[name];
        const harmless = {
          iss: value === good,
          sub: typeof value === 'string' && value !== '' && !/[\p{Cc}\p{Cs}]/u.test(value),
          aud: value === 'api' || (Array.isArray(value) && value.includes('api')),
          exp: typeof value === 'number' && value > Date.now() / 1_000,
          iat: typeof value === 'number' && value >= 0 && value <= Date.now() / 1_000 + 5,
        }[name];
        fc.pre(harmless !== true);
        const error = refusalOf(makeToken(alg, key, header, { ...claims, [name]: value }));
        expect(error).toBeInstanceOf(InvalidToken);
        // The other issuer has other keys.
        const reasons = ['bad_claim', 'expired', 'malformed', ...(name === 'iss' ? ['unknown_key'] : [])];
        expect(reasons).toContain((error as InvalidToken).reason);
      }),
      run(Math.ceil(TOKENS * 0.06)),
    );
  }, 600_000);

  test('a public key in any spelling is no secret, and bytes of any kind are no token', () => {
    const spellings = pairs
      .filter((pair) => !isSecret(pair))
      .map(({ key }) => createPublicKey(key).export({ type: 'spki', format: 'pem' }) as string);
    fc.assert(
      fc.property(
        fc.oneof(fc.constantFrom(...spellings), fc.string({ unit: 'binary', maxLength: 200 })),
        fc.string(),
        (text, more) => {
          const { claims } = samples[0] as Sample;
          expect(refusalOf(text)).toBeInstanceOf(InvalidToken);
          expect(refusalOf(`${text}.${more}.${text}`)).toBeInstanceOf(InvalidToken);
          expect(refusalOf(`${segment(text)}.${segment(claims)}.${segment(more)}`)).toBeInstanceOf(InvalidToken);
        },
      ),
      run(Math.ceil(TOKENS * 0.04)),
    );
  }, 600_000);

  test('the good ones are taken all the while', () => {
    for (const { token } of samples) expect(refusalOf(token)).toBeUndefined();
  });
});
