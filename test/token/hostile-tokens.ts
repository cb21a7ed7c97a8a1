import { createPublicKey, createSecretKey, type KeyObject } from 'node:crypto';
import type { InvalidTokenReason } from '../../lib/errors.ts';
import type { Alg, TrustedIssuer } from '../../lib/token/keys.ts';
import { localKeys } from '../../lib/token/local-keys.ts';
import { keyFor, pem, rsaKey } from './key-material.ts';
import { makeSignature, makeToken, type Segment, segment } from './make-token.ts';

/** A token that nobody should take, and the reason it should be refused for. */
export interface HostileToken {
  /** Begins with the row of the requirements. */
  readonly name: string;
  readonly token: string;
  readonly why: InvalidTokenReason;
}

const AUDIENCE = 'https://api.example';
const SECRET_ISSUER = 'https://secret.example';
const PAIR_ISSUER = 'https://pair.example';

const secret = keyFor('HS256');
const pairs = {
  RS256: keyFor('RS256'),
  PS256: rsaKey(2048),
  ES256: keyFor('ES256'),
  ES384: keyFor('ES384'),
  ES512: keyFor('ES512'),
  EdDSA: keyFor('EdDSA'),
} satisfies Partial<Record<Alg, KeyObject>>;
type PairAlg = keyof typeof pairs;

/** The issuers that all these tokens are meant to deceive; give them to a verifier with 5 s leeway and lives of 24 h. */
export const TRUSTED: readonly TrustedIssuer[] = [
  { issuer: SECRET_ISSUER, audience: AUDIENCE, keys: localKeys([{ kid: 'hs', alg: 'HS256', key: secret }]) },
  {
    issuer: PAIR_ISSUER,
    audience: AUDIENCE,
    keys: localKeys(Object.entries(pairs).map(([alg, key]) => ({ kid: alg, alg: alg as Alg, key }))),
  },
];

const now = Math.floor(Date.now() / 1000);
// Far from every edge, so that a slow machine changes no verdict.
const claims = { iss: SECRET_ISSUER, aud: AUDIENCE, sub: 'user-1', iat: now, exp: now + 3600, jti: 'token-1' };
const pairClaims = { ...claims, iss: PAIR_ISSUER };
const header = { alg: 'HS256', typ: 'at+jwt', kid: 'hs' };

const hs = (head: Segment, payload: Segment = claims) => makeToken('HS256', secret, head, payload);
const withHeader = (members: object) => hs({ ...header, ...members });
const withClaims = (members: object) => hs(header, { ...claims, ...members });
const without = (name: keyof typeof claims) =>
  hs(header, Object.fromEntries(Object.entries(claims).filter(([key]) => key !== name)));
const pairHeader = (alg: string, kid = alg) => ({ alg, typ: 'at+jwt', kid });
const pair = (alg: PairAlg) => makeToken(alg, pairs[alg], pairHeader(alg), pairClaims);
const good = hs(header);
const [goodHeader, goodPayload, goodSignature] = good.split('.') as [string, string, string];
const show = (value: unknown) => JSON.stringify(value) ?? String(value);

/** Tokens that are good, some of them oddly so: whoever refuses everything passes no test. */
export const GOOD: readonly { readonly name: string; readonly token: string }[] = [
  { name: 'the pattern of all others', token: good },
  ...(Object.keys(pairs) as PairAlg[]).map((alg) => ({ name: `${alg}`, token: pair(alg) })),
  {
    name: 'T33: Ed25519, the fully specified name',
    token: makeToken('EdDSA', pairs.EdDSA, pairHeader('Ed25519', 'EdDSA'), pairClaims),
  },
  { name: 'without kid, where one key has that algorithm', token: hs({ alg: 'HS256', typ: 'at+jwt' }) },
  { name: 'T24: without typ', token: hs({ alg: 'HS256', kid: 'hs' }) },
  { name: 'T24: typ application/AT+JWT', token: withHeader({ typ: 'application/AT+JWT' }) },
  { name: 'T24: typ jwt', token: withHeader({ typ: 'jwt' }) },
  { name: 'T42: cty JWT is not followed', token: withHeader({ cty: 'JWT' }) },
  {
    name: 'T07: jwk, jku, x5u and x5c are not looked at',
    token: withHeader({ jwk: publicJwk(), jku: 'http://127.0.0.1:9/', x5u: 'http://127.0.0.1:9/', x5c: ['AA'] }),
  },
  { name: 'T11: blanks around the JSON', token: hs(` ${JSON.stringify(header)}\n`, `\t${JSON.stringify(claims)} `) },
  {
    name: 'T12: one name at different depths is no duplicate',
    token: withClaims({ a: { sub: 'x', b: [{ sub: 'y' }] }, text: '"a": {"a": 1}' }),
  },
  { name: 'T22: aud among others', token: withClaims({ aud: ['https://other.example', AUDIENCE] }) },
  { name: 'T27: without jti', token: without('jti') },
  {
    name: 'T27: jti of 255 characters, and of those Redis gives a meaning',
    token: withClaims({ jti: '{*}\r\n'.padEnd(255, 'x') }),
  },
  { name: 'T28: sub beyond ASCII', token: withClaims({ sub: 'Zoë 🦊' }) },
  { name: 'T16: fractions of a second', token: withClaims({ iat: now - 0.5, exp: now + 3600.25 }) },
  { name: 'T17: nbf in the past', token: withClaims({ nbf: now - 1 }) },
  {
    name: 'T38: a claim named __proto__',
    token: hs(header, `{"__proto__":{"isAdmin":true},${JSON.stringify(claims).slice(1)}`),
  },
  {
    name: 'T37: 32 levels',
    token: hs(header, `${JSON.stringify(claims).slice(0, -1)},"deep":${'['.repeat(31)}${']'.repeat(31)}}`),
  },
];

