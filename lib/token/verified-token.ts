import { hash } from 'node:crypto';
import type { Claims } from '../auth.ts';
import { isIdentifier } from './claims.ts';
import type { Jws } from './jws.ts';
import { isSigningKeys, type TrustedIssuer } from './keys.ts';

/** A token whose signature and claims were found good, and what it says. Frozen, and the same object at every use of one token. */
export interface VerifiedToken {
  readonly claims: Claims;
  readonly issuer: string;
  readonly subject: string;
  /** Its `jti`, or the SHA-256 (base64url) of its signed part, header and payload. */
  readonly jti: string;
  readonly sid?: string;
  /** The refresh generation it was minted with (`gen`): only our hybrid tokens have it. */
  readonly generation?: number;
  /** When it was issued in log time, in milliseconds (`lat`): only tokens of ours have it, but others may write what they like. */
  readonly stamp?: number;
  /** Milliseconds. */
  readonly issuedAt: number;
  /** Milliseconds. */
  readonly expiresAt: number;
  /** Milliseconds. */
  readonly authenticatedAt?: number;
  readonly scopes: readonly string[];
  readonly roles: readonly string[];
  /** Of the key that verified it. */
  readonly kid: string;
  /** Whether that key is held here (`localKeys`), rather than fetched from its issuer. */
  readonly ours: boolean;
}

// RFC 6749, section 3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
const SCOPE_TOKEN = /^[\x21\x23-\x5b\x5d-\x7e]+$/;

/** Whether it can stand in a list of scopes (RFC 6749, section 3.3). */
export function isScope(value: unknown): value is string {
  return typeof value === 'string' && SCOPE_TOKEN.test(value);
}

/** Reads a token whose signature and claims have been found good. */
export function verifiedToken(jws: Jws, kid: string, trusted: TrustedIssuer): VerifiedToken {
  const { payload } = jws;
  const ours = isSigningKeys(trusted.keys);
  const { scopes = 'scope', roles = ours ? 'roles' : undefined } = trusted.claims ?? {};
  return Object.freeze({
    claims: payload,
    issuer: trusted.issuer,
    subject: payload.sub as string,
    jti: (payload.jti as string | undefined) ?? hash('sha256', jws.signedPart, 'base64url'),
    ...readLogin(payload),
    ...(Number.isFinite(payload.lat) ? { stamp: payload.lat as number } : {}),
    issuedAt: milliseconds(payload.iat),
    expiresAt: milliseconds(payload.exp),
    ...readAuthenticatedAt(payload),
    scopes: readScopes(claimAt(payload, scopes)),
    roles: roles === undefined ? NONE : readRoles(claimAt(payload, roles)),
    kid,
    ours,
  });
}

const NONE: readonly string[] = Object.freeze([]);

function milliseconds(seconds: unknown): number {
  return Math.round((seconds as number) * 1_000);
}

function readLogin({ sid, gen }: Claims): Pick<VerifiedToken, 'sid' | 'generation'> {
  if (!isIdentifier(sid)) return {};
  return Number.isSafeInteger(gen) && (gen as number) >= 0 ? { sid, generation: gen as number } : { sid };
}

// One in the future would pass every demand for a recent login.
function readAuthenticatedAt({ auth_time: time }: Claims): Pick<VerifiedToken, 'authenticatedAt'> {
  if (typeof time !== 'number' || !(time > 0) || milliseconds(time) > Date.now() + 60_000) return {};
  return { authenticatedAt: milliseconds(time) };
}

function readScopes(value: unknown): readonly string[] {
  const scopes = typeof value === 'string' ? value.split(' ').filter((scope) => scope !== '') : value;
  return Array.isArray(scopes) && scopes.every(isScope) ? Object.freeze(scopes) : NONE;
}

function readRoles(value: unknown): readonly string[] {
  const roles: unknown = typeof value === 'string' ? [value] : value;
  const good = Array.isArray(roles) && roles.every((role) => typeof role === 'string' && role !== '');
  return good ? Object.freeze(roles as string[]) : NONE;
}

/** A name is one claim, dots and slashes and all (`https://example.com/roles`); a path goes on into each member of a list. */
function claimAt(claims: Claims, path: string | readonly string[]): unknown {
  const inside = (place: unknown, name: string): unknown =>
    Array.isArray(place) ? place.map((member) => ownMember(member, name)) : ownMember(place, name);
  return typeof path === 'string' ? ownMember(claims, path) : path.reduce(inside, claims);
}

function ownMember(place: unknown, name: string): unknown {
  if (typeof place !== 'object' || place === null || !Object.hasOwn(place, name)) return undefined;
  return (place as Claims)[name];
}
