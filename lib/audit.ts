import type { IncomingMessage } from 'node:http';
import type { Request } from 'express';
import type { Auth } from './auth.ts';
import type { AuthError } from './errors.ts';

/** What happened. Tokens, cookies and secrets are never in it. */
export type AuditEvent = { readonly at: Date; readonly ip?: string; readonly userAgent?: string } & (
  | {
      readonly type: 'login' | 'logout' | 'refresh' | 'refresh_reused';
      readonly mode: Auth['mode'];
      readonly subject: string;
      readonly sid: string;
    }
  | {
      readonly type: 'revoked';
      readonly subject?: string;
      readonly sid?: string;
      readonly jti?: string;
      readonly kid?: string;
    }
  | { readonly type: 'refused'; readonly error: AuthError }
  /** Two requests changed the same fields of a session: the later one won. */
  | { readonly type: 'session_conflict'; readonly sid: string; readonly fields: readonly string[] }
  /** What stood in the store for a session could not be read, and counted as none. */
  | { readonly type: 'session_corrupt'; readonly sid: string }
  | { readonly type: 'stale' | 'fresh' }
);

/** Hears of every login, refusal and revocation, once. It can neither delay nor break a request. */
export type Audit = (event: AuditEvent, req?: Request) => void;

/** An event before it is dated. */
export type AuditFact = AuditEvent extends infer Event
  ? Event extends unknown
    ? Omit<Event, 'at' | 'ip' | 'userAgent'>
    : never
  : never;

/** Tells each of `audits` once, after the request's own work of this turn; what one of them throws is a warning. */
export function tell(audits: Iterable<Audit>, fact: AuditFact, req?: IncomingMessage): void {
  const listeners = [...audits];
  if (listeners.length === 0) return;
  const event = { at: new Date(), ...origin(req), ...fact } as AuditEvent;
  for (const audit of listeners) setImmediate(hear, audit, event, req as Request | undefined);
}

function hear(audit: Audit, event: AuditEvent, req: Request | undefined): void {
  const complain = (error: unknown) => {
    process.emitWarning(`the audit function failed: ${String(error)}`, { code: 'PORTCULLIS_AUDIT' });
  };
  try {
    // An async function is welcome too, though nobody waits for it.
    Promise.resolve(audit(event, req) as unknown).catch(complain);
  } catch (error) {
    complain(error);
  }
}

/** Where a request comes from: `req.ip` where Express made it (which heeds `trust proxy`), else the socket's address. */
export function origin(req: IncomingMessage | undefined): { readonly ip?: string; readonly userAgent?: string } {
  if (req === undefined) return {};
  const ip = (req as Partial<Request>).ip ?? req.socket?.remoteAddress;
  const userAgent = req.headers['user-agent'];
  return {
    ...(ip === undefined ? {} : { ip }),
    // Long enough for any browser, and no more than one wants to keep.
    ...(userAgent === undefined ? {} : { userAgent: userAgent.slice(0, 256) }),
  };
}
