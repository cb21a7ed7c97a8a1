import { localKeys, type SigningKeys, tokenIssuer } from '../../dist/index.js';

export const ISSUER = 'https://issuer.example';
export const AUDIENCE = 'https://api.example';
export const LIFETIME = 900_000;

/** A secret for the whole bench; nobody else's tokens are at stake. */
export const SECRET = 'a secret of the bench alone: b6f1c9d27e'.padEnd(48, '.');

export const keys: SigningKeys = localKeys([{ kid: 'bench', alg: 'HS256', key: SECRET }]);

const issue = tokenIssuer({ keys, issuer: ISSUER, audience: AUDIENCE, lifetime: '15m' });

export function makeTokens(count: number): string[] {
  return Array.from({ length: count }, (_, n) => issue({ subject: `user-${n}` }));
}

/** What a token says, unverified: the bench made it. */
export function payloadOf(token: string): { readonly iss: string; readonly jti: string; readonly exp: number } {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
}