export const HOSTILE: readonly HostileToken[] = [
  ...algorithms(),
  ...confusions(),
  ...kids(),
  ...extensions(),
  ...headerKeys(),
  ...json(),
  ...compact(),
  ...sizes(),
  ...signatures(),
  ...times(),
  ...issuersAndAudiences(),
  ...names(),
  ...types(),
];

function refuse(why: InvalidTokenReason, entries: readonly (readonly [name: string, token: string])[]): HostileToken[] {
  return entries.map(([name, token]) => ({ name, token, why }));
}

function algorithms(): HostileToken[] {
  const none = ['none', 'None', 'NONE', 'nOnE', 'none ', 'nonе'];
  const strange = [
    '',
    'hs256',
    'Hs256',
    'HS256 ',
    ' HS256',
    'HS256\0',
    'HS256\n',
    'HS-256',
    'HS1',
    'HS224',
    'HS',
    '256',
    'RS1',
    'MD5',
    'ES256K',
    'ED25519',
    'ed25519',
    'eddsa',
    'Ed448',
    'ESP256',
    'A128KW',
    'dir',
    'RSA-OAEP',
    '__proto__',
    'constructor',
    'toString',
    'hasOwnProperty',
    'HS256,none',
  ];
  const notStrings: unknown[] = [null, 1, 256, true, false, [], ['HS256'], {}, { toString: 'HS256' }];
  return [
    ...refuse(
      'unknown_key',
      none.map((alg) => [`T06: alg ${show(alg)}, signed`, withHeader({ alg })]),
    ),
    ...refuse(
      'malformed',
      none.map((alg) => [`T06: alg ${show(alg)}, no signature`, withoutSignature(withHeader({ alg }))]),
    ),
    ...refuse(
      'unknown_key',
      none.map((alg) => [
        `T06: alg ${show(alg)}, a signature of zero bytes`,
        `${withoutSignature(withHeader({ alg }))}AA`,
      ]),
    ),
    ...refuse(
      'unknown_key',
      strange.map((alg) => [`T05: alg ${show(alg)}`, withHeader({ alg })]),
    ),
    ...refuse(
      'malformed',
      notStrings.map((alg) => [`T05: alg ${show(alg)}`, withHeader({ alg })]),
    ),
    ...refuse('malformed', [
      ['T05: no alg', hs({ typ: 'at+jwt', kid: 'hs' })],
      ['T06: no alg, no signature', withoutSignature(hs({ typ: 'at+jwt' }))],
      ['T05: alg as Alg', hs({ Alg: 'HS256', kid: 'hs' })],
      ['T05: alg in the payload only', hs({ kid: 'hs' }, { ...claims, alg: 'HS256' })],
      ['T38: alg by way of __proto__', hs('{"__proto__":{"alg":"HS256"},"kid":"hs"}')],
    ]),
  ];
}

