import { randomBytes } from 'node:crypto';
import type { Claims, Identity } from '../auth.ts';
import { checkIdentity, plainClaims } from './identity.ts';
import { type Jws, parseJws, signJws } from './jws.ts';
import type { SigningKeys } from './keys.ts';
import { type VerifiedToken, verifiedToken } from './verified-token.ts';

export { checkIdentity } from './identity.ts';

/** What all tokens of one issuer have in common. */
export interface Minting {
  readonly keys: SigningKeys;
  readonly issuer: string;
  readonly audience: string;
  /** Milliseconds. */
  readonly lifetime: number;
}

/** The login a token belongs to. */
export interface MintedFor {
  readonly sid?: string;
  /** The refresh generation it is minted with. */
  readonly generation?: number;
  /** When it is issued, in milliseconds of log time. */
  readonly stamp?: number;
  /** Milliseconds. @default that of the identity, if it has one */
  readonly authenticatedAt?: number;
}

/** A token just made. */
export interface MintedToken {
  readonly token: string;
  readonly jti: string;
  /** Milliseconds. */
  readonly expiresAt: number;
  /** What verifying it gives. */
  readonly verified: VerifiedToken;
}

// It shares a request's headers, or a cookie's 4,096 bytes, with others.
const LONGEST_TOKEN = 4_096;
const WHOLE_SECONDS_FROM = 60_000;

/**
 * Makes an access token (RFC 9068). Throws a TypeError for an identity that cannot stand in one, for a token over 4 KiB,
 * and for keys that cannot sign.
 *
 * Its times are whole seconds, which every verifier reads: a token may so live up to a second less than asked. One meant
 * to live less than a minute says when to the millisecond (RFC 7519, section 2, allows it).
 */
export function mint(minting: Minting, identity: Identity, login: MintedFor = {}): MintedToken {
  checkIdentity('mint', identity);
  const key = minting.keys.current;
  const token = signJws(payloadOf(minting, identity, login), key);
  if (token.length > LONGEST_TOKEN) {
    throw new TypeError(
      `a token of ${token.length} bytes is too long (at most ${LONGEST_TOKEN}): put fewer or shorter claims, scopes and roles into it`,
    );
  }
  const verified = verifiedToken(readBack(token), key.kid, minting);
  return { token, jti: verified.jti, expiresAt: verified.expiresAt, verified };
}

function payloadOf({ issuer, audience, lifetime }: Minting, identity: Identity, login: MintedFor): Claims {
  const { sid, generation: gen, stamp: lat, authenticatedAt = identity.authenticatedAt?.getTime() } = login;
  const { scopes = [], roles = [] } = identity;
  const now = Date.now() / 1_000;
  const iat = lifetime < WHOLE_SECONDS_FROM ? now : Math.floor(now);
  return {
    ...plainClaims(identity.claims),
    iss: issuer,
    aud: audience,
    sub: identity.subject,
    iat,
    exp: Math.round(iat * 1_000 + lifetime) / 1_000,
    jti: randomBytes(16).toString('base64url'),
    ...(scopes.length > 0 ? { scope: scopes.join(' ') } : {}),
    ...(roles.length > 0 ? { roles } : {}),
    ...(authenticatedAt === undefined ? {} : { auth_time: Math.floor(authenticatedAt / 1_000) }),
    ...(sid === undefined ? {} : { sid }),
    ...(gen === undefined ? {} : { gen }),
    ...(lat === undefined ? {} : { lat }),
  };
}

// What no verifier would take must not leave.
function readBack(token: string): Jws {
  try {
    return parseJws(token);
  } catch (error) {
    throw new TypeError(`these claims cannot stand in a token: ${(error as { detail?: string }).detail}`);
  }
}
