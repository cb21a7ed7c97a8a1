import type { Identity } from '../auth.ts';
import type { LoginRecord, StoredIdentity } from '../store/ports.ts';

/** What of an identity is kept with its login. `authenticatedAt` is now unless it says otherwise. */
export function storedIdentity({ scopes = [], roles = [], authenticatedAt, claims = {} }: Identity): StoredIdentity {
  return {
    scopes: [...scopes],
    roles: [...roles],
    authenticatedAt: authenticatedAt?.getTime() ?? Date.now(),
    // As it will be when it is read again.
    claims: JSON.parse(JSON.stringify(claims)),
  };
}

/** Who a login is for, as it was opened. */
export function identityOf({ subject, identity }: Pick<LoginRecord, 'subject' | 'identity'>): Identity {
  const { scopes, roles, authenticatedAt, claims } = identity;
  return { subject, scopes, roles, claims, authenticatedAt: new Date(authenticatedAt) };
}