function confusions(): HostileToken[] {
  const rsa = createPublicKey(pairs.RS256);
  const publicForms: readonly (readonly [string, string | Buffer])[] = [
    ['SPKI PEM', pem(rsa)],
    ['SPKI PEM without its last line break', pem(rsa).trim()],
    ['SPKI PEM with CRLF', pem(rsa).replaceAll('\n', '\r\n')],
    ['PKCS#1 PEM', rsa.export({ type: 'pkcs1', format: 'pem' })],
    ['SPKI DER', rsa.export({ type: 'spki', format: 'der' })],
    ['PKCS#1 DER', rsa.export({ type: 'pkcs1', format: 'der' })],
    ['JWK', JSON.stringify(rsa.export({ format: 'jwk' }))],
    ['modulus', Buffer.from(rsa.export({ format: 'jwk' }).n as string, 'base64url')],
  ];
  const withPublic = (form: string | Buffer, alg: string, head: object) =>
    makeToken(alg, createSecretKey(Buffer.from(form)), head, pairClaims);
  const swapped: readonly (readonly [PairAlg, string])[] = [
    ['RS256', 'PS256'],
    ['RS256', 'RS384'],
    ['RS256', 'RS512'],
    ['RS256', 'PS512'],
    ['PS256', 'RS256'],
    ['PS256', 'PS384'],
    ['ES256', 'ES384'],
    ['ES384', 'ES256'],
    ['ES512', 'ES256'],
    ['ES256', 'RS256'],
    ['EdDSA', 'ES256'],
    ['RS256', 'EdDSA'],
  ];
  const signAs = (kid: PairAlg, alg: string) => {
    const signedPart = `${segment(pairHeader(alg, kid))}.${segment(pairClaims)}`;
    const hash = { RS: /^[RP]S/.test(alg), ES: kid.startsWith('ES') && alg.startsWith('ES') };
    const signature = makeSignature(hash.RS && /^[RP]S/.test(kid) ? alg : kid, pairs[kid], signedPart);
    return `${signedPart}.${signature.toString('base64url')}`;
  };
  return [
    ...refuse(
      'unknown_key',
      publicForms.map(([form, bytes]) => [
        `T03: HS256 under the RSA public key as ${form}`,
        withPublic(bytes, 'HS256', pairHeader('HS256', 'RS256')),
      ]),
    ),
    ...refuse(
      'unknown_key',
      publicForms.map(([form, bytes]) => [
        `T03: the same without kid, ${form}`,
        withPublic(bytes, 'HS256', { alg: 'HS256' }),
      ]),
    ),
    ...refuse(
      'bad_signature',
      publicForms.map(([form, bytes]) => [
        `T03: an HMAC under ${form}, called RS256`,
        `${segment(pairHeader('RS256'))}.${segment(pairClaims)}.${makeSignature('HS256', createSecretKey(Buffer.from(bytes)), `${segment(pairHeader('RS256'))}.${segment(pairClaims)}`).toString('base64url')}`,
      ]),
    ),
    ...refuse(
      'unknown_key',
      swapped.map(([kid, alg]) => [`T04: ${alg} named for the key of ${kid}, which signed it`, signAs(kid, alg)]),
    ),
    ...refuse('unknown_key', [
      ['T04: HS384 under the HS256 secret', makeToken('HS384', secret, { ...header, alg: 'HS384' }, claims)],
      ['T04: HS512 under the HS256 secret', makeToken('HS512', secret, { ...header, alg: 'HS512' }, claims)],
      ['T01: a key of one issuer for the other, by its kid', makeToken('HS256', secret, header, pairClaims)],
      ['T01: the same, the other way round', makeToken('RS256', pairs.RS256, pairHeader('RS256'), claims)],
      ['T01: the same, without kid', makeToken('HS256', secret, { alg: 'HS256' }, pairClaims)],
    ]),
    ...refuse('bad_signature', [
      ['T03: HS256 under an empty key', makeToken('HS256', createSecretKey(Buffer.alloc(0)), header, claims)],
      ['T03: HS256 under "secret"', makeToken('HS256', createSecretKey('secret', 'utf8'), header, claims)],
      ['T03: HS256 under another secret', makeToken('HS256', keyFor('HS256'), header, claims)],
      ['T04: PKCS#1 padding under PS256', makeTokenAs('RS256', 'PS256')],
      ['T04: PSS padding under RS256', makeTokenAs('PS256', 'RS256')],
      ['T04: another RSA key under RS256', makeToken('RS256', rsaKey(2048), pairHeader('RS256'), pairClaims)],
      ['T04: another key under ES256', makeToken('ES256', keyFor('ES256'), pairHeader('ES256'), pairClaims)],
      ['T04: another key under EdDSA', makeToken('EdDSA', keyFor('EdDSA'), pairHeader('EdDSA'), pairClaims)],
    ]),
  ];
}

/** Signed in the way of one algorithm, by the key of another, which it names. */
function makeTokenAs(way: string, alg: PairAlg): string {
  return makeToken(way, pairs[alg], pairHeader(alg), pairClaims);
}

function kids(): HostileToken[] {
  const unknown = [
    'HS',
    'hs ',
    ' hs',
    'hs\0',
    'hs\n',
    '',
    'other',
    '../../dev/null',
    '/dev/null',
    "' OR '1'='1",
    'hs;ls',
    'http://127.0.0.1:9/key',
    '__proto__',
    'constructor',
    'toString',
    'prototype',
    'RS256',
    '*',
    '{}',
    '0',
    'null',
    'undefined',
    'ｈｓ',
    'x'.repeat(255),
  ];
  const malformed: unknown[] = [null, 0, 1, true, [], ['hs'], {}, { kid: 'hs' }, 'x'.repeat(256), 'x'.repeat(4000)];
  return [
    ...refuse(
      'unknown_key',
      unknown.map((kid) => [`T08: kid ${show(kid).slice(0, 40)}`, withHeader({ kid })]),
    ),
    ...refuse(
      'malformed',
      malformed.map((kid) => [
        `T08: kid ${show(kid).slice(0, 40)} (${String(show(kid).length)} characters)`,
        withHeader({ kid }),
      ]),
    ),
  ];
}

