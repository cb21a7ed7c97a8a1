import type { Auth, Login } from '../auth.ts';
import type { LoginRecord } from '../store/ports.ts';

/** A login as its owner may see it. */
export function loginFrom(record: LoginRecord): Login {
  const { sid, mode, subject, createdAt, lastSeenAt, expiresAt, ip, userAgent } = record;
  return {
    sid,
    mode,
    subject,
    createdAt: new Date(createdAt),
    lastSeenAt: new Date(lastSeenAt),
    expiresAt: new Date(expiresAt),
    ...(ip === undefined ? {} : { ip }),
    ...(userAgent === undefined ? {} : { userAgent }),
  };
}

/** Who a session speaks for. */
export function authFrom(record: LoginRecord): Auth {
  const { sid, subject, identity, createdAt, expiresAt } = record;
  return Object.freeze({
    mode: 'session',
    subject,
    sid,
    scopes: Object.freeze([...identity.scopes]),
    roles: Object.freeze([...identity.roles]),
    authenticatedAt: new Date(identity.authenticatedAt),
    issuedAt: new Date(createdAt),
    expiresAt: new Date(expiresAt),
    claims: Object.freeze(Object.assign(Object.create(null), identity.claims)),
  });
}
