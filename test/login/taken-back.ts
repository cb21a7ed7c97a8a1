import type { AuthStore } from 'portcullis';
import { partsOf } from '../../lib/login/auth-store.ts';
import type { Replica } from '../../lib/login/replica.ts';
import { entryOf, idOf } from '../../lib/login/revocation.ts';
import type { LogEntry } from '../../lib/store/ports.ts';

const HOUR = 3_600_000;

/** A token's revocation, as it stands in the log. */
export function entryFor(jti: string, lifetime = HOUR): LogEntry {
  return entryOf({ kind: 'token', id: idOf.token('issuer', jti), expiresAt: Date.now() + lifetime });
}

export function revoke(store: AuthStore, jti: string): Promise<void> {
  return store.revokeToken({ issuer: 'issuer', jti, expiresAt: new Date(Date.now() + HOUR) });
}

/** Whether this process has heard that the token was taken back. */
export function knows(store: AuthStore, jti: string): boolean {
  const evidence = { token: idOf.token('issuer', jti), issuedAt: 0, leeway: 0 };
  return replicaOf(store).revocations.reach(evidence);
}

export function replicaOf(store: AuthStore): Replica {
  return partsOf('test', store).replica;
}