function extensions(): HostileToken[] {
  const crits = [[], ['exp'], ['b64'], ['http://example.com/x'], [''], [1], [null], ['alg'], 'exp', null, {}, true, 0];
  return refuse('malformed', [
    ...crits.map((crit): [string, string] => [
      `T09: crit ${show(crit)}`,
      withHeader({ crit, exp: 1, 'http://example.com/x': 1 }),
    ]),
    ['T10: b64 false, and critical', withHeader({ b64: false, crit: ['b64'] })],
    ['T10: b64 false', withHeader({ b64: false })],
    ['T10: b64 true', withHeader({ b64: true })],
    ['T10: b64 null', withHeader({ b64: null })],
    ['T43: zip DEF', withHeader({ zip: 'DEF' })],
    ['T43: zip GZIP', withHeader({ zip: 'GZIP' })],
    ['T43: zip null', withHeader({ zip: null })],
  ]);
}

function publicJwk(): object {
  return createPublicKey(pairs.ES256).export({ format: 'jwk' });
}

// Each is signed by a key of the attacker's own, which the header offers.
function headerKeys(): HostileToken[] {
  const theirs = keyFor('ES256');
  const theirJwk = createPublicKey(theirs).export({ format: 'jwk' });
  const offer = (members: object) => makeToken('ES256', theirs, { ...pairHeader('ES256'), ...members }, pairClaims);
  return refuse('bad_signature', [
    ['T07: jwk', offer({ jwk: theirJwk })],
    ['T07: jwk with our kid', offer({ jwk: { ...theirJwk, kid: 'ES256' } })],
    ['T07: jwk and no kid', offer({ jwk: theirJwk, kid: undefined })],
    ['T07: jwk with private members', offer({ jwk: theirs.export({ format: 'jwk' }) })],
    ['T07: jku', offer({ jku: 'http://127.0.0.1:9/jwks.json' })],
    ['T07: jku at our issuer', offer({ jku: `${PAIR_ISSUER}/jwks.json@127.0.0.1:9` })],
    ['T07: jku as file', offer({ jku: 'file:///dev/zero' })],
    ['T07: jku as data', offer({ jku: `data:application/json,${JSON.stringify({ keys: [theirJwk] })}` })],
    ['T07: x5u', offer({ x5u: 'http://127.0.0.1:9/cert.pem' })],
    ['T07: x5c', offer({ x5c: [createPublicKey(theirs).export({ type: 'spki', format: 'der' }).toString('base64')] })],
    ['T07: x5t', offer({ x5t: 'AAAA', 'x5t#S256': 'AAAA' })],
    ['T07: jwk that is no object', offer({ jwk: 'x', jku: {}, x5u: [], x5c: null })],
  ]);
}

