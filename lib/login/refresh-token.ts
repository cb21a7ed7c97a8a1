import { createHmac, timingSafeEqual } from 'node:crypto';
import { purposeKey } from '../secrets.ts';
import { sidOf } from './login-secret.ts';

/** A refresh token whose MAC was right: the secret of its family, and which of the family's tokens it is. */
export interface RefreshToken {
  readonly family: string;
  readonly sid: string;
  readonly generation: number;
}

/** Writes and reads refresh tokens: `family.generation.mac`. A forged one costs no question to the store. */
export interface RefreshTokens {
  write(family: string, generation: number): string;
  /** Undefined for what we did not write. */
  read(token: string): RefreshToken | undefined;
}

const FORMAT = /^([\w-]{43})\.(0|[1-9]\d{0,14})\.([\w-]{43})$/;

/** The first secret signs, all verify; a token for one issuer and audience means nothing to another. */
export function refreshTokens(secrets: readonly string[], issuer: string, audience: string): RefreshTokens {
  const keys = secrets.map((secret) => purposeKey(secret, 'refresh-token', issuer, audience));
  const mac = (key: Buffer | undefined, signed: string) =>
    createHmac('sha256', key as Buffer)
      .update(signed)
      .digest();
  return {
    write(family, generation) {
      const signed = `${family}.${generation}`;
      return `${signed}.${mac(keys[0], signed).toString('base64url')}`;
    },
    read(token) {
      const match = FORMAT.exec(token);
      if (match === null) return undefined;
      const [, family = '', generation, given = ''] = match;
      const signed = `${family}.${generation}`;
      const bytes = Buffer.from(given, 'base64url');
      if (!keys.some((key) => timingSafeEqual(mac(key, signed), bytes))) return undefined;
      return { family, sid: sidOf(family), generation: Number(generation) };
    },
  };
}
