import { type AuthStore, localKeys, tokenIssuer } from 'portcullis';

export const ISSUER = 'https://issuer.example';
export const AUDIENCE = 'https://api.example';
export const keys = localKeys([{ kid: 'k', alg: 'HS256', key: 'a secret that all processes of the test share' }]);

const issue = tokenIssuer({ keys, issuer: ISSUER, audience: AUDIENCE, lifetime: '15m' });

export function makeTokens(count: number): string[] {
  return Array.from({ length: count }, () => issue({ subject: 'ann' }));
}

export async function revoke(store: AuthStore, token: string): Promise<void> {
  const { jti, exp } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
  await store.revokeToken({ issuer: ISSUER, jti, expiresAt: new Date(exp * 1000) });
}
