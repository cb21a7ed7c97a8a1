import { createPublicKey, createSecretKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { mint } from '../../lib/token/issuer.ts';
import { checkSigningKeys, isSigningKeys, type KeyInput } from '../../lib/token/keys.ts';
import { localKeys } from '../../lib/token/local-keys.ts';
import { tokenVerifier } from '../../lib/token/verifier.ts';
import { ALGS, keyFor, pem, rsaKey } from './key-material.ts';

const issuer = { issuer: 'https://issuer.example', audience: 'https://api.example' };
const rsa = keyFor('RS256');
const ec = keyFor('ES256');
const secret = randomBytes(32);

const one = (input: Partial<KeyInput> & Pick<KeyInput, 'key'>) => localKeys([{ kid: 'one', alg: 'RS256', ...input }]);
const tokenOf = (keys: ReturnType<typeof localKeys>) =>
  mint({ ...issuer, keys, lifetime: 60_000 }, { subject: 'u' }).token;
const verify = (keys: ReturnType<typeof localKeys>, token: string) =>
  tokenVerifier({ issuers: [{ ...issuer, keys }], leeway: 0 }).verify(token);

describe('forms of a key', () => {
  const traditional = rsa.export({ type: 'pkcs1', format: 'pem' }) as string;
  const locked = rsa.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'open' }) as string;
  const signing: readonly (readonly [string, Omit<KeyInput, 'kid'>])[] = [
    ['PKCS#8 PEM', { alg: 'RS256', key: pem(rsa) }],
    ['PKCS#1 PEM', { alg: 'RS256', key: traditional }],
    ['PEM in a Buffer', { alg: 'RS256', key: Buffer.from(pem(rsa)) }],
    ['PEM with blanks in front', { alg: 'RS256', key: `  \n\t${pem(rsa)}` }],
    ['PEM with a byte order mark', { alg: 'RS256', key: `\ufeff${pem(rsa)}` }],
    ['PEM with CRLF', { alg: 'RS256', key: pem(rsa).replaceAll('\n', '\r\n') }],
    [
      'PEM with \\n written out, as in an environment variable',
      { alg: 'RS256', key: pem(rsa).replaceAll('\n', '\\n') },
    ],
    ['PEM under a passphrase', { alg: 'RS256', key: locked, passphrase: 'open' }],
    ['KeyObject', { alg: 'RS256', key: rsa }],
    ['JWK', { alg: 'RS256', key: rsa.export({ format: 'jwk' }) }],
    [
      'JWK with use, key_ops and alg',
      { alg: 'ES256', key: { ...ec.export({ format: 'jwk' }), use: 'sig', key_ops: ['sign'], alg: 'ES256' } },
    ],
    ['SEC1 PEM', { alg: 'ES256', key: ec.export({ type: 'sec1', format: 'pem' }) }],
    ['JWK that says Ed25519', { alg: 'EdDSA', key: { ...keyFor('EdDSA').export({ format: 'jwk' }), alg: 'Ed25519' } }],
    ['bare secret', { alg: 'HS256', key: secret.toString('base64') }],
    ['secret bytes', { alg: 'HS256', key: secret }],
    ['secret KeyObject', { alg: 'HS256', key: createSecretKey(secret) }],
    ['secret JWK', { alg: 'HS256', key: { kty: 'oct', k: secret.toString('base64url') } }],
  ];

  test.each(signing)('%s signs and verifies', (_form, input) => {
    const keys = localKeys([{ kid: 'one', ...input }]);
    expect(verify(keys, tokenOf(keys))).toMatchObject({ subject: 'u', kid: 'one' });
  });

  test('three forms of one secret are one secret', () => {
    const forms = [secret, createSecretKey(secret), { kty: 'oct', k: secret.toString('base64url') }];
    const token = tokenOf(one({ alg: 'HS256', key: secret }));
    for (const key of forms) expect(verify(one({ alg: 'HS256', key }), token)).toMatchObject({ subject: 'u' });
  });

  const halves = createPublicKey(rsa);
  test.each([
    ['SPKI PEM', pem(halves)],
    ['PKCS#1 PEM', halves.export({ type: 'pkcs1', format: 'pem' })],
    ['KeyObject', halves],
    ['JWK', halves.export({ format: 'jwk' })],
  ])('a public key as %s verifies, and says so when asked to sign', (_form, key) => {
    const keys = one({ key });
    expect(verify(keys, tokenOf(one({ key: rsa })))).toMatchObject({ subject: 'u' });
    expect(() => tokenOf(keys)).toThrow(
      new TypeError('the key "one" is public only: to sign, put a private key first'),
    );
    expect(() => checkSigningKeys('hybridAuth', keys)).toThrow(
      'hybridAuth: the first key signs, and "one" is public only: put a private key first',
    );
  });

  test('the private half of a key is not what verifies', async () => {
    const keys = one({ key: rsa });
    expect(keys.current.key.type).toBe('private');
    expect((await keys.find({ alg: 'RS256', kid: 'one' }))?.key.type).toBe('public');
  });
});

