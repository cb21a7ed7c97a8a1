/** What can be wrong with a request, as a client is told it in `error` (RFC 6749, 5.2; RFC 6750, 3.1; RFC 9470, 3). */
export type AuthErrorCode =
  | 'unauthenticated'
  | 'invalid_request'
  | 'invalid_token'
  | 'insufficient_scope'
  | 'insufficient_role'
  | 'insufficient_user_authentication'
  | 'invalid_grant'
  | 'cross_site_request'
  | 'store_unavailable'
  | 'insecure_cookie';

interface Answer {
  readonly code: AuthErrorCode;
  readonly status: number;
  readonly message: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

/**
 * The base of every refusal, passed to `next`. Express's own error handler answers it right: status and headers
 * (RFC 6750). The message may be shown to the client: it never holds a token, a key, or where Redis is.
 */
export class AuthError extends Error {
  readonly code: AuthErrorCode;
  /** Both spellings of the http-errors convention: Express and Koa read one, Nest the other. */
  readonly status: number;
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
  /** The http-errors convention for "the client may read the message". */
  readonly expose: boolean = true;

  protected constructor(answer: Answer) {
    // A refusal is an expected outcome: its stack would cost more than the check itself, and Express shows it.
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = 0;
    super(answer.message, 'cause' in answer ? { cause: answer.cause } : undefined);
    Error.stackTraceLimit = limit;
    this.name = new.target.name;
    this.code = answer.code;
    this.status = answer.status;
    this.statusCode = answer.status;
    this.headers = Object.freeze({ ...answer.headers });
  }
}

/** RFC 6750, 3: a challenge; without credentials it names no error. */
function challenge(parameters: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const list = Object.entries(parameters).map(([name, value]) => `${name}="${value}"`);
  return { 'WWW-Authenticate': list.length > 0 ? `Bearer ${list.join(', ')}` : 'Bearer' };
}

/** 401: nobody was recognised, and somebody must be. */
export class Unauthenticated extends AuthError {
  /** @internal */
  constructor() {
    super({ code: 'unauthenticated', status: 401, message: 'authentication is required', headers: challenge() });
  }
}

/** 400: the request itself cannot be understood, such as two credentials at once (RFC 6750, 3.1). */
export class InvalidRequest extends AuthError {
  /** @internal `description` is sent to the client, so it never echoes the request (RFC 6750, 3: %x20-21 / %x23-5B / %x5D-7E). */
  constructor(description: string) {
    super({
      code: 'invalid_request',
      status: 400,
      message: description,
      headers: challenge({ error: 'invalid_request', error_description: description }),
    });
  }
}

/** Why a token is refused. Only `expired` is told apart on the wire, so that a client knows to refresh. */
export type InvalidTokenReason = 'malformed' | 'unknown_key' | 'bad_signature' | 'bad_claim' | 'expired' | 'revoked';

/** 401: the token is not, or no longer, good (RFC 6750, 3.1). */
export class InvalidToken extends AuthError {
  readonly reason: InvalidTokenReason;
  /** What exactly was wrong, for logs and the audit; never sent. */
  readonly detail: string | undefined;

  /** @internal */
  constructor(reason: InvalidTokenReason, detail?: string) {
    const message = reason === 'expired' ? 'the token has expired' : 'the token is not valid';
    super({
      code: 'invalid_token',
      status: 401,
      message,
      headers: challenge({ error: 'invalid_token', error_description: message }),
    });
    this.reason = reason;
    this.detail = detail;
  }
}

/** 403: the caller is known, and lacks a scope (RFC 6750, 3.1). */
export class InsufficientScope extends AuthError {
  readonly required: readonly string[];

  /** @internal */
  constructor(required: readonly string[]) {
    super({
      code: 'insufficient_scope',
      status: 403,
      message: 'a scope is missing',
      headers: challenge({
        error: 'insufficient_scope',
        error_description: 'a scope is missing',
        scope: required.join(' '),
      }),
    });
    this.required = required;
  }
}

/** 403: the caller is known, and has none of the roles. */
export class InsufficientRole extends AuthError {
  readonly required: readonly string[];

  /** @internal */
  constructor(required: readonly string[]) {
    super({ code: 'insufficient_role', status: 403, message: 'a role is missing' });
    this.required = required;
  }
}

/** 401: the caller is known, and must prove again who they are (RFC 9470, 3; OWASP ASVS 7.5.3). */
export class InsufficientUserAuthentication extends AuthError {
  /** @internal `maxAge`: how many seconds ago it may have been. */
  constructor(maxAge: number | undefined, message = 'a more recent authentication is required') {
    super({
      code: 'insufficient_user_authentication',
      status: 401,
      message,
      headers: challenge({
        error: 'insufficient_user_authentication',
        error_description: message,
        ...(maxAge === undefined ? {} : { max_age: String(maxAge) }),
      }),
    });
  }
}

/** 400: the refresh token is not, or no longer, good. The client is told nothing of the reason (RFC 6749, 5.2). */
export class InvalidGrant extends AuthError {
  readonly reason: 'unknown' | 'expired' | 'reused';

  /** @internal */
  constructor(reason: 'unknown' | 'expired' | 'reused') {
    super({ code: 'invalid_grant', status: 400, message: 'the refresh token is not valid' });
    this.reason = reason;
  }
}

/** 403: a page of another site asked a browser to act with our cookies (OWASP ASVS 3.5.1). */
export class CrossSiteRequest extends AuthError {
  /** @internal */
  constructor() {
    super({ code: 'cross_site_request', status: 403, message: 'the request comes from another site' });
  }
}

/** 503: what had to be asked or stored could not be. Good credentials stay good: try again. */
export class StoreUnavailable extends AuthError {
  /** @internal `what` could not be reached. */
  constructor(cause?: unknown, what = 'the login store') {
    super({
      code: 'store_unavailable',
      status: 503,
      message: `${what} cannot be reached, try again shortly`,
      headers: { 'Retry-After': '1' },
      cause,
    });
  }
}

/** 500: a Secure cookie was to be set on a plain connection, where a browser would drop it without a word. */
export class InsecureCookie extends AuthError {
  /** @internal */
  constructor(name: string) {
    super({
      code: 'insecure_cookie',
      status: 500,
      message:
        `the cookie "${name}" is Secure, but this request did not come over https. Behind a proxy that ends TLS, add ` +
        "app.set('trust proxy', 1); for plain http in development, set cookie: { secure: false }",
    });
  }
}