function json(): HostileToken[] {
  const head = JSON.stringify(header);
  const body = JSON.stringify(claims);
  const inBoth = (name: string, spoil: (text: string) => string | Buffer): (readonly [string, string])[] => [
    [`T11: header ${name}`, hs(spoil(head))],
    [`T11: payload ${name}`, hs(header, spoil(body))],
  ];
  const add = (member: string) => (text: string) => `${text.slice(0, -1)},${member}}`;
  return refuse('malformed', [
    ...inBoth('with a byte order mark', (text) => `\ufeff${text}`),
    ...inBoth('in UTF-16', (text) => Buffer.from(text, 'utf16le')),
    ...inBoth('with a stray 0xFF', (text) =>
      Buffer.concat([Buffer.from(add('"x":"')(text).slice(0, -1)), Buffer.from([0xff]), Buffer.from('"}')]),
    ),
    ...inBoth('with an overlong slash', (text) =>
      Buffer.concat([Buffer.from(add('"x":"')(text).slice(0, -1)), Buffer.from([0xc0, 0xaf]), Buffer.from('"}')]),
    ),
    ...inBoth('with a surrogate in UTF-8', (text) =>
      Buffer.concat([Buffer.from(add('"x":"')(text).slice(0, -1)), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from('"}')]),
    ),
    ...inBoth('cut short', (text) => text.slice(0, -1)),
    ...inBoth('with a brace too many', (text) => `${text}}`),
    ...inBoth('followed by another', (text) => text + text),
    ...inBoth('followed by a NUL', (text) => `${text}\0`),
    ...inBoth('after a no-break space', (text) => `\u00a0${text}`),
    ...inBoth('in an array', (text) => `[${text}]`),
    ...inBoth('in a string', (text) => JSON.stringify(text)),
    ...inBoth('null', () => 'null'),
    ...inBoth('true', () => 'true'),
    ...inBoth('a number', () => '1'),
    ...inBoth('an empty string', () => '""'),
    ...inBoth('an empty array', () => '[]'),
    ...inBoth('of blanks', () => '   '),
    ...inBoth('with a comma at its end', (text) => `${text.slice(0, -1)},}`),
    ...inBoth('with a comment', (text) => `${text}/**/`),
    ...inBoth('with single quotes', (text) => text.replaceAll('"', "'")),
    ...inBoth('with a bare name', add('x:1')),
    ...inBoth('with NaN', add('"x":NaN')),
    ...inBoth('with Infinity', add('"x":Infinity')),
    ...inBoth('with a leading zero', add('"x":01')),
    ...inBoth('with a hexadecimal number', add('"x":0x1')),
    ...inBoth('with a raw line break in a string', add('"x":"\n"')),
    ...inBoth('with an unknown escape', add('"x":"\\q"')),
    ...inBoth('with a member twice', add('"x":1,"x":1')),
    ...inBoth('with a member twice, once escaped', add('"x":1,"\\u0078":2')),
    ...inBoth('with a member twice, deep down', add('"a":[{"b":{"x":1,"x":2}}]')),
    ...inBoth('with a member twice, the first an object', add('"x":{"y":1},"x":2')),
    ...inBoth('with an empty name twice', add('"":1,"":2')),
    ...inBoth('with __proto__ twice', add('"__proto__":1,"__proto__":2')),
    ...inBoth('nested 33 deep', add(`"x":${'['.repeat(32)}${']'.repeat(32)}`)),
    ...inBoth('nested 33 deep in objects', add(`"x":${'{"x":'.repeat(32)}1${'}'.repeat(32)}`)),
    ...inBoth('nested 1000 deep', add(`"x":${'['.repeat(1000)}${']'.repeat(1000)}`)),
    ...inBoth('with 201 members', () =>
      JSON.stringify(Object.fromEntries(Array.from({ length: 201 }, (_, index) => [`n${index}`, 1]))),
    ),
    ['T12: alg twice', hs('{"alg":"none","alg":"HS256","kid":"hs"}')],
    ['T12: alg twice, the other way round', hs('{"alg":"HS256","kid":"hs","alg":"none"}')],
    ['T12: alg twice, once escaped', hs('{"\\u0061lg":"none","alg":"HS256","kid":"hs"}')],
    ['T12: kid twice', hs('{"alg":"HS256","kid":"other","kid":"hs"}')],
    ...(['iss', 'sub', 'aud', 'exp', 'jti'] as const).map((name): [string, string] => [
      `T12: ${name} twice`,
      hs(header, add(`"${name}":${show(claims[name])}`)(body)),
    ]),
    ['T12: scope twice', hs(header, add('"scope":"a","scope":"admin"')(body))],
  ]);
}

