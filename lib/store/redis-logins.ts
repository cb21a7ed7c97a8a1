import { createHash } from 'node:crypto';
import type { Found, LoginRecord, LoginStore, Rotation, RotationRequest, TokenFamily } from './ports.ts';
import { inBatches, type RedisCommands } from './redis-connection.ts';
import { ANNOUNCE, END, FIND, OPEN, ROTATE, SEEN } from './redis-login-scripts.ts';
import { redisRows } from './redis-rows.ts';

type RecordReply = [who: string, created: string, absolute: string, idle: string, seen: string];

/** Logins in Redis. A login's record and row share a slot by its sid; a subject's index has the slot of its hash. */
export function redisLogins(commands: RedisCommands, prefix: string): LoginStore {
  const recordKey = (sid: string) => `${prefix}login:{${tagOf(sid)}}`;
  const rowKey = (sid: string) => `${prefix}row:{${tagOf(sid)}}`;
  const indexKey = (subject: string) => `${prefix}subject:{${hash(subject)}}`;

  async function index(subject: string) {
    const reply: string[] = await commands.command(indexKey(subject), 'ZRANGE', indexKey(subject), 0, -1, 'WITHSCORES');
    return pairs(reply).map(([sid, endsAt]) => ({ sid, endsAt: Number(endsAt) }));
  }

  async function find(sid: string, touch?: { readonly after: number; readonly idle: number }): Promise<Found> {
    const limits = touch === undefined ? ['', ''] : [touch.after, touch.idle];
    const reply = await commands.run(FIND, [recordKey(sid), rowKey(sid)], limits);
    const login = reply[0] === null ? undefined : recordFrom(sid, reply);
    const corrupt = reply[6] === 1 || (reply[0] !== null && login === undefined);
    const family = login === undefined ? undefined : familyFrom(reply.slice(7));
    return { login, family, row: reply[5] ?? undefined, corrupt };
  }

  async function end(subject: string, logins: readonly { readonly sid: string; readonly endsAt: number }[]) {
    await inBatches(logins, ({ sid, endsAt }) => commands.run(END, [recordKey(sid), rowKey(sid)], [endsAt]));
    if (logins.length > 0) {
      await commands.command(indexKey(subject), 'ZREM', indexKey(subject), ...logins.map(({ sid }) => sid));
    }
  }

  return {
    index,
    find,
    end,
    ...redisRows(commands, rowKey, `${prefix}row:{`),

    async open(login, row = '', since = 0): Promise<LoginRecord | undefined> {
      const { sid, idle, absolute, ...facts } = login;
      const now = Number(await commands.run(ANNOUNCE, [indexKey(login.subject)], [sid, absolute]));
      const createdAt = Math.max(now, since);
      const endsAt = now + absolute;
      const family = login.mode === 'hybrid' ? 1 : 0;
      const record = [JSON.stringify(facts), createdAt, now, idle, endsAt];
      const rest = [row, family, voucherOf(facts)];
      const opened = await commands.run(OPEN, [recordKey(sid), rowKey(sid)], [...record, ...rest]);
      if (opened !== 1) return undefined;
      const expiresAt = now + Math.min(idle, absolute);
      return { sid, ...facts, idle, createdAt, lastSeenAt: now, endsAt, expiresAt };
    },

    async rotate({ sid, generation, grace, soft }: RotationRequest): Promise<Rotation> {
      const [outcome, ...reply] = await commands.run(ROTATE, [recordKey(sid)], [generation, grace, soft ? 1 : 0]);
      const login = reply.length > 0 ? recordFrom(sid, reply) : undefined;
      if (outcome === 'declined' || outcome === 'ended') return { outcome };
      if (login === undefined) return { outcome: 'expired' };
      if (outcome === 'reused') return { outcome, login };
      return { outcome: 'valid', renewed: outcome === 'renewed', generation: Number(reply[5]), login };
    },

    async seen({ generation, ...token }) {
      await commands.run(SEEN, [recordKey(token.sid)], [generation, voucherOf(token)]);
    },

    async endOf(subject, sid) {
      const score = await commands.command(indexKey(subject), 'ZSCORE', indexKey(subject), sid);
      return score === null ? undefined : Number(score);
    },

    async list(subject) {
      const found = await inBatches(await index(subject), ({ sid }) => find(sid));
      const ended = found.flatMap(({ login }) => (login?.subject === subject ? [login] : []));
      return ended.sort((a, b) => b.createdAt - a.createdAt || (a.sid < b.sid ? 1 : -1));
    },
  };
}

// Text of users could close the hash tag, or be very long: a subject always, and whatever is asked for as though it were
// a sid.
const SID = /^[\w-]{43}$/;

function tagOf(sid: string): string {
  // Never the sid of the secret that this may be.
  return SID.test(sid) ? sid : hash(`no sid: ${sid}`);
}

/** Whose login it is, in whose name: what scripts can compare. */
function voucherOf({ issuer, subject }: Pick<LoginRecord, 'issuer' | 'subject'>): string {
  return hash(JSON.stringify([issuer ?? null, subject]));
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}

/** The login of a reply; undefined if what stands there is none of ours. */
function recordFrom(sid: string, reply: RecordReply): LoginRecord | undefined {
  const [who, created, absolute, idle, seen] = reply;
  try {
    const facts = JSON.parse(who) as Omit<LoginRecord, 'sid'>;
    if (typeof facts.subject !== 'string' || !Array.isArray(facts.identity.scopes)) return undefined;
    const endsAt = Number(absolute);
    const lastSeenAt = Number(seen);
    const expiresAt = Math.min(lastSeenAt + Number(idle), endsAt);
    return { ...facts, sid, idle: Number(idle), createdAt: Number(created), lastSeenAt, endsAt, expiresAt };
  } catch {
    return undefined;
  }
}

function familyFrom([tip, parent, age]: readonly (string | null)[]): TokenFamily | undefined {
  return tip === null ? undefined : { tip: Number(tip), parent: Number(parent), age: Number(age) };
}

function pairs(flat: readonly string[] | readonly (readonly [string, unknown])[]): (readonly [string, unknown])[] {
  // RESP3 answers in pairs, RESP2 in a flat list.
  if (Array.isArray(flat[0])) return flat as (readonly [string, unknown])[];
  return Array.from({ length: flat.length / 2 }, (_, at) => [flat[2 * at] as string, flat[2 * at + 1]] as const);
}
