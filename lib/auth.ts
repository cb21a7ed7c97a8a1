import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Request, Response, Router } from 'express';
import { type Audit, tell } from './audit.ts';
import { type AuthError, Unauthenticated } from './errors.ts';

/** A Connect middleware. (Not Express's RequestHandler: in front of a handler that one turns `req.params.id` into `string | string[]`.) */
export interface Middleware {
  (req: IncomingMessage, res: ServerResponse, next: (error?: any) => void): void;
}

/** Claims of your own. Widen it: `declare module 'portcullis' { interface Claims { tenant: string } }`. */
export interface Claims {
  readonly [name: string]: unknown;
}

/** Who is calling: the same shape whichever middleware recognised them. */
export interface Auth {
  readonly mode: 'session' | 'jwt' | 'hybrid';
  /** The user (`sub`). Two issuers may use the same subject: identity is (issuer, subject). */
  readonly subject: string;
  /** Who vouches for the subject: the token's `iss`; absent in session mode. */
  readonly issuer?: string;
  /** The login this request belongs to: what "log out this device" ends. Absent from foreign JWTs. */
  readonly sid?: string;
  /** The name of this very token, in the token modes: its `jti`, or, where its issuer gives none, the SHA-256 of its signed part. */
  readonly jti?: string;
  readonly scopes: readonly string[];
  readonly roles: readonly string[];
  /** When the person last proved who they are (`auth_time`); refreshing does not move it. Absent if the token does not say: never taken from `iat`. */
  readonly authenticatedAt?: Date;
  readonly issuedAt: Date;
  /** Session mode: the earlier of the idle and the absolute end. */
  readonly expiresAt: Date;
  /** Token modes: the whole verified payload. Session mode: what `login` was given. */
  readonly claims: Claims;
}

declare global {
  namespace Express {
    interface Request {
      /** Set by `sessionAuth`, `jwtAuth` or `hybridAuth` once they recognise the caller. */
      auth?: Auth;
    }
  }
}

/** Who a login is for. */
export interface Identity {
  readonly subject: string;
  readonly scopes?: readonly string[];
  readonly roles?: readonly string[];
  /** When the person proved who they are, where that was not just now: a session exchanged for a token keeps it. @default now, for `login`; absent, for `tokenIssuer` */
  readonly authenticatedAt?: Date;
  /** Public: in the token modes anybody who holds the token can read these. Reserved claim names are refused. */
  readonly claims?: Claims;
}

/** One place where a user is logged in: a session, or a refresh-token family. */
export interface Login {
  /** A handle, not a credential: it works in no cookie and no header. */
  readonly sid: string;
  readonly mode: 'session' | 'hybrid';
  readonly subject: string;
  readonly createdAt: Date;
  readonly lastSeenAt: Date;
  readonly expiresAt: Date;
  readonly ip?: string;
  readonly userAgent?: string;
}

/** A middleware that recognises a caller and sets `req.auth`. Passed on uncalled (`app.use(jwtAuth)`), each factory throws and says so. */
export interface Mode extends Middleware {
  /**
   * Who sends this request, outside the chain: a WebSocket upgrade (whose Origin it then judges), a GraphQL context.
   * Undefined for nobody; throws what an explicit credential fails by. Sets nothing.
   */
  authenticate(req: IncomingMessage): Promise<Auth | undefined>;
}

/** A mode that also opens logins. `Receipt` is what the client gets for it. */
export interface LoginMode<Receipt> extends Mode {
  /**
   * Logs a user in under a fresh id, ends the login this request had (so step-up is logging in again), keeps a guest's
   * `req.session` and drops what another subject left, sets cookies and `req.auth`, forbids caching. Rejects if it could
   * not be stored: never a false 200. Needs no mode in front of it.
   */
  login(req: Request, res: Response, identity: Identity, options?: { readonly remember?: boolean }): Promise<Receipt>;
  /** Ends the login this request belongs to (its access token may have expired), everywhere, and clears its cookies. Without one it resolves. */
  logout(req: Request, res: Response): Promise<void>;
  /**
   * `POST /logout`, `GET /logins`, `DELETE /logins/:sid` (one's own only), and in hybrid mode `POST /refresh` (body
   * transport: JSON or form, `{ refresh_token }`). They authenticate and parse by themselves, wherever mounted, answer
   * their own refusals as JSON (RFC 6749, section 5.2) and are never cached.
   */
  routes(): Router;
}

/** What the modes in front of a handler found out about one request. */
export interface Recognition {
  auth: Auth | undefined;
  /** The caller named themselves in a header: nothing ambient takes their place. */
  explicit: boolean;
  /** Why an ambient credential counted as absent: what a guard answers for it. */
  failure: AuthError | undefined;
  /** What a guard answers where nothing counted as absent; made on first asking. */
  nobody: AuthError | undefined;
  /** Who hears of what becomes of this request. */
  readonly audits: Set<Audit>;
}

// Other packages write `req.auth` too, one of them before it has checked the password: what counts is kept here.
const recognitions = new WeakMap<object, Recognition>();

/** What is known of a request so far; made on first asking. */
export function recognitionOf(req: object): Recognition {
  let recognition = recognitions.get(req);
  if (recognition === undefined) {
    recognition = { auth: undefined, explicit: false, failure: undefined, nobody: undefined, audits: new Set() };
    recognitions.set(req, recognition);
  }
  return recognition;
}

/** The caller, for a handler that has none without one. Otherwise throws what a guard would: the real reason, or `Unauthenticated`. */
export function getAuth(req: { readonly auth?: Auth }): Auth {
  const recognition = recognitions.get(req);
  if (recognition?.auth !== undefined) return recognition.auth;
  if (recognition === undefined) throw new Unauthenticated();
  const error = refusalOf(recognition);
  tellRefusal(error, recognition.audits, req as Request);
  throw error;
}

/** Why this request is refused where somebody must be known: one and the same error, however many ask. */
export function refusalOf(recognition: Recognition): AuthError {
  recognition.nobody ??= new Unauthenticated();
  return recognition.failure ?? recognition.nobody;
}

const told = new WeakSet<AuthError>();

/** Tells of a refusal, once, though several be about to. */
export function tellRefusal(error: AuthError, audits: Iterable<Audit>, req: IncomingMessage): void {
  if (told.has(error)) return;
  told.add(error);
  tell(audits, { type: 'refused', error }, req);
}
