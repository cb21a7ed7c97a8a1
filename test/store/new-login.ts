import { randomUUID } from 'node:crypto';
import type { AuthStore } from 'portcullis';
import { partsOf } from '../../lib/login/auth-store.ts';
import { newLoginSecret, sidOf } from '../../lib/login/login-secret.ts';
import type { LoginStore, NewLogin } from '../../lib/store/ports.ts';

/** A login about to be opened, of somebody nobody else knows unless it is said. */
export function newLogin(facts: Partial<NewLogin> = {}): NewLogin {
  return {
    sid: sidOf(newLoginSecret()),
    mode: 'session',
    subject: `user-${randomUUID()}`,
    identity: { scopes: ['read'], roles: ['editor'], authenticatedAt: 1_700_000_000_000, claims: { name: 'Ann' } },
    persistent: false,
    idle: 60_000,
    absolute: 3_600_000,
    ...facts,
  };
}

/** The port below a store: what its modes use. */
export function loginsOf(store: AuthStore): LoginStore {
  return partsOf('test', store).logins.store;
}
