/**
 * What a store has to be able to do. Times and spans are milliseconds; every time is one of the store's own clock.
 * A method that cannot reach the store rejects with `StoreUnavailable`; what it asked for may still happen later, and
 * is harmless then.
 */

/** What `login` was given, besides the subject. */
export interface StoredIdentity {
  readonly scopes: readonly string[];
  readonly roles: readonly string[];
  readonly authenticatedAt: number;
  readonly claims: Readonly<Record<string, unknown>>;
}

/** What a login is, from its first moment to its last. */
export interface LoginFacts {
  /** SHA-256 of the secret bits in the cookie or refresh token: a handle, never a credential. */
  readonly sid: string;
  readonly mode: 'session' | 'hybrid';
  readonly subject: string;
  /** Who vouches for the subject in its access tokens; a session has none. */
  readonly issuer?: string;
  readonly identity: StoredIdentity;
  /** Whether its cookies outlive the browser. */
  readonly persistent: boolean;
  readonly ip?: string;
  readonly userAgent?: string;
}

/** A login about to be opened. */
export interface NewLogin extends LoginFacts {
  /** Unused for this long, it ends. */
  readonly idle: number;
  /** This old, it ends. */
  readonly absolute: number;
}

/** A login as it stands. */
export interface LoginRecord extends LoginFacts {
  readonly idle: number;
  /** What was taken back of its subject up to here is older than it. */
  readonly createdAt: number;
  readonly lastSeenAt: number;
  /** The absolute end. */
  readonly endsAt: number;
  /** The earlier of the idle and the absolute end. */
  readonly expiresAt: number;
}

/** An access token of a login, as far as it says which. */
export interface SeenToken extends Pick<LoginFacts, 'sid' | 'subject' | 'issuer'> {
  readonly generation: number;
}

/** How far the refresh tokens of a login have come. */
export interface TokenFamily {
  /** The newest generation. */
  readonly tip: number;
  /** The one it was traded for. */
  readonly parent: number;
  /** How long ago the tip was made. */
  readonly age: number;
}

/** What stands under one sid. */
export interface Found {
  readonly login: LoginRecord | undefined;
  /** Where the login is one of hybrid mode. */
  readonly family: TokenFamily | undefined;
  /** The session row, as text. */
  readonly row: string | undefined;
  /** Something stood there that cannot be read. */
  readonly corrupt: boolean;
}

/** How a refresh token fared. */
export type Rotation =
  /** `generation` is the tip now: a new one, or the one that stood (`renewed` tells). */
  | { readonly outcome: 'valid'; readonly renewed: boolean; readonly generation: number; readonly login: LoginRecord }
  /** A soft rotation that would have had to judge: nothing was changed. */
  | { readonly outcome: 'declined' }
  /** A spent token came back: the family is ended. */
  | { readonly outcome: 'reused'; readonly login: LoginRecord }
  /** No such family: it expired, or was lost. */
  | { readonly outcome: 'expired' }
  /** The family was ended before. */
  | { readonly outcome: 'ended' };

export interface RotationRequest {
  readonly sid: string;
  /** The generation of the presented token, whose MAC was right. */
  readonly generation: number;
  readonly grace: number;
  /** In passing, while the access token is still good: the tip, or its parent within grace; all else is declined. */
  readonly soft: boolean;
}

/** How a conditional write of a session row fared. */
export type RowUpdate =
  | { readonly outcome: 'stored' }
  /** The row is gone: nothing was written. */
  | { readonly outcome: 'gone' }
  /** Another request wrote first: this is what stands now. */
  | { readonly outcome: 'conflict'; readonly row: string };