describe('refused when made', () => {
  const jwk = ec.export({ format: 'jwk' });
  const rejected: readonly (readonly [name: string, input: unknown, complaint: RegExp])[] = [
    ['T02: no alg', { kid: 'a', key: rsa }, /needs an "alg", one of HS256/],
    ['T02: alg none', { kid: 'a', alg: 'none', key: rsa }, /needs an "alg", one of HS256/],
    ['T02: alg in lower case', { kid: 'a', alg: 'rs256', key: rsa }, /needs an "alg"/],
    ['T35: alg HS1', { kid: 'a', alg: 'HS1', key: secret }, /needs an "alg"/],
    ['T02: alg __proto__', { kid: 'a', alg: '__proto__', key: secret }, /needs an "alg"/],
    ['no kid', { alg: 'RS256', key: rsa }, /every key needs a "kid"/],
    ['an empty kid', { kid: '', alg: 'RS256', key: rsa }, /every key needs a "kid"/],
    ['a kid that is a number', { kid: 1, alg: 'RS256', key: rsa }, /every key needs a "kid"/],
    ['a kid beyond ASCII', { kid: 'ключ', alg: 'RS256', key: rsa }, /ASCII/],
    ['a kid of 256 characters', { kid: 'x'.repeat(256), alg: 'RS256', key: rsa }, /1 to 255/],
    ['a misspelt option', { kid: 'a', algo: 'RS256', key: rsa }, /unknown option "algo", did you mean "alg"\?/],
    ['no key', { kid: 'a', alg: 'RS256' }, /is empty: is its environment variable set\?/],
    ['an empty key', { kid: 'a', alg: 'HS256', key: '' }, /is empty/],
    ['a key that is a number', { kid: 'a', alg: 'HS256', key: 5 }, /TypeError|takes/],
    [
      'K01: a short secret',
      { kid: 'a', alg: 'HS256', key: 'x'.repeat(31) },
      /needs a secret of at least 32 bytes; make one with: openssl rand -base64 32/,
    ],
    ['K01: no bytes', { kid: 'a', alg: 'HS256', key: Buffer.alloc(0) }, /at least 32 bytes/],
    ['K01: HS512 with 63 bytes', { kid: 'a', alg: 'HS512', key: randomBytes(63) }, /at least 64 bytes/],
    ['K01: a short secret as JWK', { kid: 'a', alg: 'HS256', key: { kty: 'oct', k: 'AAAA' } }, /at least 32 bytes/],
    [
      'a JWK secret in plain base64',
      { kid: 'a', alg: 'HS256', key: { kty: 'oct', k: Buffer.alloc(32, 0xfb).toString('base64') } },
      /not base64url/,
    ],
    [
      'K03: RSA of 1024 bits',
      { kid: 'a', alg: 'RS256', key: rsaKey(1024) },
      /at least 2048 bits; make one with: openssl genpkey/,
    ],
    ['T41: the wrong curve', { kid: 'a', alg: 'ES384', key: ec }, /takes a key on the curve secp384r1/],
    ['T03: an EC key for RS256', { kid: 'a', alg: 'RS256', key: ec }, /takes a key of type rsa, not ec/],
    [
      'T03: a secret KeyObject for RS256',
      { kid: 'a', alg: 'RS256', key: createSecretKey(secret) },
      /takes a key of type rsa, not secret/,
    ],
    [
      'T03: a public KeyObject for HS256',
      { kid: 'a', alg: 'HS256', key: createPublicKey(rsa) },
      /takes a key of type secret, not rsa/,
    ],
    [
      'T03: a JWK secret for RS256',
      { kid: 'a', alg: 'RS256', key: { kty: 'oct', k: secret.toString('base64url') } },
      /takes a key pair, not a secret/,
    ],
    ['T03: a JWK pair for HS256', { kid: 'a', alg: 'HS256', key: jwk }, /takes a secret, not a key pair/],
    [
      'a bare string for RS256',
      { kid: 'a', alg: 'RS256', key: 'x'.repeat(64) },
      /a bare string is a secret only under HS256/,
    ],
    [
      'a broken PEM',
      { kid: 'a', alg: 'RS256', key: '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----' },
      /is a PEM that cannot be read/,
    ],
    [
      'a wrong passphrase',
      {
        kid: 'a',
        alg: 'RS256',
        key: rsa.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'open' }),
        passphrase: 'shut',
      },
      /this "passphrase" does not open it/,
    ],
    [
      'no passphrase',
      {
        kid: 'a',
        alg: 'RS256',
        key: rsa.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'open' }),
      },
      /is encrypted/,
    ],
    ['K05: use enc', { kid: 'a', alg: 'ES256', key: { ...jwk, use: 'enc' } }, /"use" is not "sig"/],
    [
      'K05: key_ops for encryption',
      { kid: 'a', alg: 'ES256', key: { ...jwk, key_ops: ['deriveKey'] } },
      /"key_ops" permit neither/,
    ],
    ['K05: key_ops empty', { kid: 'a', alg: 'ES256', key: { ...jwk, key_ops: [] } }, /"key_ops"/],
    ['K05: key_ops that are no list', { kid: 'a', alg: 'ES256', key: { ...jwk, key_ops: 'sign' } }, /"key_ops"/],
    ['K05: another alg', { kid: 'a', alg: 'ES256', key: { ...jwk, alg: 'ES384' } }, /for another "alg"/],
    [
      'T41: a point off its curve',
      { kid: 'a', alg: 'ES256', key: { ...createPublicKey(ec).export({ format: 'jwk' }), y: jwk.x } },
      /point on the curve/,
    ],
    [
      'T41: a point that is too short',
      { kid: 'a', alg: 'ES256', key: { ...createPublicKey(ec).export({ format: 'jwk' }), x: 'AA' } },
      /makes no key/,
    ],
    [
      'a private half with the public half of another',
      { kid: 'a', alg: 'ES256', key: { ...keyFor('ES256').export({ format: 'jwk' }), d: jwk.d } },
      /makes no key|do not belong together/,
    ],
    [
      'an object that is no key',
      { kid: 'a', alg: 'ES256', key: {} },
      /takes a PEM, a JWK \(with "kty"\) or a KeyObject/,
    ],
    [
      'T35: Ed448',
      { kid: 'a', alg: 'EdDSA', key: generateKeyPairSync('ed448').privateKey },
      /takes a key of type ed25519, not ed448/,
    ],
  ];

  test.each(rejected)('%s', (_name, input, complaint) => {
    const make = () => localKeys([input as KeyInput]);
    expect(make).toThrow(TypeError);
    expect(make).toThrow(complaint);
  });

  test('T02: no keys at all', () => {
    expect(() => localKeys([])).toThrow('localKeys: takes a list of keys: localKeys([{ kid, alg, key }])');
    expect(() => localKeys(undefined as never)).toThrow(TypeError);
    expect(() => localKeys({ kid: 'a', alg: 'RS256', key: rsa } as never)).toThrow(TypeError);
  });

  test('K06: two keys of one name', () => {
    const same = [
      { kid: 'a', alg: 'RS256', key: rsa },
      { kid: 'a', alg: 'ES256', key: ec },
    ] as const;
    expect(() => localKeys(same)).toThrow('localKeys: two keys are named "a"');
  });

  test('K06: a secret beside a key pair', () => {
    const mixed = [
      { kid: 'a', alg: 'RS256', key: rsa },
      { kid: 'b', alg: 'HS256', key: secret },
    ] as const;
    expect(() => localKeys(mixed)).toThrow('localKeys: secrets (HS256, …) and key pairs do not go together');
  });

  test('K13: no complaint shows a key or a passphrase', () => {
    const canary = 'canary-canary-canary';
    const bad: KeyInput[] = [
      { kid: 'a', alg: 'HS256', key: canary },
      { kid: 'a', alg: 'RS256', key: `${canary}${canary}` },
      { kid: 'a', alg: 'RS256', key: `-----BEGIN PRIVATE KEY-----\n${canary}\n-----END PRIVATE KEY-----` },
      { kid: 'a', alg: 'RS256', key: '-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA', passphrase: canary },
      { kid: 'a', alg: 'HS256', key: { kty: 'oct', k: canary } },
    ];
    for (const input of bad) {
      const error = (() => {
        try {
          localKeys([input]);
        } catch (thrown) {
          return thrown;
        }
      })();
      expect(error).toBeInstanceOf(TypeError);
      expect(inspect(error, { depth: 9 }).replace(/ {4}at .*/g, '')).not.toContain('canary');
    }
    expect(
      inspect(one({ alg: 'HS256', key: `${canary}-${randomBytes(16).toString('hex')}` }), {
        depth: 9,
        showHidden: true,
      }),
    ).not.toContain('canary');
  });
});

