import { hash } from 'node:crypto';
import type { LogEntry } from '../store/ports.ts';
import type { Id } from './shard.ts';
import { asHeld } from './sharded-table.ts';

/** What can be taken back: one token, one login, everything a key signed, everything of a subject up to an instant. */
export type Revocation =
  | { readonly kind: 'token' | 'login' | 'key'; readonly id: Id; readonly expiresAt: number }
  | CutOff;

/** Everything of a subject, issued up to an instant; but for what belongs to one login, `spared`. */
export interface CutOff {
  readonly kind: 'subject';
  readonly id: Id;
  readonly instant: number;
  readonly spared?: Id | undefined;
  readonly expiresAt: number;
}

// How each kind is written in the log: `t:` and the id in base64url; a cut-off's instant follows it, and between them
// stands the login it spares.
const LETTERS = { token: 't', login: 's', key: 'k', subject: 'u' } as const;
const MEMBER = /^(?:([tsk]):([\w-]{22})|u:([\w-]{22})(?::([\w-]{22}))?:(\d{1,15}))$/;
const KINDS = { t: 'token', s: 'login', k: 'key' } as const;

/** The members of a log never hold what users sent, only hashes of it: no id can close a hash tag, or be a pattern. */
export const idOf = {
  token: (issuer: string | undefined, jti: string): Id => digest('token', issuer ?? '', jti),
  login: (sid: string): Id => digest('login', sid),
  key: (issuer: string, kid: string): Id => digest('key', issuer, kid),
  /** Without an issuer: the subject, whoever vouches for it. */
  subject: (issuer: string | undefined, subject: string): Id => digest('subject', issuer ?? null, subject),
  /** A subject as its issuer vouches for it, and as anyone does. */
  subjects: (issuer: string | undefined, subject: string): readonly Id[] =>
    issuer === undefined
      ? [idOf.subject(undefined, subject)]
      : [idOf.subject(issuer, subject), idOf.subject(undefined, subject)],
};

function digest(...parts: readonly (string | null)[]): Id {
  return hash('sha256', JSON.stringify(parts), 'binary').slice(0, 16);
}

/** How a revocation stands in the log. */
export function entryOf(revocation: Revocation): LogEntry {
  // As it is kept here: what is put back after a loss is then what was lost, and not news.
  const expiresAt = asHeld(revocation.expiresAt);
  if (revocation.kind === 'subject') {
    return { member: `${cutOffOf(revocation.id, revocation.spared)}:${revocation.instant}`, expiresAt };
  }
  return { member: `${LETTERS[revocation.kind]}:${text(revocation.id)}`, expiresAt };
}

/** A cut-off that the log is still to date: its member, but for the instant. */
export function cutOffOf(id: Id, spared: Id | undefined): string {
  const name = `${LETTERS.subject}:${text(id)}`;
  return spared === undefined ? name : `${name}:${text(spared)}`;
}

/** What an entry means; undefined for what is none of ours. */
export function revocationOf({ member, expiresAt }: LogEntry): Revocation | undefined {
  const match = MEMBER.exec(member);
  if (match === null || !Number.isFinite(expiresAt)) return undefined;
  const [, letter, id, subject, spared, instant] = match;
  if (letter !== undefined) return { kind: KINDS[letter as 't' | 's' | 'k'], id: idFrom(id), expiresAt };
  const its = { kind: 'subject' as const, id: idFrom(subject), instant: Number(instant), expiresAt };
  return spared === undefined ? its : { ...its, spared: idFrom(spared) };
}

function text(id: Id): string {
  return Buffer.from(id, 'latin1').toString('base64url');
}

function idFrom(text = ''): Id {
  return Buffer.from(text, 'base64url').toString('latin1');
}
