import { tell } from '../audit.ts';
import type { Auth, Mode } from '../auth.ts';
import { InvalidToken } from '../errors.ts';
import type { LoginRecord, TokenFamily } from '../store/ports.ts';
import type { StoreParts } from './auth-store.ts';
import { LEEWAY } from './lifetimes.ts';
import { authFrom } from './login-view.ts';
import { entryOf, idOf } from './revocation.ts';

/** A credential that was found good, and whom it speaks for. */
export interface Credential {
  readonly kind: 'session' | 'access_token' | 'refresh_token';
  readonly auth: Auth;
  /** A refresh token of a login that stands, traded already: it can end that login, and is good for nothing else. */
  readonly spent?: boolean;
}

/** Reads the credentials of one kind that a mode gives out or takes, when they come as text rather than in a request. */
export interface CredentialReader {
  /** Undefined for what is none of its kind, or not good any more. Rejects with `StoreUnavailable`. */
  read(text: string): Promise<Credential | undefined>;
  /** Takes back what was read; absent where nothing can be. Rejects with `StoreUnavailable`. */
  revoke?(credential: Credential): Promise<void>;
}

const readersByMode = new WeakMap<object, readonly CredentialReader[]>();

/** Remembers how a mode's credentials are read, and gives the mode. */
export function keepReaders<SomeMode extends Mode>(mode: SomeMode, readers: readonly CredentialReader[]): SomeMode {
  readersByMode.set(mode, readers);
  return mode;
}

/** How the credentials of these modes are read. Throws a TypeError in the factory's name for what is no list of modes. */
export function readersOf(factory: string, modes: readonly Mode[]): readonly CredentialReader[] {
  const complaint = `${factory}: "modes" must list what sessionAuth, jwtAuth and hybridAuth gave`;
  if (!Array.isArray(modes) || modes.length === 0) throw new TypeError(complaint);
  return modes.flatMap((mode) => {
    const known = typeof mode === 'function' ? readersByMode.get(mode) : undefined;
    if (known === undefined) throw new TypeError(complaint);
    return known;
  });
}

/** Credentials that lead to a login in the store. */
interface LoginKind {
  readonly kind: 'session' | 'refresh_token';
  readonly parts: StoreParts;
  /** Who vouches for the subject, where somebody does. */
  readonly issuer?: string;
  /** To be asked for is to be used: a login unused for `after` gets its idle time again. Milliseconds. */
  readonly touch?: { readonly after: number; readonly idle: number };
  /** How long after a rotation the token that was traded is good still. Milliseconds. */
  readonly grace?: number;
  /** The login it leads to, and which of its refresh tokens it is; undefined for what was not signed here. */
  handleIn(text: string): { readonly sid: string; readonly generation?: number } | undefined;
}

/** Reads session ids or refresh tokens: good while their login stands. */
export function loginReader({ kind, parts, issuer, touch, grace = 0, handleIn }: LoginKind): CredentialReader {
  const mode = kind === 'session' ? 'session' : 'hybrid';
  return {
    async read(text) {
      const handle = handleIn(text);
      if (handle === undefined) return undefined;
      const { sid, generation } = handle;
      const { login, family } = await parts.logins.store.find(sid, touch);
      if (login?.mode !== mode || parts.logins.isOver(login)) return undefined;
      const auth = viewOf(login, issuer);
      return generation === undefined ? { kind, auth } : { kind, auth, spent: isSpent(generation, family, grace) };
    },
    async revoke({ auth: { subject, sid } }) {
      if (sid !== undefined && (await parts.logins.end({ subject, sid }))) {
        tell(parts.audits, { type: 'revoked', subject, sid });
      }
    },
  };
}

/** Neither the newest of its family, nor, within grace, the one before. What the store has lost is newer than all it knows. */
function isSpent(generation: number, family: TokenFamily | undefined, grace: number): boolean {
  if (family === undefined) return true;
  const { tip, parent, age } = family;
  return generation < tip && !(generation === parent && age < grace);
}

function viewOf(login: LoginRecord, issuer: string | undefined): Auth {
  return { ...authFrom(login), mode: login.mode, ...(issuer === undefined ? {} : { issuer }) };
}

/** Reads access tokens, as `judge` does; without a store they cannot be taken back. */
export function accessTokenReader(
  judge: (token: string) => Auth | Promise<Auth>,
  parts: StoreParts | undefined,
): CredentialReader {
  const read: CredentialReader['read'] = async (text) => {
    try {
      return { kind: 'access_token', auth: await judge(text) };
    } catch (error) {
      if (error instanceof InvalidToken) return undefined;
      throw error;
    }
  };
  return parts === undefined ? { read } : { read, revoke: ({ auth }) => revokeToken(parts, auth) };
}

/** Takes one token back, and tells. Rejects with `StoreUnavailable`. */
export async function revokeToken(
  { replica, audits }: StoreParts,
  { issuer, jti = '', expiresAt }: Pick<Auth, 'issuer' | 'jti' | 'expiresAt'>,
): Promise<void> {
  const id = idOf.token(issuer, jti);
  await replica.revoke([entryOf({ kind: 'token', id, expiresAt: expiresAt.getTime() + LEEWAY })]);
  tell(audits, { type: 'revoked', jti });
}
