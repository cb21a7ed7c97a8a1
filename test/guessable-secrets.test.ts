import { createPublicKey, createSecretKey, ECDH, type KeyObject, randomBytes, randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { weakness } from '../lib/guessable-secrets.ts';
import { settleSecrets } from '../lib/secrets.ts';
import { localKeys } from '../lib/token/local-keys.ts';
import { keyFor, pem, rsaKey } from './token/key-material.ts';

const asHmacKey = (key: string | object) => () => localKeys([{ kid: 'one', alg: 'HS256', key }]);
const asSecret = (text: string) => () => settleSecrets('sessionAuth', text);

/** The texts that bytes are commonly written as. */
const TEXTS: readonly (readonly [string, (bytes: Buffer) => string])[] = [
  ['base64', (bytes) => bytes.toString('base64')],
  ['base64 in lines of 64', (bytes) => `${bytes.toString('base64').replace(/.{64}/g, '$&\n')}\n`],
  ['base64url', (bytes) => bytes.toString('base64url')],
  ['hex', (bytes) => bytes.toString('hex')],
  ['upper-case hex', (bytes) => bytes.toString('hex').toUpperCase()],
  ['hex with 0x', (bytes) => `0x${bytes.toString('hex')}`],
  ['hex with colons, in lines', (bytes) => bytes.toString('hex').replace(/../g, '$&:').replace(/.{45}/g, '$&\n    ')],
  ['hex as an array in C', (bytes) => `{ ${bytes.toString('hex').replace(/../g, '0x$&, ')}}`],
];

const inBase64 = (bytes: Buffer | string) => Buffer.from(bytes).toString('base64');

/** What happens to keys on their way through configuration. */
const DISGUISES: readonly (readonly [string, (bytes: Buffer) => string | Buffer])[] = [
  ['behind a line break', (bytes) => Buffer.concat([Buffer.from('\n'), bytes])],
  ['between blanks', (bytes) => Buffer.concat([Buffer.from(' \r\n'), bytes, Buffer.from('\n')])],
  ['base64 of base64', (bytes) => inBase64(inBase64(bytes))],
  ['base64 of base64 of base64', (bytes) => inBase64(inBase64(inBase64(bytes)))],
  ['base64 of hex', (bytes) => inBase64(bytes.toString('hex'))],
  ['base64, percent-encoded', (bytes) => encodeURIComponent(inBase64(bytes))],
  ['base64 of base64, percent-encoded', (bytes) => encodeURIComponent(inBase64(inBase64(bytes)))],
  [
    'base64, every character percent-encoded',
    (bytes) => Buffer.from(inBase64(bytes)).toString('hex').replace(/../g, '%$&'),
  ],
  ['base64 behind base64:', (bytes) => `base64:${inBase64(bytes)}`],
  ['base64 behind key:', (bytes) => `key: ${inBase64(bytes)}`],
  ['base64 behind KEY=', (bytes) => `PUBLIC_KEY="${inBase64(bytes)}"`],
  ['base64 in a data URL', (bytes) => `data:application/octet-stream;base64,${inBase64(bytes)}`],
  ['base64 in lines behind key: |', (bytes) => `key: |\n${inBase64(bytes).replace(/.{64}/g, '  $&\n')}\n`],
  ['base64 with slashes escaped', (bytes) => `"${inBase64(bytes).replaceAll('/', '\\/')}"`],
  ['base64 with line breaks written out', (bytes) => `"${inBase64(bytes).replace(/.{64}/g, '$&\\n')}"`],
  ['hex behind key:', (bytes) => `key: ${bytes.toString('hex')}`],
];

const SELF_SIGNED =
  'MIIBRjCB+aADAgECAhRBDzQQvs0hOw+q1SV1pWLizowckzAFBgMrZXAwGTEXMBUGA1UEAwwOaXNzdWVyLmV4YW1wbGUwHhcNMjYxMTIxMDYxOTQ0WhcN' +
  'MzYxMTE4MDYxOTQ0WjAZMRcwFQYDVQQDDA5pc3N1ZXIuZXhhbXBsZTAqMAUGAytlcAMhACLT/ApcJ410k/FOnFOP0qtEvExbTTgdqYa0mLD7t+mvo1Mw' +
  'UTAdBgNVHQ4EFgQUliJ6cApCG6ucPoheMYGWJF0VuXkwHwYDVR0jBBgwFoAUliJ6cApCG6ucPoheMYGWJF0VuXkwDwYDVR0TAQH/BAUwAwEB/zAFBgMr' +
  'ZXADQQCqBHo4XMVK7xND/LYtM89xAm2Go+K9bYchMmTvB0SecRShEcx2OzkgL1JBKKE1ybA1Puqv8Zqji7XnomYej+oH';
const REQUEST =
  'MIGYMEwCAQAwGTEXMBUGA1UEAwwOaXNzdWVyLmV4YW1wbGUwKjAFBgMrZXADIQAi0/wKXCeNdJPxTpxTj9KrRLxMW004HamGtJiw+7fpr6AAMAUGAytl' +
  'cANBAFjoIqm/zfDeoWjP2fmGPqLredbkaR+uHRSbG28LB1qPKbAan4jvrCYEOGy9yWv7Yp42BdJ00dvNcpHyEMRoPQY=';

const rsa = keyFor('RS256');
const ec = keyFor('ES256');
const ed = keyFor('EdDSA');
const spki = (key: KeyObject) => createPublicKey(key).export({ type: 'spki', format: 'der' });
const jwkOf = (key: KeyObject) => createPublicKey(key).export({ format: 'jwk' });
const bytesOf = (text: unknown) => Buffer.from(text as string, 'base64url');
const pointOf = (key: KeyObject) => Buffer.concat([Buffer.from([4]), bytesOf(jwkOf(key).x), bytesOf(jwkOf(key).y)]);

/** RFC 4253, section 6.6. */
function sshKey(...parts: readonly (string | Buffer)[]): Buffer {
  const sized = parts.map((part) => {
    const size = Buffer.alloc(4);
    size.writeUInt32BE(Buffer.from(part as string).length);
    return Buffer.concat([size, Buffer.from(part as string)]);
  });
  return Buffer.concat(sized);
}

describe('K04: a key is refused as a secret', () => {
  const keys: readonly (readonly [string, Buffer])[] = [
    ['a certificate', Buffer.from(SELF_SIGNED, 'base64')],
    ['a certificate request', Buffer.from(REQUEST, 'base64')],
    ['the SPKI of an RSA key', spki(rsa)],
    ['the SPKI of a P-256 key', spki(ec)],
    ['the SPKI of an Ed25519 key', spki(ed)],
    ['the PKCS#1 of an RSA key', createPublicKey(rsa).export({ type: 'pkcs1', format: 'der' })],
    ['the PKCS#8 of an Ed25519 key', ed.export({ type: 'pkcs8', format: 'der' })],
    [
      'a PKCS#8 under a passphrase',
      ec.export({ type: 'pkcs8', format: 'der', cipher: 'aes-256-cbc', passphrase: 'open' }),
    ],
    ['the SEC1 of a P-256 key', ec.export({ type: 'sec1', format: 'der' })],
    ['a point of P-256', pointOf(ec)],
    ['a point of P-384', pointOf(keyFor('ES384'))],
    ['a point of P-521', pointOf(keyFor('ES512'))],
    ['the coordinates of a point of P-256', pointOf(ec).subarray(1)],
    ['the coordinates of a point of P-384', pointOf(keyFor('ES384')).subarray(1)],
    ['the coordinates of a point of P-521', pointOf(keyFor('ES512')).subarray(1)],
    ['a hybrid point of P-256', ECDH.convertKey(pointOf(ec), 'prime256v1', undefined, undefined, 'hybrid') as Buffer],
    ['a PEM', Buffer.from(pem(createPublicKey(ec)))],
    ['a PEM in UTF-16', Buffer.from(pem(createPublicKey(ec)), 'utf16le')],
    ['a PEM without its dashes', Buffer.from(pem(createPublicKey(ec)).replaceAll('-', ''))],
    ['a JWK', Buffer.from(JSON.stringify(jwkOf(ed)))],
    ['a JWK with its quotes escaped', Buffer.from(JSON.stringify(jwkOf(ed)).replaceAll('"', '\\"'))],
    ['a JWK with its quotes escaped twice', Buffer.from(JSON.stringify(JSON.stringify(JSON.stringify(jwkOf(ed)))))],
    ['a JWK in single quotes', Buffer.from(JSON.stringify(jwkOf(ec)).replaceAll('"', "'"))],
    ['a JWK as code', Buffer.from(`{ kty: 'RSA', n: '${jwkOf(rsa).n}', e: 'AQAB' }`)],
    ['a JWK, percent-encoded', Buffer.from(encodeURIComponent(JSON.stringify(jwkOf(ed))))],
    ['an RSA key of SSH', sshKey('ssh-rsa', Buffer.from([1, 0, 1]), bytesOf(jwkOf(rsa).n))],
    ['an Ed25519 key of SSH', sshKey('ssh-ed25519', bytesOf(jwkOf(ed).x))],
    ['a P-256 key of SSH', sshKey('ecdsa-sha2-nistp256', 'nistp256', pointOf(ec))],
    ['an Ed25519 key of SSH in a token', sshKey('sk-ssh-ed25519@openssh.com', bytesOf(jwkOf(ed).x), 'ssh:')],
    ['a line of SSH', Buffer.from(`ssh-ed25519 ${inBase64(sshKey('ssh-ed25519', bytesOf(jwkOf(ed).x)))} ann@shop`)],
    ['a JWK without kty', Buffer.from(JSON.stringify({ n: jwkOf(rsa).n, e: 'AQAB' }))],
    ['an RSA key in XML', Buffer.from(`<RSAKeyValue><Modulus>${bytesOf(jwkOf(rsa).n).toString('base64')}</Modulus>`)],
    ['the modulus of an RSA key of 2048 bits', bytesOf(jwkOf(rsa).n)],
    ['the modulus of an RSA key of 3072 bits', bytesOf(jwkOf(rsaKey(3072)).n)],
    ['the modulus of an RSA key, as a DER integer', Buffer.concat([Buffer.alloc(1), bytesOf(jwkOf(rsa).n)])],
  ];

  test.each(keys)('%s, as bytes and in every usual text', (_what, bytes) => {
    expect(asHmacKey(bytes)).toThrow(TypeError);
    expect(asHmacKey(bytes)).toThrow(/^localKeys: the key "one" \(HS256\) is given a key, not a secret/);
    expect(asHmacKey(createSecretKey(bytes))).toThrow(/is given a key, not a secret/);
    expect(asHmacKey({ kty: 'oct', k: bytes.toString('base64url') })).toThrow(/is given a key, not a secret/);
    for (const [how, write] of TEXTS) {
      expect(asHmacKey(write(bytes)), how).toThrow(/is given a key, not a secret/);
      expect(asSecret(write(bytes)), how).toThrow(/^sessionAuth: "secret" is given a key, not a secret/);
    }
  });

  test.each(keys)('%s, as configuration leaves it', (_what, bytes) => {
    for (const [how, disguise] of DISGUISES) {
      expect(weakness(Buffer.from(disguise(bytes) as string)), how).toMatch(/^is given a key, not a secret/);
    }
  });

  test('the modulus as openssl prints it', () => {
    const text = `Modulus=${bytesOf(jwkOf(rsa).n).toString('hex').toUpperCase()}\n`;
    expect(asHmacKey(text)).toThrow(
      /looks like the modulus of an RSA key.* give one of another length, such as 64 bytes/,
    );
  });
});

describe('K02: what everybody knows is refused', () => {
  test.each([
    [
      'RFC 7515, appendix A.1',
      'AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow',
    ],
    ['RFC 7520, section 3.5', 'hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg'],
    ['RFC 7520, section 3.6', 'AAPapAv4LbFbiVawEjagUBluYqN5rhna-8nuldDvOx8'],
  ])('the example of %s, as text and as bytes', (_where, k) => {
    const bytes = bytesOf(k);
    for (const key of [k, bytes, createSecretKey(bytes), { kty: 'oct', k }]) {
      expect(asHmacKey(key)).toThrow(/everybody knows it from examples; make one with: openssl rand/);
    }
    for (const [how, write] of TEXTS) {
      expect(asHmacKey(write(bytes)), how).toThrow(/everybody knows it/);
      expect(asSecret(write(bytes)), how).toThrow(/everybody knows it from examples; make one with: node -e/);
    }
  });

  test.each([
    'GawgguFyGrWKav7AX4VKUg'.repeat(2),
    'your-super-secret-key-for-this-application',
    'CHANGE_ME_CHANGE_ME_PLEASE_before_production',
    'complex_password_at_least_32_characters_long',
    'a-string-secret-at-least-256-bits-long',
    'a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long',
    'super-secret-jwt-token-with-at-least-32-characters-long',
    'Your-384-Bit-Secret'.repeat(2),
    '00112233445566778899aabbccddeeff',
    'abcdefghijklmnopqrstuvwxyz0123456789',
    'DO NOT USE THIS VALUE. INSTEAD, CREATE A COMPLEX SECRET',
    '404E635266556A586E3272357538782F413F4428472B4B6250645367566B5970',
    '09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7',
    'keyboard cat'.repeat(3),
    'secret'.repeat(8),
    'пароль'.repeat(6),
    'a'.repeat(40),
    'qwertyuiopasdfghjklzxcvbnm123456',
    'password123'.repeat(3),
    'supersecretkey'.repeat(3),
    'thisisasecretkey'.repeat(2),
    'secret_key_that_is_32_chars_long',
    'iamasecretandihavetobeatleast32characterslong',
    'NEXTAUTH_SECRET_NEXTAUTH_SECRET_',
    'My-Very-Secret-Session-Key-For-My-App-2024!',
    'this is the secret, at least 256 bits long',
    'super-secret-key-that-is-at-least-32-characters-long',
    'this-is-a-secret-key-that-is-at-least-32-characters-long',
    'a-very-long-secret-key-that-is-at-least-32-characters-long',
    'a-string-secret-at-least-384-bits-long-xyz',
    'a-valid-string-secret-that-is-at-least-384-bits-long',
    'shhhhh'.repeat(6),
    'my-secret-key'.repeat(3),
    'jwt-secret'.repeat(4),
    'abcdefghijklmnopqrstuvwxyz012345',
  ])('%j, alike for sessions and for HS256, plain and in base64', (secret) => {
    for (const text of [secret, `${secret}\n`, Buffer.from(secret).toString('base64')]) {
      expect(asHmacKey(text), text).toThrow(/is one that anybody can guess/);
      expect(asSecret(text), text).toThrow(/is one that anybody can guess/);
    }
  });

  test('bytes that count up or down, or stay, in every text', () => {
    for (const step of [0, 1, -1, 3]) {
      const bytes = Buffer.from(Array.from({ length: 48 }, (_, index) => 100 + step * index));
      expect(asHmacKey(bytes)).toThrow(/only repeats itself/);
      for (const [how, write] of TEXTS) expect(asSecret(write(bytes)), how).toThrow(/is one that anybody can guess/);
    }
  });
});

describe('a good secret is taken', () => {
  test.each(TEXTS)('random bytes, of any length from 32 to 128, as %s', (_how, write) => {
    for (let round = 0; round < 5; round++) {
      for (let size = 32; size <= 128; size++) {
        const bytes = randomBytes(size);
        expect(weakness(bytes), bytes.toString('hex')).toBeUndefined();
        expect(weakness(Buffer.from(write(bytes))), bytes.toString('hex')).toBeUndefined();
      }
    }
  });

  test('what password makers and people make', () => {
    const signs = Array.from({ length: 94 }, (_, index) => String.fromCharCode(33 + index));
    for (let round = 0; round < 1_000; round++) {
      const password = Array.from(randomBytes(40), (byte) => signs[byte % 94]).join('');
      for (const text of [
        password,
        randomUUID(),
        `${randomUUID()}${randomUUID()}`,
        randomBytes(32).toString('latin1'),
      ]) {
        expect(weakness(Buffer.from(text)), text).toBeUndefined();
      }
    }
    for (const text of [
      'correct horse battery staple, and more words',
      'ssh-tunnel-password-for-the-warehouse-9sf8s7df98s7df',
      'ssh-rsa-was-never-in-use-here, says the owl 4711',
      'ecdsa-sha2-or-whatever-it-was-called-back-then',
      'this.is.mine.n:"n":abcdefgh12345678-4711',
      'to begin every monkey dances around the certificate',
      '{"secret":"4f8a9c2d7e6b1a3f5c8d9e0b2a4c6e8f"}',
      'my secret is that the password is a purple tortoise',
      'django-insecure-w9$k2m!x7q@p4z&n8c#v5b*j3h',
      '%41%zz% 100% of what is left, and %7e of the rest',
      '-------------------- 1 Vogel, 2 Bäume, 3 Steine',
      '839471650283 746501928374 650192837465',
      '________________________________kj3h_8s7d_9f2k',
      'äöüßéèêëàâîïôûçñ',
      '!"§$%&/()=?¡“¶¢[]|{}≠ ¿‘¶–…∞µ~',
    ]) {
      expect(asHmacKey(text), text).not.toThrow();
      expect(asSecret(text), text).not.toThrow();
    }
  });

  test('random bytes as long as an RSA modulus, unless they look like one', () => {
    const number = BigInt(`0x${randomBytes(256).fill(0xff, 0, 1).toString('hex')}`);
    for (const factor of [2n, 3n, 1_999n]) {
      const bytes = Buffer.from((number - (number % factor)).toString(16), 'hex');
      expect(weakness(bytes), bytes.toString('hex')).toBeUndefined();
    }
    for (const size of [128, 255, 260]) expect(weakness(randomBytes(size).fill(0xff, 0, 1))).toBeUndefined();
  });
});
