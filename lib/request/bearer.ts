import type { IncomingMessage } from 'node:http';
import { InvalidRequest } from '../errors.ts';

// RFC 6750, 2.1 and RFC 9110, 11.2: 1*SP, then one token68. No two neighbours share a character: linear.
const BEARER = /^bearer +([a-z0-9._~+/-]+=*)$/i;

// The scheme ends at the first character that no token holds (RFC 9110, 5.6.2): `Bearer-ish` is another scheme.
const BEARER_SCHEME = /^bearer(?![a-z0-9!#$%&'*+.^_`|~-])/i;

/**
 * The one bearer token of the Authorization header (RFC 6750, 2.1), or undefined where there is none or the scheme is
 * another. A bearer header that breaks the grammar, or a second Authorization header, throws InvalidRequest.
 */
export function bearerOf(req: IncomingMessage): string | undefined {
  const { authorization } = req.headers;
  if (authorization === undefined) return undefined;
  if (repeatsAuthorization(req.rawHeaders)) throw new InvalidRequest('more than one Authorization header was sent');
  const token = BEARER.exec(authorization)?.[1];
  if (token === undefined && BEARER_SCHEME.test(authorization)) {
    throw new InvalidRequest('the Authorization header must be the word Bearer and one token');
  }
  return token;
}

// `req.headers` holds the first only, and says nothing of the rest (RFC 6750, 2: one credential a request).
function repeatsAuthorization(rawHeaders: readonly string[]): boolean {
  let seen = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] as string;
    if (name.length === AUTHORIZATION.length && name.toLowerCase() === AUTHORIZATION) seen++;
  }
  return seen > 1;
}

const AUTHORIZATION = 'authorization';
