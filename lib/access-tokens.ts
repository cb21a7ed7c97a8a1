import type { Auth, Identity } from './auth.ts';
import { InvalidToken } from './errors.ts';
import { after, type Eventually } from './eventually.ts';
import type { StoreParts } from './login/auth-store.ts';
import { keepEvidence } from './login/evidence.ts';
import { idOf } from './login/revocation.ts';
import type { Evidence } from './login/revocations.ts';
import type { StoreClock } from './login/store-clock.ts';
import type { Finding } from './request/authenticate.ts';
import type { TimeLimits } from './token/claims.ts';
import { type MintedFor, type MintedToken, type Minting, mint } from './token/issuer.ts';
import type { TrustedIssuer } from './token/keys.ts';
import { tokenVerifier, type VerifiedToken } from './token/verifier.ts';

export interface AccessTokensSettings extends TimeLimits {
  readonly mode: 'jwt' | 'hybrid';
  readonly issuers: readonly TrustedIssuer[];
  /** Where revocations are known; without it nothing is revocable. */
  readonly parts: StoreParts | undefined;
}

/** Access tokens: verified, and not taken back. In the common case without waiting for anything. */
export interface AccessTokens {
  /** Who a token speaks for. Throws (or rejects with) `InvalidToken`; `StoreUnavailable` if revocations are not known. */
  judge(token: string): Eventually<Auth>;
  /** The first good one of those that cookies of one name carry, or why the first is not: whoever can set cookies beside ours locks nobody out. */
  judgeAny(tokens: readonly string[]): Promise<Finding>;
  /** The same for a token just minted. */
  admit(verified: VerifiedToken): Auth;
  /** Whose login a token belongs to, be it expired or revoked: for logout. Throws `InvalidToken` for a forged one. */
  loginOf(token: string): Promise<TokenLogin | undefined>;
}

/** The login that an access token belongs to, and how long that token lasts. */
export interface TokenLogin {
  readonly subject: string;
  readonly sid: string;
  readonly expiresAt: number;
}

/** What is kept with a verified token. */
interface Facts {
  readonly auth: Auth;
  readonly evidence: Evidence;
  /** Whether the store was told that this token's refresh generation is in use. */
  told: boolean;
}

export function accessTokens({ mode, parts, ...settings }: AccessTokensSettings): AccessTokens {
  const verifier = tokenVerifier(settings);
  const known = new WeakMap<VerifiedToken, Facts>();

  function factsOf(verified: VerifiedToken): Facts {
    const kept = known.get(verified);
    if (kept !== undefined) return kept;
    const evidence = evidenceOf(verified, settings.leeway, parts?.replica.clock);
    // The first generation replaces none: there is nothing to tell.
    const told = evidence.login === undefined || verified.generation === 0;
    const facts = { auth: authOf(mode, verified), evidence, told };
    keepEvidence(facts.auth, evidence);
    known.set(verified, facts);
    return facts;
  }

  function judgeVerified(verified: VerifiedToken): Eventually<Auth> {
    const facts = factsOf(verified);
    if (parts === undefined) return facts.auth;
    if (parts.replica.fresh) return unlessRevoked(parts, verified, facts);
    return parts.replica.settle().then(() => unlessRevoked(parts, verified, facts));
  }

  const judge = (token: string) => after(verifier.verify(token), judgeVerified);

  return {
    judge,
    async judgeAny(tokens) {
      let failure: InvalidToken | undefined;
      for (const token of tokens) {
        try {
          return { auth: await judge(token) };
        } catch (error) {
          if (!(error instanceof InvalidToken)) throw error;
          failure ??= error;
        }
      }
      return { failure };
    },
    admit: (verified) => factsOf(verified).auth,
    async loginOf(token) {
      const { subject, sid, generation, expiresAt, issuer, kid } = await verifier.verifyExpired(token);
      if (parts?.replica.revocations.keyRevoked(issuer, kid)) throw new InvalidToken('revoked');
      return isLogin(sid, generation) ? { subject, sid, expiresAt } : undefined;
    },
  };
}