function compact(): HostileToken[] {
  const flip = (text: string) => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    return text.slice(0, -1) + alphabet[alphabet.indexOf(text.at(-1) as string) ^ 1];
  };
  // A payload whose last character has bits to spare.
  const spare = [0, 1, 2]
    .map((n) => segment({ ...claims, x: 'x'.repeat(n) }))
    .find((text) => text.length % 4 !== 0) as string;
  const spareHeader = [0, 1, 2]
    .map((n) => segment({ ...header, x: 'x'.repeat(n) }))
    .find((text) => text.length % 4 !== 0) as string;
  const resign = (head: string, body: string) =>
    `${head}.${body}.${makeSignature('HS256', secret, `${head}.${body}`).toString('base64url')}`;
  return refuse('malformed', [
    ['T14: empty', ''],
    ['T14: one segment', goodHeader],
    ['T14: two segments', `${goodHeader}.${goodPayload}`],
    ['T14: four segments', `${good}.x`],
    ['T14: a dot at the end', `${good}.`],
    ['T14: a dot in front', `.${good}`],
    ['T14: five segments, as a JWE', `${goodHeader}..${goodPayload}.${goodSignature}.x`],
    ['T14: three dots', '...'],
    ['T14: two dots', '..'],
    ['T14: no header', `.${goodPayload}.${goodSignature}`],
    ['T14: no payload', `${goodHeader}..${goodSignature}`],
    ['T14: no signature', `${goodHeader}.${goodPayload}.`],
    [
      'T14: JSON serialization, flattened',
      JSON.stringify({ protected: goodHeader, payload: goodPayload, signature: goodSignature }),
    ],
    [
      'T14: JSON serialization, general',
      JSON.stringify({ payload: goodPayload, signatures: [{ protected: goodHeader, signature: goodSignature }] }),
    ],
    ['T14: with its scheme', `Bearer ${good}`],
    ['T14: twice', `${good},${good}`],
    ['T13: a blank in front', ` ${good}`],
    ['T13: a blank at the end', `${good} `],
    ['T13: a line break at the end', `${good}\n`],
    ['T13: a NUL at the end', `${good}\0`],
    ['T13: a tab within', `${goodHeader}\t.${goodPayload}.${goodSignature}`],
    [
      'T13: a line break within',
      `${goodHeader}.${goodPayload.slice(0, 40)}\r\n${goodPayload.slice(40)}.${goodSignature}`,
    ],
    ['T13: in quotes', `"${good}"`],
    ['T13: padded signature', `${good}=`],
    ['T13: padded signature, twice', `${good}==`],
    ['T13: padded payload', resign(goodHeader, `${spare}=`)],
    ['T13: padded header', resign(`${spareHeader}=`, goodPayload)],
    ['T13: percent-encoded padding', `${good}%3D`],
    ['T13: spare bits in the signature', `${goodHeader}.${goodPayload}.${flip(goodSignature)}`],
    ['T13: spare bits in the payload', resign(goodHeader, flip(spare))],
    ['T13: spare bits in the header', resign(flip(spareHeader), goodPayload)],
    ['T13: two characters too many in the signature', `${good}AA`],
    ['T13: plus for minus', resign(goodHeader, `${segment({ ...claims, x: '>>>???' })}+`)],
    [
      'T13: base64 where base64url belongs',
      resign(Buffer.from(JSON.stringify({ ...header, x: '\u00ff\u00fe>>>???ûï' })).toString('base64'), goodPayload),
    ],
    ['T13: a full-width dot', good.replaceAll('.', '．')],
    ['T13: a letter beyond ASCII', `${goodHeader}.${goodPayload}.${goodSignature.slice(0, -1)}é`],
    ['T13: a letter whose low byte is base64url', `${goodHeader}.${goodPayload}.\u0141${goodSignature.slice(1)}`],
  ]);
}

function sizes(): HostileToken[] {
  return refuse('malformed', [
    ['T36: 8,193 characters, rightly signed', hs(header, { ...claims, x: 'x'.repeat(8000) })],
    ['T36: a megabyte, rightly signed', hs(header, { ...claims, x: 'x'.repeat(1 << 20) })],
    ['T36: 100,000 dots', '.'.repeat(100_000)],
    ['T36: 8,000 dots', '.'.repeat(8_000)],
    ['T36: a header of 100,000 braces', hs('{"a":'.repeat(20_000))],
    ['T36: 100,000 blanks', ' '.repeat(100_000)],
    ['T36: a kid of a megabyte', withHeader({ kid: 'x'.repeat(1 << 20) })],
  ]);
}

