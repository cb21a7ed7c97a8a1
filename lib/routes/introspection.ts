import type { Request } from 'express';
import type { Middleware, Mode } from '../auth.ts';
import { InvalidToken, Unauthenticated } from '../errors.ts';
import { type Credential, type CredentialReader, readersOf } from '../login/credentials.ts';
import { readOptions } from '../options.ts';
import { formEndpoint, tokenIn } from './form-endpoint.ts';

export interface IntrospectionOptions {
  /** Whose credentials are known here: what `sessionAuth`, `jwtAuth` and `hybridAuth` gave. */
  readonly modes: readonly Mode[];
  /**
   * Whether this caller may ask; only `true` lets it. With a mode in front:
   * `(req) => getAuth(req).scopes.includes('introspect')`.
   */
  readonly authorize: (req: Request) => boolean | Promise<boolean>;
}

/**
 * What is told of a credential that is good (RFC 7662, section 2.2). Times are seconds. The members named here are what
 * verification found; the other claims stand as the credential carries them.
 */
export interface Introspection {
  readonly active: true;
  /** What it is. Only an access token is one: a refresh token or a session id that a client sends as a bearer is not. */
  readonly kind: Credential['kind'];
  readonly sub: string;
  readonly iss?: string;
  readonly sid?: string;
  readonly jti?: string;
  readonly scope?: string;
  readonly roles: readonly string[];
  readonly iat: number;
  readonly exp: number;
  readonly auth_time?: number;
  readonly token_type?: 'Bearer';
  readonly [claim: string]: unknown;
}

/**
 * Token introspection (RFC 7662) for services without the store: a POSTed form with `token`, which is a session id as it
 * stands in the cookie, an access token or a refresh token. Whatever is not good is `{ "active": false }`; a caller that
 * may not ask gets 401, and where the store or an issuer cannot be asked it is 503.
 */
export function introspectionHandler(options: IntrospectionOptions): Middleware {
  const reader = readOptions('introspectionHandler', options, ['modes', 'authorize']);
  const readers = readersOf('introspectionHandler', options.modes);
  const authorize = reader.optionalFunction('authorize');
  if (authorize === undefined) {
    return reader.fail('"authorize" must be given: (req) => whether this caller may ask what a token stands for');
  }
  return formEndpoint('introspection', async (form, req) => {
    if ((await authorize(req as Request)) !== true) throw new Unauthenticated();
    const credential = (await readFirst(readers, tokenIn(form)))?.credential;
    return credential === undefined || credential.spent === true ? { active: false } : introspectionOf(credential);
  });
}

/** The first reader that knows this text, and what it makes of it. One that cannot be asked matters only if none knows it. */
export async function readFirst(
  readers: readonly CredentialReader[],
  text: string,
): Promise<{ readonly credential: Credential; readonly reader: CredentialReader } | undefined> {
  let failure: unknown;
  for (const reader of readers) {
    try {
      const credential = await reader.read(text);
      if (credential !== undefined) return { credential, reader };
    } catch (error) {
      if (!(error instanceof InvalidToken)) failure ??= error;
    }
  }
  if (failure !== undefined) throw failure;
  return undefined;
}

// What these say is ours to say: only as verification found it.
const OURS = new Set('active kind sub iss sid jti scope roles iat exp auth_time token_type gen lat'.split(' '));

export function introspectionOf({ kind, auth }: Credential): Introspection {
  const { subject, issuer, sid, jti, scopes, roles, issuedAt, expiresAt, authenticatedAt, claims } = auth;
  return {
    ...Object.fromEntries(Object.entries(claims).filter(([name]) => !OURS.has(name))),
    active: true,
    kind,
    sub: subject,
    ...(issuer === undefined ? {} : { iss: issuer }),
    ...(sid === undefined ? {} : { sid }),
    ...(jti === undefined ? {} : { jti }),
    ...(scopes.length === 0 ? {} : { scope: scopes.join(' ') }),
    roles,
    iat: seconds(issuedAt),
    exp: seconds(expiresAt),
    ...(authenticatedAt === undefined ? {} : { auth_time: seconds(authenticatedAt) }),
    ...(kind === 'access_token' ? { token_type: 'Bearer' } : {}),
  };
}

function seconds(date: Date): number {
  return Math.floor(date.getTime() / 1_000);
}
