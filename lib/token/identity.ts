import type { Claims, Identity } from '../auth.ts';
import { isSubject } from './claims.ts';
import { isScope } from './verified-token.ts';

// What the suite writes or reads itself, and what would reach into objects.
const RESERVED = new Set(
  (
    'iss sub aud exp nbf iat jti typ sid gen lat auth_time scope roles client_id azp cnf act ' +
    '__proto__ constructor prototype'
  ).split(' '),
);

/** Throws a TypeError in the factory's name for an identity that could not stand in a token or a session. */
export function checkIdentity(factory: string, identity: Identity): void {
  const demand = (condition: boolean, complaint: string) => {
    if (!condition) throw new TypeError(`${factory}: ${complaint}`);
  };
  demand(typeof identity === 'object' && identity !== null, 'takes an identity: { subject, scopes, roles, claims }');
  const { subject, scopes, roles, authenticatedAt, claims } = identity;
  demand(isSubject(subject), '"subject" must be a string of 1 to 255 characters, none of them a control character');
  demand(
    scopes === undefined || (Array.isArray(scopes) && scopes.every(isScope)),
    '"scopes" must be a list of scopes, without blanks, quotes or backslashes in one (RFC 6749, 3.3)',
  );
  demand(
    roles === undefined || (Array.isArray(roles) && roles.every(isRole)),
    '"roles" must be a list of strings, none empty',
  );
  demand(authenticatedAt === undefined || isDate(authenticatedAt), '"authenticatedAt" must be a valid Date');
  demand(claims === undefined || isPlain(claims), '"claims" must be a plain object');
  const reserved = namesOf(claims, demand).filter((name) => RESERVED.has(name));
  demand(reserved.length === 0, `"claims" must not hold ${reserved.join(', ')}: reserved, use another name`);
}

/** The claims as a token will carry them: what a `toJSON` makes of them, once. */
export function plainClaims(claims: Claims | undefined): Claims {
  return claims === undefined ? {} : (JSON.parse(JSON.stringify(claims)) as Claims);
}

function namesOf(
  claims: Claims | undefined,
  demand: (condition: boolean, complaint: string) => void,
): readonly string[] {
  try {
    return Object.keys(plainClaims(claims));
  } catch {
    demand(false, '"claims" must be JSON: no circles, no BigInt');
    return [];
  }
}

function isRole(role: unknown): boolean {
  return typeof role === 'string' && role !== '';
}

function isDate(value: unknown): boolean {
  return value instanceof Date && Number.isFinite(value.getTime());
}

function isPlain(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}