function signatures(): HostileToken[] {
  const sign = (token: string, change: (signature: Buffer) => Buffer) => {
    const [head, body, signature] = token.split('.') as [string, string, string];
    return `${head}.${body}.${change(Buffer.from(signature, 'base64url')).toString('base64url')}`;
  };
  const changes: readonly (readonly [string, (signature: Buffer) => Buffer])[] = [
    ['one bit of the first byte', (bytes) => Buffer.concat([Buffer.from([bytes.readUInt8(0) ^ 1]), bytes.subarray(1)])],
    [
      'one bit of the last byte',
      (bytes) => Buffer.concat([bytes.subarray(0, -1), Buffer.from([bytes.readUInt8(bytes.length - 1) ^ 1])]),
    ],
    ['a byte less', (bytes) => bytes.subarray(0, -1)],
    ['one byte only', (bytes) => bytes.subarray(0, 1)],
    ['a byte more', (bytes) => Buffer.concat([bytes, Buffer.alloc(1)])],
    ['a zero byte in front', (bytes) => Buffer.concat([Buffer.alloc(1), bytes])],
    ['all zero', (bytes) => Buffer.alloc(bytes.length)],
    ['all ones', (bytes) => Buffer.alloc(bytes.length, 255)],
    ['twice', (bytes) => Buffer.concat([bytes, bytes])],
    [
      'its halves swapped',
      (bytes) => Buffer.concat([bytes.subarray(bytes.length / 2), bytes.subarray(0, bytes.length / 2)]),
    ],
  ];
  const tokens = [
    ['HS256', good],
    ...(['RS256', 'PS256', 'ES256', 'ES384', 'ES512', 'EdDSA'] as const).map((alg) => [alg, pair(alg)]),
  ] as [string, string][];
  const n = 'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551';
  const order = Buffer.from(n, 'hex');
  const es = pair('ES256');
  const r = (bytes: Buffer) => bytes.subarray(0, 32);
  const s = (bytes: Buffer) => bytes.subarray(32);
  const one = Buffer.concat([Buffer.alloc(31), Buffer.from([1])]);
  const [esHead, esBody] = es.split('.') as [string, string];
  const [edHead, edBody, edSignature] = pair('EdDSA').split('.') as [string, string, string];
  const other = makeToken('HS256', secret, header, { ...claims, sub: 'other' }).split('.')[2] as string;
  return refuse('bad_signature', [
    ...tokens.flatMap(([alg, token]) =>
      changes.map(([name, change]): [string, string] => [`T32: ${alg}, the signature ${name}`, sign(token, change)]),
    ),
    ['A-J: the signature of another token', `${goodHeader}.${goodPayload}.${other}`],
    ['A-J: a claim changed after signing', `${goodHeader}.${segment({ ...claims, sub: 'admin' })}.${goodSignature}`],
    ['A-J: a header changed after signing', `${segment({ ...header, typ: 'JWT' })}.${goodPayload}.${goodSignature}`],
    ['T32: ES256, r = 0', sign(es, (bytes) => Buffer.concat([Buffer.alloc(32), s(bytes)]))],
    ['T32: ES256, s = 0', sign(es, (bytes) => Buffer.concat([r(bytes), Buffer.alloc(32)]))],
    ['T32: ES256, r = s = n', sign(es, () => Buffer.concat([order, order]))],
    ['T32: ES256, r = n', sign(es, (bytes) => Buffer.concat([order, s(bytes)]))],
    ['T32: ES256, s = n', sign(es, (bytes) => Buffer.concat([r(bytes), order]))],
    ['T32: ES256, r = s = 1', sign(es, () => Buffer.concat([one, one]))],
    ['T32: ES256, r = 0, s = 1', sign(es, () => Buffer.concat([Buffer.alloc(32), one]))],
    ['T32: ES256 in DER', `${esHead}.${esBody}.${der(`${esHead}.${esBody}`)}`],
    [
      'T33: EdDSA, S + L',
      `${edHead}.${edBody}.${plusOrder(Buffer.from(edSignature, 'base64url')).toString('base64url')}`,
    ],
    [
      'T33: EdDSA, the small-order point',
      `${edHead}.${edBody}.${Buffer.concat([Buffer.from([1]), Buffer.alloc(63)]).toString('base64url')}`,
    ],
  ]);
}

function der(signedPart: string): string {
  const raw = makeSignature('ES256', pairs.ES256, signedPart);
  const integer = (bytes: Buffer) => {
    const positive = bytes.readUInt8(0) >= 128 ? Buffer.concat([Buffer.alloc(1), bytes]) : bytes;
    return Buffer.concat([Buffer.from([2, positive.length]), positive]);
  };
  const both = Buffer.concat([integer(raw.subarray(0, 32)), integer(raw.subarray(32))]);
  return Buffer.concat([Buffer.from([0x30, both.length]), both]).toString('base64url');
}

