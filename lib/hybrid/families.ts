import type { IncomingMessage } from 'node:http';
import { tell } from '../audit.ts';
import type { Identity } from '../auth.ts';
import { InvalidGrant, StoreUnavailable } from '../errors.ts';
import { identityOf } from '../login/identity.ts';
import { loginFrom } from '../login/login-view.ts';
import type { RefreshToken } from '../login/refresh-token.ts';
import type { LoginRecord, Rotation } from '../store/ports.ts';
import { checkIdentity } from '../token/identity.ts';
import type { HybridSettings } from './settings.ts';

/** What a refresh token was traded for: its successor, and who its login speaks for today. */
export interface Succession {
  readonly login: LoginRecord;
  readonly identity: Identity;
  readonly family: string;
  readonly generation: number;
}

/** Refresh-token families: a token gives its successor, and one that comes back too late gives a thief away (RFC 9700, 4.14.2). */
export class Families {
  readonly #settings: HybridSettings;

  constructor(settings: HybridSettings) {
    this.#settings = settings;
  }

  /**
   * Trades the first of these tokens that is good: whoever can set cookies beside ours locks nobody out. `soft`: in
   * passing, and undefined where that would take a judgement. Throws `InvalidGrant` if none is good any more.
   */
  async trade(req: IncomingMessage, tokens: readonly RefreshToken[], soft: boolean): Promise<Succession | undefined> {
    let failure: InvalidGrant | undefined;
    for (const token of tokens) {
      try {
        return await this.#tradeOne(req, token, soft);
      } catch (error) {
        if (!(error instanceof InvalidGrant)) throw error;
        failure ??= error;
      }
    }
    throw failure ?? new InvalidGrant('unknown');
  }

  async #tradeOne(req: IncomingMessage, token: RefreshToken, soft: boolean): Promise<Succession | undefined> {
    const { parts, grace, audit } = this.#settings;
    const { sid, family, generation } = token;
    if (parts.logins.isRevoked(sid)) throw new InvalidGrant('unknown');
    const rotation = await parts.logins.store.rotate({ sid, generation, grace, soft });
    if (rotation.outcome === 'reused') await this.#accuse(req, rotation.login);
    if (rotation.outcome !== 'valid') {
      if (soft && leavesAlone(rotation)) return undefined;
      throw new InvalidGrant(rotation.outcome === 'expired' ? 'expired' : 'unknown');
    }
    const { login } = rotation;
    const identity = await this.#identityToday(login);
    // Last: it may have been ended while the application was asked.
    if (parts.logins.isOver(login)) throw new InvalidGrant('unknown');
    if (audit !== undefined) tell([audit], { type: 'refresh', mode: 'hybrid', subject: login.subject, sid }, req);
    return { login, identity, family, generation: rotation.generation };
  }

  /** Ends the family everywhere, and says why. */
  async #accuse(req: IncomingMessage, login: LoginRecord): Promise<never> {
    const { parts, audit } = this.#settings;
    const { subject, sid } = login;
    if (audit !== undefined) tell([audit], { type: 'refresh_reused', mode: 'hybrid', subject, sid }, req);
    await parts.logins.endReused(login);
    throw new InvalidGrant('reused');
  }

  /** What the user may do today. Whom the application does not know any more is logged out; if it cannot say, nothing happens. */
  async #identityToday(login: LoginRecord): Promise<Identity> {
    const { renew, parts } = this.#settings;
    if (renew === undefined) return identityOf(login);
    const identity = await ask(renew, login);
    if (identity !== undefined) return identity;
    const { subject, sid } = login;
    if (await parts.logins.end(login)) tell(parts.audits, { type: 'revoked', subject, sid });
    throw new InvalidGrant('unknown');
  }
}

// A family that ended takes its access token along; one that is lost or idle has a good one still.
function leavesAlone({ outcome }: Rotation): boolean {
  return outcome === 'declined' || outcome === 'expired';
}

async function ask(renew: NonNullable<HybridSettings['renew']>, login: LoginRecord): Promise<Identity | undefined> {
  try {
    const identity = await renew(loginFrom(login));
    if (identity === undefined) return undefined;
    checkIdentity('renew', identity);
    if (identity.subject !== login.subject) throw new TypeError('renew: the subject of a login cannot change');
    return identity;
  } catch (error) {
    throw new StoreUnavailable(error);
  }
}
