import { hash, randomBytes } from 'node:crypto';

/** 256 random bits in base64url: what only the client of one login holds (OWASP ASVS 7.2.3 asks for 128). */
export function newLoginSecret(): string {
  return randomBytes(32).toString('base64url');
}

/** The handle of the login this secret opens. It leads nowhere back: what is in the store works in no cookie. */
export function sidOf(secret: string): string {
  return hash('sha256', secret, 'base64url');
}
