import type { IncomingMessage, ServerResponse } from 'node:http';
import { mintUnrevoked } from '../access-tokens.ts';
import type { Identity } from '../auth.ts';
import { type Auth, recognitionOf } from '../auth.ts';
import type { TokenResponse } from '../hybrid-auth.ts';
import type { LoginRecord } from '../store/ports.ts';
import type { MintedToken } from '../token/issuer.ts';
import type { Succession } from './families.ts';
import type { HybridSettings } from './settings.ts';

/** An access token and the refresh token beside it, on their way to the client. */
export interface Pair {
  readonly minted: MintedToken;
  readonly refreshToken: string;
  readonly login: LoginRecord;
}

/** What an access token says of its login. */
export interface PairFacts {
  readonly sid: string;
  readonly generation: number;
  readonly authenticatedAt: number;
  /** When it counts as issued, in milliseconds of log time. @default now */
  readonly stamp?: number;
  /** How long the login has left if nobody uses it, in milliseconds: no access token outlives it. */
  readonly rest: number;
}

// Browsers drop a cookie whose name and value take more than this (RFC 6265bis, 5.6).
const MOST_COOKIE_BYTES = 4096;

/** Pairs of tokens: made, and handed to the client. */
export class Pairs {
  readonly #settings: HybridSettings;
  /** The access tokens that took the place of what these requests came with. */
  readonly #handed = new WeakMap<IncomingMessage, string>();

  constructor(settings: HybridSettings) {
    this.#settings = settings;
  }

  /** Whether what is signed now would be believed: not once the signing key was taken back. */
  get canSign(): boolean {
    const { minting, parts } = this.#settings;
    return !parts.replica.revocations.keyRevoked(minting.issuer, minting.keys.current.kid);
  }

  /** Throws a TypeError for claims that do not fit into a token or its cookie, an Error for a key that was revoked. */
  mint(identity: Identity, { rest, ...login }: PairFacts): MintedToken {
    const { minting, parts, cookies } = this.#settings;
    const lifetime = Math.max(1, Math.min(minting.lifetime, Math.floor(rest)));
    const minted = mintUnrevoked('hybridAuth', { ...minting, lifetime }, parts, identity, login);
    const bytes = minted.token.length + (cookies?.access.name.length ?? 0);
    if (cookies !== undefined && bytes > MOST_COOKIE_BYTES) {
      throw new TypeError(
        `hybridAuth: the access cookie would take ${bytes} bytes, and browsers drop any over ${MOST_COOKIE_BYTES}: put fewer or shorter claims, scopes and roles into it`,
      );
    }
    return minted;
  }

  /** The pair that a refresh token was traded for. When the person proved who they are is carried over. */
  succeed({ login, identity, family, generation }: Succession): Pair {
    const { sid, expiresAt } = login;
    const rest = expiresAt - this.#settings.parts.replica.clock.now();
    const { authenticatedAt } = login.identity;
    const minted = this.mint(identity, { sid, generation, authenticatedAt, rest });
    return { minted, login, refreshToken: this.#settings.refreshTokens.write(family, generation) };
  }

  /** Gives the client its tokens, and tells whom they speak for. */
  hand(req: IncomingMessage, res: ServerResponse, { minted, refreshToken, login }: Pair): Auth {
    const { cookies, parts, accessTokens } = this.#settings;
    res.setHeader('Cache-Control', 'no-store');
    if (cookies !== undefined) {
      const rest = Math.max(0, login.expiresAt - Math.max(parts.replica.clock.now(), login.lastSeenAt));
      cookies.access.set(res, minted.token, login.persistent ? lifeOf(minted) : undefined);
      cookies.refresh.set(res, refreshToken, login.persistent ? rest : undefined);
    }
    this.#handed.set(req, minted.token);
    // What failed before has been made good.
    recognitionOf(req).failure = undefined;
    return accessTokens.admit(minted.verified);
  }

  /** The access token that this request was given meanwhile. */
  handedTo(req: IncomingMessage): string | undefined {
    return this.#handed.get(req);
  }

  /** A token response (RFC 6749, section 5.1). */
  receipt({ minted, refreshToken }: Pair): TokenResponse {
    const scope = minted.verified.scopes.join(' ');
    return {
      token_type: 'Bearer',
      expires_in: Math.max(1, Math.floor(lifeOf(minted) / 1000)),
      ...(this.#settings.cookies === undefined ? { access_token: minted.token, refresh_token: refreshToken } : {}),
      ...(scope === '' ? {} : { scope }),
    };
  }
}

function lifeOf({ verified }: MintedToken): number {
  return verified.expiresAt - verified.issuedAt;
}