/** Another spelling of an Ed25519 signature, which RFC 8032, section 5.1.7, refuses. */
function plusOrder(signature: Buffer): Buffer {
  const order = 2n ** 252n + 27742317777372353535851937790883648493n;
  const littleEndian = (bytes: Buffer) => BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`);
  const sum = (littleEndian(signature.subarray(32)) + order).toString(16).padStart(64, '0');
  return Buffer.concat([signature.subarray(0, 32), Buffer.from(sum, 'hex').reverse()]);
}

function times(): HostileToken[] {
  const notNumbers = [null, '', 'x', String(now + 60), true, [], [now + 60], {}, new Date().toISOString()];
  const raw = (name: string, number: string) =>
    hs(header, JSON.stringify({ ...claims, [name]: 0 }).replace(`"${name}":0`, `"${name}":${number}`));
  return [
    ...refuse('bad_claim', [
      ['T16: no exp', without('exp')],
      ...notNumbers.map((exp): [string, string] => [`T16: exp ${show(exp)}`, withClaims({ exp })]),
      ['T16: exp 1e999', raw('exp', '1e999')],
      ['T16: exp -1e999', raw('exp', '-1e999')],
      ['T19: exp in milliseconds', withClaims({ exp: (now + 600) * 1000 })],
      ['T19: exp in ten years', withClaims({ exp: now + 315_360_000 })],
      ['T19: exp in 25 hours', withClaims({ exp: now + 90_000 })],
      ['T19: an old iat and an exp soon', withClaims({ iat: now - 100_000, exp: now + 600 })],
      ['T18: no iat', without('iat')],
      ...notNumbers.map((iat): [string, string] => [`T18: iat ${show(iat)}`, withClaims({ iat })]),
      ['T18: iat 1e999', raw('iat', '1e999')],
      ['T18: iat -1e999', raw('iat', '-1e999')],
      ['T18: iat negative', withClaims({ iat: -1 })],
      ['T18: iat in milliseconds', withClaims({ iat: now * 1000 })],
      ['T18: iat in a minute', withClaims({ iat: now + 60 })],
      ['T18: iat in an hour', withClaims({ iat: now + 3_600 })],
      ...notNumbers.map((nbf): [string, string] => [`T17: nbf ${show(nbf)}`, withClaims({ nbf })]),
      ['T17: nbf 1e999', raw('nbf', '1e999')],
      ['T17: nbf -1e999', raw('nbf', '-1e999')],
      ['T17: nbf in a minute', withClaims({ nbf: now + 60 })],
      ['T17: nbf in milliseconds', withClaims({ nbf: now * 1000 })],
    ]),
    ...refuse('expired', [
      ['T15: exp an hour ago', withClaims({ iat: now - 7_200, exp: now - 3_600 })],
      ['T15: exp ten seconds ago', withClaims({ iat: now - 60, exp: now - 10 })],
      ['T15: exp 0', withClaims({ iat: 0, exp: 0 })],
      ['T15: exp negative', withClaims({ iat: 0, exp: -1 })],
    ]),
  ];
}

function issuersAndAudiences(): HostileToken[] {
  const issuers = [
    `${SECRET_ISSUER}/`,
    SECRET_ISSUER.toUpperCase(),
    ` ${SECRET_ISSUER}`,
    `${SECRET_ISSUER}\0`,
    `${SECRET_ISSUER}.evil`,
    'secret.example',
    '',
    'https://evil.example',
    null,
    1,
    true,
    [],
    [SECRET_ISSUER],
    {},
    { [SECRET_ISSUER]: 1 },
    'https://sеcret.example',
    '__proto__',
    'constructor',
  ];
  const audiences = [
    `${AUDIENCE}/`,
    AUDIENCE.toUpperCase(),
    ` ${AUDIENCE}`,
    `${AUDIENCE}.evil`,
    AUDIENCE.slice(0, -1),
    '',
    '*',
    'https://other.example',
    null,
    1,
    true,
    [],
    {},
    [[AUDIENCE]],
    [''],
    ['https://other.example'],
    [AUDIENCE, 1],
    [AUDIENCE, null],
    [null],
    { 0: AUDIENCE, length: 1 },
    `${AUDIENCE} https://other.example`,
    `https://other.example,${AUDIENCE}`,
  ];
  return refuse('bad_claim', [
    ['T21: no iss', without('iss')],
    ...issuers.map((iss): [string, string] => [`T21: iss ${show(iss)}`, withClaims({ iss })]),
    ['T21: iss in the header only', hs({ ...header, iss: SECRET_ISSUER }, { ...claims, iss: undefined })],
    ['T22: no aud', without('aud')],
    ...audiences.map((aud): [string, string] => [`T22: aud ${show(aud)}`, withClaims({ aud })]),
  ]);
}

function names(): HostileToken[] {
  const bad: unknown[] = [
    null,
    0,
    1,
    123,
    true,
    false,
    [],
    ['x'],
    {},
    { toString: 'x' },
    '',
    'x'.repeat(256),
    'x'.repeat(5_000),
    '\ud800',
    'a\udc00b',
  ];
  const controls = ['\0', 'a\nb', 'a\r\nb', '\u007f', '\u0085', '\t', '\u001b[31m'];
  return refuse('bad_claim', [
    ['T28: no sub', without('sub')],
    ...bad.map((sub): [string, string] => [
      `T28: sub ${show(sub).slice(0, 40)} (${show(sub).length})`,
      withClaims({ sub }),
    ]),
    ...controls.map((sub): [string, string] => [
      `T28: sub ${show(sub)}, with a control character`,
      withClaims({ sub }),
    ]),
    ...bad.map((jti): [string, string] => [
      `T27: jti ${show(jti).slice(0, 40)} (${show(jti).length})`,
      withClaims({ jti }),
    ]),
  ]);
}

function types(): HostileToken[] {
  const others = [
    '',
    ' ',
    'logout+jwt',
    'dpop+jwt',
    'secevent+jwt',
    'JOSE',
    'JWE',
    'JWS',
    'id+jwt',
    'rt+jwt',
    'at+jwt ',
    ' at+jwt',
    'at jwt',
    'application/',
    'application/application/at+jwt',
    'text/at+jwt',
    'at+jwt;charset=utf-8',
    'AT+JWT\0',
    'csrf',
    'state+jwt',
  ];
  const notStrings = [null, 1, true, [], ['at+jwt'], {}];
  return [
    ...refuse(
      'bad_claim',
      others.map((typ) => [`T24: typ ${show(typ)}`, withHeader({ typ })]),
    ),
    ...refuse(
      'malformed',
      notStrings.map((typ) => [`T24: typ ${show(typ)}`, withHeader({ typ })]),
    ),
  ];
}

function withoutSignature(token: string): string {
  return token.slice(0, token.lastIndexOf('.') + 1);
}
