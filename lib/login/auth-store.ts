import type { Store as SessionStore } from 'express-session';
import type { Audit } from '../audit.ts';
import type { Auth, Login } from '../auth.ts';
import type { Logins } from './logins.ts';
import type { Replica } from './replica.ts';

/** Logins, revocations and session data, wherever they are kept: what every mode shares, and the one place to take things back. */
export interface AuthStore {
  /** Where a user is logged in, whichever mode opened the login, latest first. */
  logins(subject: string): Promise<readonly Login[]>;
  /** Ends one login of this subject, with its live access tokens, everywhere at once. Another subject's is left alone; one that is over is no error. */
  revokeLogin(login: Pick<Login, 'subject' | 'sid'>): Promise<void>;
  /** Takes one token back: `await store.revokeToken(getAuth(req))`. */
  revokeToken(token: Pick<Auth, 'issuer' | 'jti' | 'expiresAt'>): Promise<void>;
  /**
   * Ends every login of a subject in every mode, and every token issued to it until now, by `issuer` or by anyone. What
   * begins after it lives, be it in the same millisecond; of an issuer that stamps whole seconds, what is issued more than
   * leeway + 1 s later. After a change of password: all but `except` (a sid).
   */
  revokeSubject(
    subject: string,
    options?: { readonly issuer?: string | undefined; readonly except?: string | undefined },
  ): Promise<void>;
  /** Takes back everything a signing key ever signed: for a key that leaked. Replace it in every process first; signing with it throws from then on. */
  revokeKey(key: { readonly issuer: string; readonly kid: string }): Promise<void>;
  /** Calls once when what `auth` stands for ends, revoked by whatever or expired: `ws.on('close', store.onEnd(auth, () => ws.close()))`. */
  onEnd(auth: Auth, hear: () => void): () => void;
  /** Resolves once this process knows every standing revocation; waits as long as it takes. */
  ready(): Promise<void>;
  /** `staleness`: milliseconds since this process last proved that it knows every revocation. */
  health(): { readonly fresh: boolean; readonly staleness: number; readonly revocations: number };
  /** An express-session store over the session rows, for plain express-session: `session({ store: store.sessions(), secret })`. */
  sessions(): SessionStore;
  /** Stops following revocations. The Redis connection stays yours to close. */
  close(): Promise<void>;
}

/** What the modes need of a store, and its users do not. */
export interface StoreParts {
  readonly logins: Logins;
  readonly replica: Replica;
  /** Who hears of what concerns no one request: revocations, and whether they are known. */
  readonly audits: Set<Audit>;
}

const partsByStore = new WeakMap<object, StoreParts>();

export function keepParts(store: AuthStore, parts: StoreParts): void {
  partsByStore.set(store, parts);
}

/** The parts of a store option; throws a TypeError in the factory's name for what is no store of ours. */
export function partsOf(factory: string, store: AuthStore | undefined): StoreParts {
  const parts = typeof store === 'object' && store !== null ? partsByStore.get(store) : undefined;
  if (parts === undefined) throw new TypeError(`${factory}: "store" must be redisStore(client) or memoryStore()`);
  return parts;
}
