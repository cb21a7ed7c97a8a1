import type { RequestHandler } from 'express';
import type { AuditEvent, AuthStore, Duration, Identity, SigningKeys } from 'portcullis';
import type { Users } from './users.ts';

/** Who issues the tokens here, and whom they are meant for: a token for one audience is nothing to another. */
export const ISSUER = 'https://portcullis.example';
export const API = 'example:api';
export const APP = 'example:app';
export const MOBILE = 'example:mobile';

/** How long a token of `issueToken` lasts. */
export const TOKEN_SECONDS = 300;

/** What the doors of the example are made of. All of them share one store, and with it one Redis connection. */
export interface Doors {
  readonly store: AuthStore;
  readonly keys: SigningKeys;
  readonly secret: string;
  /** Whether cookies are Secure: always, but on http://localhost. */
  readonly secure: boolean;
  readonly audit: (event: AuditEvent) => void;
  readonly users: Users;
  readonly limitLogins: RequestHandler;
  /** How long ago one may have given one's password, to change it (OWASP ASVS 7.5.1). */
  readonly proofWithin: Duration;
  /** A token for `/api`. */
  readonly issueToken: (identity: Identity) => string;
}
