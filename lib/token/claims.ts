import type { Claims } from '../auth.ts';
import { InvalidToken } from '../errors.ts';
import { isPromise } from '../eventually.ts';
import type { Jws } from './jws.ts';
import type { TrustedIssuer } from './keys.ts';
import { OWN_RULE, type PresetIssuer } from './trusted-issuer.ts';

/** What a token must say, whatever its algorithm. Throws `InvalidToken` for one that does not; expiry is not judged here. */
export type ClaimsPolicy = (jws: Jws) => void;

/** How far clocks may differ, and how long a token may be meant to live, in milliseconds. */
export interface TimeLimits {
  readonly leeway: number;
  /** How far an issuer's clock may be ahead of ours: its tokens are not from the future then. @default leeway */
  readonly ahead?: number | undefined;
  readonly maxLifetime?: number | undefined;
}

const ACCESS_TOKEN = 'at+jwt';
const DEFAULT_TYPES = [ACCESS_TOKEN, 'JWT'];

// Of what was issued beside an ID token: OpenID Connect Core, section 3.3.2.11; FAPI 1.0 Advanced, section 5.1.1.
const ID_TOKEN_HASHES = ['at_hash', 'c_hash', 's_hash'];

// The year 5138: whoever says more meant milliseconds.
const LATEST_EXP = 1e11;

/** The policy for one issuer's tokens. */
export function claimsPolicy(trusted: TrustedIssuer, limits: TimeLimits): ClaimsPolicy {
  const types = new Set((trusted.types ?? DEFAULT_TYPES).map(mediaType));
  const untyped = trusted.types === undefined;
  const audiences = new Set(typeof trusted.audience === 'string' ? [trusted.audience] : trusted.audience);
  const audienceClaim = trusted.claims?.audience ?? 'aud';
  const { idTokens = false } = trusted;
  return ({ header: { typ }, payload }) => {
    const type = typ === undefined ? undefined : mediaType(typ);
    demand(type === undefined ? untyped : types.has(type), 'typ');
    if (type !== ACCESS_TOKEN) refuseEvents(payload);
    if (type !== ACCESS_TOKEN && !idTokens) refuseIdToken(payload);
    demand(payload.iss === trusted.issuer, 'iss');
    demand(isFor(payload[audienceClaim], audiences), audienceClaim);
    demand(isSubject(payload.sub), 'sub');
    demand(payload.jti === undefined || isIdentifier(payload.jti), 'jti');
    checkTimes(payload, limits);
    checkAccepted(trusted, payload);
  };
}

/** The last word on an issuer's tokens: it may change its mind, so it is asked at every use. Throws `InvalidToken`. */
export function checkAccepted({ [OWN_RULE]: own, accepts, issuer }: PresetIssuer, claims: Claims): void {
  for (const rule of [own, accepts]) {
    if (rule !== undefined) demand(isTrue(rule, claims, issuer), 'accepts');
  }
}

/** Whether `now` is at or past the end (RFC 7519, section 4.1.4). All in milliseconds. */
export function isExpired(expiresAt: number, { leeway }: TimeLimits, now: number = Date.now()): boolean {
  return now >= expiresAt + leeway;
}

/** Whether it can name something: 1 to 255 characters that survive UTF-8, so that no two become one. */
export function isIdentifier(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= 255 && !/\p{Cs}/u.test(value);
}

/** Whether it can name a subject (OpenID Connect Core, section 2: at most 255 characters); one without control characters. */
export function isSubject(value: unknown): value is string {
  return isIdentifier(value) && !/\p{Cc}/u.test(value);
}

// RFC 7515, section 4.1.9: "application/" is usually left out.
function mediaType(typ: string): string {
  return typ.toLowerCase().replace(/^application\//, '');
}

function isFor(claim: unknown, audiences: ReadonlySet<string>): boolean {
  if (typeof claim === 'string') return audiences.has(claim);
  return (
    Array.isArray(claim) && claim.every((name) => typeof name === 'string') && claim.some((name) => audiences.has(name))
  );
}

// RFC 8417, section 2.2: what tells of events, such as a logout, tells nothing else. They are members named by URIs; a list
// called "events" is an application's own.
function refuseEvents({ events }: Claims): void {
  const names = typeof events === 'object' && events !== null ? Object.keys(events) : [];
  demand(!names.some((name) => name.includes(':')), 'events');
}

// RFC 8725, section 3.12. Some issuers repeat the login's nonce in access tokens, but those say what they give access to.
function refuseIdToken(payload: Claims): void {
  for (const name of ID_TOKEN_HASHES) demand(payload[name] === undefined, name);
  const { nonce, scope, scp } = payload;
  demand(nonce === undefined || scope !== undefined || scp !== undefined, 'nonce');
}

// RFC 7519, sections 4.1.4 to 4.1.6. Revoking what was issued before an instant needs an `iat` that can be believed.
function checkTimes({ iat, nbf, exp }: Claims, { leeway, ahead = leeway, maxLifetime = Infinity }: TimeLimits): void {
  const latest = (Date.now() + ahead) / 1_000;
  demand(isDate(exp) && exp <= LATEST_EXP, 'exp');
  demand(isDate(iat) && iat >= 0 && iat <= latest, 'iat');
  demand(nbf === undefined || (isDate(nbf) && nbf <= latest), 'nbf');
  demand(Math.round(((exp as number) - (iat as number)) * 1_000) <= maxLifetime, 'lifetime');
}

// JSON's 1e999 is Infinity.
function isDate(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}

function isTrue(accepts: (claims: Claims) => unknown, claims: Claims, issuer: string): boolean {
  try {
    const answer = accepts(claims);
    if (isPromise(answer)) {
      warnOnce(issuer);
      // Nobody waits for it: if it fails, that must not end the process.
      Promise.resolve(answer).catch(() => {});
    }
    return answer === true;
  } catch {
    return false;
  }
}

const warned = new Set<string>();

// Clients only see 401: whoever wrote it must hear of it.
function warnOnce(issuer: string): void {
  if (warned.has(issuer)) return;
  warned.add(issuer);
  process.emitWarning(
    `the "accepts" for tokens of ${JSON.stringify(issuer)} gave a promise, and every token is refused: it must not be async`,
    { code: 'PORTCULLIS_ACCEPTS' },
  );
}

function demand(condition: boolean, claim: string): void {
  if (!condition) throw new InvalidToken('bad_claim', claim);
}