/** Logins, and the data of sessions. */
export interface LoginStore {
  /**
   * Opens a login: first its name in the subject's index, then its record and row, so that whoever ends everything of the
   * subject finds it. Undefined if it was ended meanwhile: an ended sid is never opened. It counts as created at `since`
   * at least, should the clock have been set back behind that.
   */
  open(login: NewLogin, row?: string, since?: number): Promise<LoginRecord | undefined>;
  /**
   * What stands under this sid, and a touch in the same step: a login (or, where there is none, a row) unused for
   * `touch.after` gets its full idle time again, never past its absolute end. `touch.idle` is a lone row's.
   */
  find(sid: string, touch?: { readonly after: number; readonly idle: number }): Promise<Found>;
  /** Trades a refresh token: one atomic step, so that any number of tries at once yields one successor. */
  rotate(request: RotationRequest): Promise<Rotation>;
  /** Notes that the client has the tip of this generation: an access token minted with it was met. One that another issuer vouches for, or for another subject, counts for nothing. */
  seen(token: SeenToken): Promise<void>;
  /** The absolute end of this login of this subject, or undefined if the subject has no such login. */
  endOf(subject: string, sid: string): Promise<number | undefined>;
  /**
   * Ends these logins of a subject for good: their records become tombstones until the absolute end, their rows go, and
   * only then do they leave the index. Ending one that is unknown or over is not an error: the wish is already granted.
   */
  end(subject: string, logins: readonly { readonly sid: string; readonly endsAt: number }[]): Promise<void>;
  /** Every login the index names for a subject, with its absolute end, even one just being opened. */
  index(subject: string): Promise<readonly { readonly sid: string; readonly endsAt: number }[]>;
  /** The subject's logins that stand, the latest first. */
  list(subject: string): Promise<readonly LoginRecord[]>;

  /** Creates a row where nothing stands; false if something does. */
  createRow(id: string, row: string, life: number): Promise<boolean>;
  /** Puts `row` in the place of exactly `expected`. */
  updateRow(id: string, expected: string, row: string, life: number): Promise<RowUpdate>;
  /** Puts a row, whatever stood there. */
  putRow(id: string, row: string, life: number): Promise<void>;
  /** Gives a row that stands this much life from now. */
  touchRow(id: string, life: number): Promise<void>;
  dropRow(id: string): Promise<void>;
  /** Every row with its id. Reads the whole store: for administration, never for a request. */
  allRows(): Promise<readonly { readonly id: string; readonly row: string }[]>;
}

/** One standing revocation in the log; what it means is its writer's affair. */
export interface LogEntry {
  readonly member: string;
  readonly expiresAt: number;
}

/** The place in the news up to which a reader has read: the entry itself, so that it proves the log. */
export interface LogPlace {
  readonly epoch: string;
  readonly id: string;
  readonly member: string;
}

export interface LogNews {
  /** The store's clock, taken while it answered. */
  readonly clock: number;
  /** The same, but never set back: what cut-offs are dated by, and what is issued is stamped by. */
  readonly logTime: number;
  /** False if the log is not the one the reader knew, or no place was given: then the whole set must be read. */
  readonly proven: boolean;
  readonly entries: readonly LogEntry[];
  readonly place: LogPlace;
  /** There is more news than one reading holds: read on from `place`. */
  readonly more: boolean;
  /** Somebody who appends may not ring the bell: one has to ask often. */
  readonly mute: boolean;
}

export interface LogPage {
  readonly epoch: string;
  readonly entries: readonly LogEntry[];
  /** Where the next page begins; undefined after the last. */
  readonly next: string | undefined;
}

/** What is appended: an entry, or, with `cutOff`, one that the log itself dates and keeps as long as any token may live. */
export type Append = LogEntry | { readonly cutOff: string };

/** The log of revocations: what stands, and what is new. */
export interface RevocationLog {
  /**
   * Appends what the log does not hold yet, and rings. A cut-off becomes the member `cutOff + ':' + instant`. `known`: log
   * time is that late at least. Resolves to its instant.
   */
  append(entries: readonly Append[], known: number): Promise<number>;
  /** Proves that the log can be written, and reads what came since `place`. */
  read(place: LogPlace | undefined, known: number): Promise<LogNews>;
  /** The whole set, in pages. */
  page(from: string | undefined): Promise<LogPage>;
  /** Says that tokens here may live as long as this, so that cut-offs are kept that long. */
  expectLifetime(lifetime: number): void;
  /** Calls `ring` at each append by anyone; resolves to false if the store cannot push, so that one has to ask often. */
  listen(ring: () => void): Promise<boolean>;
  close(): Promise<void>;
}