function unlessRevoked({ replica, logins }: StoreParts, verified: VerifiedToken, facts: Facts): Auth {
  if (replica.revocations.reach(facts.evidence)) throw new InvalidToken('revoked');
  if (!facts.told) {
    facts.told = true;
    // In passing: if it fails, the next token of this generation says it again.
    const { sid, generation, issuer, subject } = verified;
    logins.store.seen({ sid: sid as string, generation: generation as number, issuer, subject }).catch(() => {
      facts.told = false;
    });
  }
  return facts.auth;
}

function evidenceOf(verified: VerifiedToken, leeway: number, clock: StoreClock | undefined): Evidence {
  const { issuer, subject, jti, sid, generation, kid, issuedAt, ours } = verified;
  const stamp = stampOf(verified, clock);
  const login = isLogin(sid, generation) ? idOf.login(sid) : undefined;
  return {
    token: idOf.token(issuer, jti),
    key: idOf.key(issuer, kid),
    ...(login === undefined ? {} : { login }),
    // Another issuer that writes the sid of a login of ours does not share in what that is spared.
    ...(login === undefined || !ours ? {} : { spared: login }),
    subjects: idOf.subjects(issuer, subject),
    issuedAt,
    ...(stamp === undefined ? {} : { stamp }),
    leeway,
  };
}

// A `lat` further from `iat` than clocks are apart means something else, such as a latitude.
const STAMP_DRIFT = 86_400_000;

/** The stamp of a token, in log time. Another issuer's is never later than its `iat`: it must not carry a token past what was taken back before it. */
function stampOf({ stamp, issuedAt, ours }: VerifiedToken, clock: StoreClock | undefined): number | undefined {
  if (stamp === undefined || clock === undefined) return undefined;
  const expected = issuedAt + clock.latest() - Date.now();
  if (Math.abs(stamp - expected) > STAMP_DRIFT) return undefined;
  return ours ? stamp : Math.min(stamp, expected + 999);
}

/** Whether these claims name a login of ours: a SHA-256, and a refresh generation beside it. Another issuer's `sid` means its own. */
function isLogin(sid: string | undefined, generation: number | undefined): sid is string {
  return generation !== undefined && sid !== undefined && /^[\w-]{43}$/.test(sid);
}

function authOf(mode: 'jwt' | 'hybrid', verified: VerifiedToken): Auth {
  const { issuer, subject, jti, sid, generation, scopes, roles, authenticatedAt, issuedAt, expiresAt, claims } =
    verified;
  const auth = {
    mode,
    subject,
    issuer,
    ...(isLogin(sid, generation) ? { sid } : {}),
    jti,
    scopes,
    roles,
    claims,
  };
  // One auth serves many requests, and a Date can be set: each reader gets one of their own.
  for (const [name, instant] of Object.entries({ authenticatedAt, issuedAt, expiresAt })) {
    if (instant !== undefined) Object.defineProperty(auth, name, { enumerable: true, get: () => new Date(instant) });
  }
  return Object.freeze(auth) as Auth;
}

/** Mints a token, unless its key was taken back: nobody would believe it. Throws an Error in the factory's name. */
export function mintUnrevoked(
  factory: string,
  minting: Minting,
  { replica }: StoreParts,
  identity: Identity,
  login: MintedFor = {},
): MintedToken {
  const { issuer, keys } = minting;
  const { kid } = keys.current;
  if (replica.revocations.keyRevoked(issuer, kid)) {
    throw new Error(
      `${factory}: the signing key "${kid}" was revoked: put another in its place with keys.replace([...])`,
    );
  }
  const { stamp = replica.stamp({ issuer, subject: identity.subject }), ...facts } = login;
  return mint(minting, identity, { ...facts, ...(stamp > 0 ? { stamp } : {}) });
}