describe('K04: a key offered as a secret is never taken for one', () => {
  const publicKey = createPublicKey(rsa);
  const text = pem(publicKey);
  const der = publicKey.export({ type: 'spki', format: 'der' });
  const forms: readonly (readonly [string, string | Buffer])[] = [
    ['as it is', text],
    ['without its last line break', text.trim()],
    ['with blanks in front', `   ${text}`],
    ['with line breaks in front', `\n\r\n${text}`],
    ['with a byte order mark', `\ufeff${text}`],
    ['with CRLF', text.replaceAll('\n', '\r\n')],
    ['with \\n written out', text.replaceAll('\n', '\\n')],
    ['in one line', text.replaceAll('\n', ' ')],
    ['in quotes', JSON.stringify(text)],
    ['with text in front', `key: ${text}`],
    ['in lower case', text.toLowerCase()],
    ['percent-encoded', encodeURIComponent(text)],
    ['in UTF-16', Buffer.from(text, 'utf16le')],
    ['as base64 of the PEM', Buffer.from(text).toString('base64')],
    ['without its first and last line', text.split('\n').slice(1, -2).join('\n')],
    ['as base64url of the DER', der.toString('base64url')],
    ['as DER', der],
    ['as PKCS#1', publicKey.export({ type: 'pkcs1', format: 'pem' })],
    ['as PKCS#1 DER', publicKey.export({ type: 'pkcs1', format: 'der' })],
    ['as JWK text', JSON.stringify(publicKey.export({ format: 'jwk' }))],
    ['as an ssh key', `ssh-rsa ${der.toString('base64')} me@host`],
    ['a private key', pem(rsa)],
    ['an EC public key', pem(createPublicKey(ec))],
    [
      'an Ed25519 public key in base64',
      createPublicKey(keyFor('EdDSA')).export({ type: 'spki', format: 'der' }).toString('base64'),
    ],
    [
      'a certificate',
      '-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUQ1RqUO5zZ2FzZGZhc2RmYXNkZg==\n-----END CERTIFICATE-----',
    ],
  ];

  test.each(forms)('%s', (_form, key) => {
    expect(() => one({ alg: 'HS256', key })).toThrow(/is given a key, not a secret/);
    expect(() => one({ alg: 'HS256', key: createSecretKey(Buffer.from(key as string)) })).toThrow(
      /is given a key, not a secret/,
    );
  });
});

