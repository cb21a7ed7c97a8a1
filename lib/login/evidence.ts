import type { Auth } from '../auth.ts';
import { idOf } from './revocation.ts';
import type { Evidence } from './revocations.ts';

const evidenceByAuth = new WeakMap<Auth, Evidence>();

/** Remembers by what a caller's credential can be taken back. */
export function keepEvidence(auth: Auth, evidence: Evidence): void {
  evidenceByAuth.set(auth, evidence);
}

/** By what a caller's credential can be taken back; of a session, or a copy, as it says itself. */
export function evidenceOf(auth: Auth): Evidence {
  const { mode, issuer, subject, sid, jti, issuedAt } = auth;
  return (
    evidenceByAuth.get(auth) ?? {
      ...(jti === undefined ? {} : { token: idOf.token(issuer, jti) }),
      ...(sid === undefined ? {} : { login: idOf.login(sid), spared: idOf.login(sid) }),
      // To the second, a login's token says too little of when it was issued.
      ...(sid === undefined || mode === 'session' ? { subjects: idOf.subjects(issuer, subject) } : {}),
      ...(mode === 'session' ? { stamp: issuedAt.getTime() } : {}),
      issuedAt: issuedAt.getTime(),
      leeway: 0,
    }
  );
}
