import type { Auth } from '../auth.ts';
import { idOf } from './revocation.ts';
import type { Evidence } from './revocations.ts';

const evidenceByAuth = new WeakMap<Auth, Evidence>();

/** Remembers by what a caller's credential can be taken back. */
export function keepEvidence(auth: Auth, evidence: Evidence): void {
  evidenceByAuth.set(auth, evidence);
}

/** By what a caller's credential can be taken back; of a copy, as much as it says itself. */
export function evidenceOf(auth: Auth): Evidence {
  const { issuer, subject, sid, jti, issuedAt } = auth;
  return (
    evidenceByAuth.get(auth) ?? {
      ...(jti === undefined ? {} : { token: idOf.token(issuer, jti) }),
      ...(sid === undefined
        ? { subjects: [idOf.subject(issuer, subject), idOf.subject(undefined, subject)] }
        : { login: idOf.login(sid) }),
      issuedAt: issuedAt.getTime(),
      leeway: 0,
    }
  );
}