describe('K02: a secret that anybody could guess', () => {
  test.each([
    'secret'.repeat(6),
    'your-256-bit-secret'.repeat(2),
    'your-256-bit-secretyour-256-bit-s',
    'a-string-secret-at-least-256-bits-long',
    'A-String-Secret-At-Least-256-Bits-Long\n',
    'changeme'.repeat(4),
    'changeme'.repeat(5).slice(0, 33),
    'password'.repeat(9),
    'keyboard cat'.repeat(3),
    'a'.repeat(32),
    '\0'.repeat(32),
    ' '.repeat(40),
    'ab'.repeat(20),
    '1234567890'.repeat(4),
    '0123456789abcdef0123456789abcdef',
    'super-secret-jwt-token-with-at-least-32-characters-long',
    'abcdefghijklmnopqrstuvwxyz123456',
  ])('%j', (key) => {
    expect(() => one({ alg: 'HS256', key })).toThrow(/everybody knows|repeats itself/);
  });

  test('bytes that only count up, and zeros', () => {
    expect(() => one({ alg: 'HS256', key: Buffer.from(Array.from({ length: 32 }, (_, index) => index)) })).toThrow(
      /repeats itself/,
    );
    expect(() => one({ alg: 'HS256', key: Buffer.alloc(64) })).toThrow(/repeats itself/);
  });

  test('random ones, in any spelling, are taken', () => {
    for (let round = 0; round < 200; round++) {
      const bytes = randomBytes(32);
      for (const key of [bytes, bytes.toString('hex'), bytes.toString('base64'), bytes.toString('base64url')])
        one({ alg: 'HS256', key });
    }
    one({ alg: 'HS256', key: 'correct horse battery staple, and more words' });
  });
});

