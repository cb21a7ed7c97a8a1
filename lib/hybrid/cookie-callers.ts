import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Auth } from '../auth.ts';
import { InvalidGrant, InvalidToken } from '../errors.ts';
import type { RefreshToken } from '../login/refresh-token.ts';
import type { Finding } from '../request/authenticate.ts';
import { isUnsafe, isUpgrade } from '../request/cross-site.ts';
import type { Families, Succession } from './families.ts';
import type { Pairs } from './pairs.ts';
import type { HybridSettings } from './settings.ts';

/** Whom a browser's cookies speak for, and cookies that are renewed in line. */
export class CookieCallers {
  readonly #settings: HybridSettings;
  readonly #families: Families;
  readonly #pairs: Pairs;

  constructor(settings: HybridSettings, families: Families, pairs: Pairs) {
    this.#settings = settings;
    this.#families = families;
    this.#pairs = pairs;
  }

  /** Without a response nothing is renewed. Throws `CrossSiteRequest`, and `StoreUnavailable`. */
  async recognise(req: IncomingMessage, res: ServerResponse | undefined): Promise<Finding> {
    const { accessTokens, crossSite } = this.#settings;
    const handed = this.#pairs.handedTo(req);
    if (handed !== undefined) return accessTokens.judgeAny([handed]);
    if (!this.areIn(req)) return {};
    if (isUnsafe(req) || isUpgrade(req)) crossSite.check(req);
    const finding = await accessTokens.judgeAny(this.#settings.cookies?.access.read(req) ?? []);
    if (res === undefined || res.headersSent) return finding;
    if (finding.auth === undefined) return this.#renewed(req, res, finding);
    return isNearItsEnd(finding.auth) ? this.#renewedSoftly(req, res, finding.auth) : finding;
  }

  /** Whether the request carries a cookie of ours, good or not. */
  areIn(req: IncomingMessage): boolean {
    const { cookies } = this.#settings;
    return cookies !== undefined && (cookies.access.read(req).length > 0 || cookies.refresh.read(req).length > 0);
  }

  /** The refresh tokens among the cookies whose MAC is right. */
  refreshTokensIn(req: IncomingMessage): readonly RefreshToken[] {
    const { cookies, refreshTokens } = this.#settings;
    const tokens = (cookies?.refresh.read(req) ?? []).flatMap((value) => refreshTokens.read(value) ?? []);
    // Of one family the newest first: an old cookie that a browser kept beside it is no thief.
    return tokens.sort((a, b) => (a.sid === b.sid ? b.generation - a.generation : 0));
  }

  /** The access cookie is over, its login may not be. */
  async #renewed(req: IncomingMessage, res: ServerResponse, finding: Finding): Promise<Finding> {
    const tokens = this.refreshTokensIn(req);
    if (tokens.length === 0 || !this.#pairs.canSign) return finding;
    try {
      const succession = await this.#families.trade(req, tokens, false);
      return succession === undefined ? finding : this.#handed(req, res, succession);
    } catch (error) {
      if (!(error instanceof InvalidGrant)) throw error;
      return { failure: new InvalidToken(error.reason === 'expired' ? 'expired' : 'revoked') };
    }
  }

  /** In passing. While the token is good, nothing that goes wrong here matters, but that its login has ended. */
  async #renewedSoftly(req: IncomingMessage, res: ServerResponse, auth: Auth): Promise<Finding> {
    const tokens = this.refreshTokensIn(req).filter(({ sid }) => sid === auth.sid);
    if (tokens.length === 0) return { auth };
    try {
      const succession = await this.#families.trade(req, tokens, true);
      return succession === undefined ? { auth } : this.#handed(req, res, succession);
    } catch (error) {
      return error instanceof InvalidGrant ? { failure: new InvalidToken('revoked') } : { auth };
    }
  }

  #handed(req: IncomingMessage, res: ServerResponse, succession: Succession): Finding {
    return { auth: this.#pairs.hand(req, res, this.#pairs.succeed(succession)) };
  }
}

/** Whether four fifths of its life are over. */
function isNearItsEnd({ issuedAt, expiresAt }: Auth): boolean {
  return expiresAt.getTime() - Date.now() <= (expiresAt.getTime() - issuedAt.getTime()) / 5;
}
