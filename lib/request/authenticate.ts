import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Request } from 'express';
import type { Audit } from '../audit.ts';
import { type Auth, type Mode, type Recognition, recognitionOf, refusalOf, tellRefusal } from '../auth.ts';
import { AuthError } from '../errors.ts';
import { after, type Eventually, isPromise } from '../eventually.ts';

/** What a mode found in a request. */
export interface Finding {
  readonly auth?: Auth | undefined;
  /** Why an ambient credential counts as absent. */
  readonly failure?: AuthError | undefined;
}

/** How one mode recognises a caller. Both ways may throw: an explicit credential that fails, a store that cannot be asked. */
export interface Door {
  readonly required: boolean;
  readonly audit: Audit | undefined;
  /** Who names themselves in a header; undefined if nobody does. */
  explicit?(req: IncomingMessage): Eventually<Auth> | undefined;
  /** Who a cookie speaks for. Without a reply nothing may be set. */
  ambient?(req: IncomingMessage, reply: Reply | undefined): Eventually<Finding>;
}

/** Where the answer goes, and where an error does. */
export interface Reply {
  readonly res: ServerResponse;
  readonly next: (error?: unknown) => void;
}

const NOBODY: Finding = {};

/**
 * The spine of every mode: explicit beats ambient, whatever the order of the modes; otherwise the first to recognise
 * somebody wins. The one place, with `become`, that sets `req.auth`.
 */
export function authenticate(door: Door): Mode {
  const middleware = function authenticate(
    req: IncomingMessage,
    res: ServerResponse,
    next: (error?: unknown) => void,
  ): void {
    const recognition = recognitionOf(req);
    if (door.audit !== undefined) recognition.audits.add(door.audit);
    const accept = ({ failure }: Finding) => {
      if (failure !== undefined) recognition.failure ??= failure;
      if (door.required && recognition.auth === undefined) refuse(refusalOf(recognition));
      else next();
    };
    const refuse = (error: unknown) => {
      if (error instanceof AuthError) tellRefusal(error, recognition.audits, req);
      next(error);
    };
    // What `next` throws is none of our errors, and must not call it again.
    const finding = attempt(() => recognise(door, req, { res, next }, recognition), refuse);
    if (isPromise(finding)) finding.then(accept, refuse);
    else if (finding !== undefined) accept(finding);
  };
  return Object.assign(middleware, { authenticate: (req: IncomingMessage) => authenticateOutside(door, req) });
}

function recognise(door: Door, req: IncomingMessage, reply: Reply, recognition: Recognition): Eventually<Finding> {
  // Who takes bearers looks at no cookie beside one: it would be asked where it comes from, and renewed, for nothing.
  if (recognition.explicit && door.explicit !== undefined) return NOBODY;
  const explicit = door.explicit?.(req);
  if (explicit !== undefined) {
    return after(explicit, (auth) => {
      recognition.explicit = true;
      become(req, auth);
      return NOBODY;
    });
  }
  return after(door.ambient?.(req, reply) ?? NOBODY, (finding) => {
    if (finding.auth !== undefined && recognition.auth === undefined) become(req, finding.auth);
    return finding;
  });
}

async function authenticateOutside(door: Door, req: IncomingMessage): Promise<Auth | undefined> {
  try {
    const explicit = await door.explicit?.(req);
    return explicit ?? (await door.ambient?.(req, undefined))?.auth;
  } catch (error) {
    if (error instanceof AuthError && door.audit !== undefined) tellRefusal(error, [door.audit], req);
    throw error;
  }
}

/** Makes this the caller of the request, or nobody. */
export function become(req: IncomingMessage, auth: Auth | undefined): void {
  recognitionOf(req).auth = auth;
  if (auth === undefined) delete (req as Request).auth;
  else (req as Request).auth = auth;
}

function attempt<Value>(work: () => Value, fail: (error: unknown) => void): Value | undefined {
  try {
    return work();
  } catch (error) {
    fail(error);
    return undefined;
  }
}
