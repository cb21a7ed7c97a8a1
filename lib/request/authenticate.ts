import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Request } from 'express';
import { type Audit, tell } from '../audit.ts';
import { type Auth, type Mode, type Recognition, recognitionOf } from '../auth.ts';
import { AuthError, Unauthenticated } from '../errors.ts';

/** What a mode found in a request. */
export interface Finding {
  readonly auth?: Auth | undefined;
  /** Why an ambient credential counts as absent. */
  readonly failure?: AuthError | undefined;
}

type Eventually<Value> = Value | Promise<Value>;

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
    const accept = (finding: Finding) => {
      if (finding.failure !== undefined) recognition.failure ??= finding.failure;
      if (door.required && recognition.auth === undefined) {
        refuse(recognition.failure ?? new Unauthenticated());
      } else {
        next();
      }
    };
    const refuse = (error: unknown) => {
      if (error instanceof AuthError) tell(recognition.audits, { type: 'refused', error }, req);
      next(error);
    };
    try {
      const finding = recognise(door, req, { res, next }, recognition);
      if (finding instanceof Promise) finding.then(accept, refuse);
      else accept(finding);
    } catch (error) {
      refuse(error);
    }
  };
  return Object.assign(middleware, {
    async authenticate(req: IncomingMessage): Promise<Auth | undefined> {
      const explicit = await door.explicit?.(req);
      return explicit ?? (await door.ambient?.(req, undefined))?.auth;
    },
  });
}

function recognise(door: Door, req: IncomingMessage, reply: Reply, recognition: Recognition): Eventually<Finding> {
  const explicit = recognition.explicit ? undefined : door.explicit?.(req);
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

/** Makes this the caller of the request, or nobody. */
export function become(req: IncomingMessage, auth: Auth | undefined): void {
  recognitionOf(req).auth = auth;
  if (auth === undefined) delete (req as Request).auth;
  else (req as Request).auth = auth;
}

function after<A, B>(value: Eventually<A>, next: (value: A) => B): Eventually<B> {
  return value instanceof Promise ? value.then(next) : next(value);
}
