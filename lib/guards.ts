import { type Auth, type Middleware, recognitionOf, refusalOf, tellRefusal } from './auth.ts';
import { type AuthError, InsufficientRole, InsufficientScope, InsufficientUserAuthentication } from './errors.ts';
import { type Duration, readOptions } from './options.ts';

const MODES: readonly string[] = ['session', 'jwt', 'hybrid'] satisfies readonly Auth['mode'][];

export interface RequireAuthOptions {
  /** Who proved who they are no longer ago than this: step-up. Refused if the credential does not say when. */
  readonly within?: Duration;
  /** By one of these modes. */
  readonly mode?: Auth['mode'] | readonly Auth['mode'][];
}

/**
 * Lets through anybody known; `within`: who proved who they are no longer ago than this (step-up, OWASP ASVS 7.5.3; 401
 * `insufficient_user_authentication`, RFC 9470); `mode`: by one of these modes.
 */
export function requireAuth(options: RequireAuthOptions = {}): Middleware {
  const settings = readOptions('requireAuth', options, ['within', 'mode']);
  const within = options.within === undefined ? undefined : settings.duration('within', '1s');
  const modes = options.mode === undefined ? MODES : [options.mode].flat();
  if (modes.length === 0 || modes.some((mode) => !MODES.includes(mode))) {
    settings.fail(`"mode" must be 'session', 'jwt', 'hybrid', or a list of these`);
  }
  return guard((auth) => {
    if (!modes.includes(auth.mode)) {
      return new InsufficientUserAuthentication(undefined, 'another way of authentication is required');
    }
    if (within === undefined || isWithin(auth, within)) return undefined;
    return new InsufficientUserAuthentication(Math.ceil(within / 1000));
  });
}

/** Lets through a caller who holds all of these scopes; at least one must be named. 403 `insufficient_scope` (RFC 6750). */
export function requireScope(...allOf: readonly string[]): Middleware {
  checkNames('requireScope', 'scope', allOf);
  return guard((auth) =>
    allOf.every((scope) => auth.scopes.includes(scope)) ? undefined : new InsufficientScope(allOf),
  );
}

/** Lets through a caller who has any of these roles; at least one must be named. 403 `insufficient_role`. */
export function requireRole(...anyOf: readonly string[]): Middleware {
  checkNames('requireRole', 'role', anyOf);
  return guard((auth) => (anyOf.some((role) => auth.roles.includes(role)) ? undefined : new InsufficientRole(anyOf)));
}

/** Lifts a check of the caller to a middleware. It asks what the modes found, not `req.auth`, which anybody may write. */
function guard(check: (auth: Auth) => AuthError | undefined): Middleware {
  return function guard(req, _res, next) {
    const recognition = recognitionOf(req);
    const error = recognition.auth === undefined ? refusalOf(recognition) : check(recognition.auth);
    if (error === undefined) return next();
    tellRefusal(error, recognition.audits, req);
    next(error);
  };
}

function isWithin({ authenticatedAt }: Auth, within: number): boolean {
  if (authenticatedAt === undefined) return false;
  const age = Date.now() - authenticatedAt.getTime();
  // One in the future, beyond what clocks may differ, would pass for ever.
  return age <= within && age >= -60_000;
}

function checkNames(factory: string, noun: string, names: readonly unknown[]): void {
  if (names.length > 0 && typeof names[0] === 'object') {
    throw new TypeError(`${factory}: call it with names: app.use(${factory}('…'))`);
  }
  // RFC 6749, 3.3 for scopes; a quote in a name would break the challenge.
  const sound = names.every((name) => typeof name === 'string' && /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(name));
  if (names.length === 0 || !sound) {
    throw new TypeError(`${factory}: name at least one ${noun}, each a string without blanks, quotes or backslashes`);
  }
}
