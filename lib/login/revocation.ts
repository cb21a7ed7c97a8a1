import { createHash } from 'node:crypto';
import type { LogEntry } from '../store/ports.ts';
import type { Id } from './id-table.ts';

/** What can be taken back: one token, one login, everything a key signed, everything of a subject up to an instant. */
export type Revocation =
  | { readonly kind: 'token' | 'login' | 'key'; readonly id: Id; readonly expiresAt: number }
  | { readonly kind: 'subject'; readonly id: Id; readonly instant: number; readonly expiresAt: number };

// How each kind is written in the log: `t:` and the id in base64url; a cut-off's instant follows it.
const LETTERS = { token: 't', login: 's', key: 'k', subject: 'u' } as const;
const MEMBER = /^(?:([tsk]):([\w-]{22})|u:([\w-]{22}):(\d{1,15}))$/;
const KINDS = { t: 'token', s: 'login', k: 'key' } as const;

/** The members of a log never hold what users sent, only hashes of it: no id can close a hash tag, or be a pattern. */
export const idOf = {
  token: (issuer: string | undefined, jti: string): Id => digest('token', issuer ?? '', jti),
  login: (sid: string): Id => digest('login', sid),
  key: (issuer: string, kid: string): Id => digest('key', issuer, kid),
  /** Without an issuer: the subject, whoever vouches for it. */
  subject: (issuer: string | undefined, subject: string): Id => digest('subject', issuer ?? null, subject),
};

function digest(...parts: readonly (string | null)[]): Id {
  return createHash('sha256').update(JSON.stringify(parts)).digest().toString('latin1', 0, 16);
}

/** How a revocation stands in the log. */
export function entryOf(revocation: Revocation): LogEntry {
  const { kind, expiresAt } = revocation;
  const name = memberOf(kind, revocation.id);
  if (revocation.kind === 'subject') return { member: `${name}:${revocation.instant}`, expiresAt };
  // As it is kept here: what is put back after a loss is then what was lost, and not news.
  return { member: name, expiresAt: Math.ceil(expiresAt / 1000) * 1000 };
}

export function memberOf(kind: Revocation['kind'], id: Id): string {
  return `${LETTERS[kind]}:${Buffer.from(id, 'latin1').toString('base64url')}`;
}

/** What an entry means; undefined for what is none of ours. */
export function revocationOf({ member, expiresAt }: LogEntry): Revocation | undefined {
  const match = MEMBER.exec(member);
  if (match === null || !Number.isFinite(expiresAt)) return undefined;
  const [, letter, id, subject, instant] = match;
  if (letter !== undefined) return { kind: KINDS[letter as 't' | 's' | 'k'], id: bytes(id), expiresAt };
  return { kind: 'subject', id: bytes(subject), instant: Number(instant), expiresAt };
}

function bytes(text = ''): Id {
  return Buffer.from(text, 'base64url').toString('latin1');
}