describe('finding a key', () => {
  const second = rsaKey(2048);
  const keys = localKeys([
    { kid: 'a', alg: 'RS256', key: rsa },
    { kid: 'b', alg: 'RS256', key: second },
    { kid: 'c', alg: 'ES256', key: ec },
    { kid: 'd', alg: 'EdDSA', key: keyFor('EdDSA') },
  ]);

  test('T08: by its kid, to the letter, and only under its own algorithm', () => {
    expect(keys.find({ alg: 'RS256', kid: 'b' })).toMatchObject({ kid: 'b', alg: 'RS256' });
    for (const kid of ['B', 'b ', '', 'x', '__proto__', 'constructor'])
      expect(keys.find({ alg: 'RS256', kid }), kid).toBeUndefined();
    for (const alg of ALGS.filter((name) => name !== 'ES256'))
      expect(keys.find({ alg, kid: 'c' }), alg).toBeUndefined();
    expect(keys.find({ alg: 'none', kid: 'c' })).toBeUndefined();
  });

  test('without kid, only where there is no choice', () => {
    expect(keys.find({ alg: 'RS256' })).toBeUndefined();
    expect(keys.find({ alg: 'ES256' })).toMatchObject({ kid: 'c' });
    expect(keys.find({ alg: 'PS256' })).toBeUndefined();
  });

  test('T33: under both names of EdDSA', () => {
    expect(keys.find({ alg: 'Ed25519', kid: 'd' })).toBe(keys.find({ alg: 'EdDSA', kid: 'd' }));
  });

  test('the first key is the current one', () => {
    expect(keys.current).toMatchObject({ kid: 'a', alg: 'RS256' });
    expect(isSigningKeys(keys)).toBe(true);
    expect(isSigningKeys({ find() {} })).toBe(false);
    expect(() => checkSigningKeys('tokenIssuer', { find() {} })).toThrow(
      'tokenIssuer: "keys" must come from localKeys(',
    );
  });
});

describe('replace', () => {
  const inputs: readonly KeyInput[] = [{ kid: 'old', alg: 'ES256', key: ec }];
  const newer: KeyInput = { kid: 'new', alg: 'ES256', key: keyFor('ES256') };

  test('K10: the new key signs, the old one still verifies until it is left out', () => {
    const keys = localKeys(inputs);
    const old = tokenOf(keys);
    const verifier = tokenVerifier({ issuers: [{ ...issuer, keys }], leeway: 0 });
    keys.replace([newer, ...inputs]);
    expect(keys.current.kid).toBe('new');
    expect(verifier.verify(old)).toMatchObject({ kid: 'old' });
    expect(verifier.verify(tokenOf(keys))).toMatchObject({ kid: 'new' });
    keys.replace([newer]);
    expect(() => verifier.verify(old)).toThrow(expect.objectContaining({ reason: 'unknown_key' }));
  });

  test('one bad key, and nothing changes', () => {
    const keys = localKeys(inputs);
    const before = [keys.current, keys.jwks(), keys.find({ alg: 'ES256' })];
    expect(() => keys.replace([newer, { kid: 'weak', alg: 'RS256', key: rsaKey(1024) }])).toThrow(TypeError);
    expect(() => keys.replace([])).toThrow(TypeError);
    expect([keys.current, keys.jwks(), keys.find({ alg: 'ES256' })]).toEqual(before);
    expect(keys.find({ alg: 'ES256', kid: 'new' })).toBeUndefined();
  });
});

describe('K08: what is published', () => {
  const PUBLIC = ['kty', 'crv', 'x', 'y', 'n', 'e', 'kid', 'alg', 'use'];

  test.each(ALGS)('%s: public members only, whatever form the key had', (alg) => {
    const key = keyFor(alg);
    const jwk = key.export({ format: 'jwk' });
    for (const form of key.type === 'secret'
      ? [key, jwk]
      : [key, jwk, pem(key), { ...jwk, x5c: ['AA'], custom: 'secret' }]) {
      const { keys } = one({ alg, key: form }).jwks();
      expect(keys.length).toBe(key.type === 'secret' ? 0 : 1);
      for (const published of keys) {
        expect(PUBLIC).toEqual(expect.arrayContaining(Object.keys(published)));
        expect(published).toMatchObject({ kid: 'one', alg, use: 'sig' });
        expect(createPublicKey({ key: { ...published }, format: 'jwk' }).equals(createPublicKey(key))).toBe(true);
      }
    }
  });

  test('it is frozen, and the same until the keys are replaced', () => {
    const keys = one({ key: rsa });
    expect(keys.jwks()).toBe(keys.jwks());
    expect(Object.isFrozen(keys.jwks().keys[0])).toBe(true);
    const before = keys.jwks();
    keys.replace([{ kid: 'two', alg: 'ES256', key: ec }]);
    expect(keys.jwks()).not.toBe(before);
    expect(keys.jwks().keys).toMatchObject([{ kid: 'two' }]);
  });
});
