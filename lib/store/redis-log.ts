import { randomBytes } from 'node:crypto';
import type { Append, LogEntry, LogNews, LogPage, LogPlace, RevocationLog } from './ports.ts';
import { isCluster } from './redis-cluster.ts';
import { isRefusal, isSentinel, type RedisCommands } from './redis-connection.ts';
import { APPEND, PAGE, READ } from './redis-log-scripts.ts';

const PAGE_LENGTH = 1_000;

// At most this many entries are written by one script, so that it stays short.
const APPEND_LENGTH = 500;

/** The log of revocations in Redis: a set of what stands, a stream of what is new, and a bell that only rings. */
export function redisLog(commands: RedisCommands, prefix: string): RevocationLog {
  const keys = { set: `${prefix}{log}:set`, news: `${prefix}{log}:news`, beat: `${prefix}{log}:beat` };
  const bell = `${prefix}bell`;
  let lifetime = 0;
  let hearing: (() => void) | undefined;

  const candidate = () => randomBytes(16).toString('base64url');

  async function append(entries: readonly Append[], known: number): Promise<number> {
    let instant = 0;
    for (let at = 0; at < entries.length; at += APPEND_LENGTH) {
      const flat = entries
        .slice(at, at + APPEND_LENGTH)
        .flatMap((entry) => ('cutOff' in entry ? [entry.cutOff, ''] : [entry.member, entry.expiresAt]));
      const head = [candidate(), bell, Date.now(), lifetime, known];
      instant = Number(await commands.run(APPEND, [keys.set, keys.news, keys.beat], [...head, ...flat]));
    }
    return instant;
  }

  async function read(place: LogPlace | undefined, known: number): Promise<LogNews> {
    const args = [candidate(), lifetime, known, place?.id ?? '', PAGE_LENGTH + 1];
    const [clock, logTime, epoch, news, mute] = await commands.run(READ, [keys.set, keys.news, keys.beat], args);
    const entries = (news as [id: string, fields: string[]][]).map(([id, [, member = '', , expiry = '']]) => ({
      id,
      member,
      expiresAt: Number(expiry),
    }));
    const first = entries[0];
    const last = entries.at(-1);
    const proven =
      place !== undefined && place.epoch === epoch && first?.id === place.id && first.member === place.member;
    return {
      clock: Number(clock),
      logTime: Number(logTime),
      proven,
      entries: proven ? entries.slice(1) : [],
      place: { epoch, id: last?.id ?? '', member: last?.member ?? '' },
      more: proven && entries.length > PAGE_LENGTH,
      mute: mute === 1,
    };
  }

  async function page(from = '0'): Promise<LogPage> {
    const [epoch, next, flat] = await commands.run(PAGE, [keys.set], [from, PAGE_LENGTH]);
    const entries: LogEntry[] = [];
    for (let at = 0; at < flat.length; at += 2) {
      const expiresAt = Number(flat[at + 1]);
      if (Number.isFinite(expiresAt)) entries.push({ member: flat[at], expiresAt });
    }
    return { epoch: epoch ?? '', entries, next: next === '0' ? undefined : next };
  }

  /** Redis can push over this connection only in RESP3, and only to a user who may read the channel. */
  async function listen(ring: () => void): Promise<boolean> {
    if (hearing === undefined) {
      hearing = () => ring();
      commands.client.on('ready', hearing);
    }
    try {
      if (!(await canPush(commands))) return false;
      await commands.subscribe(bell, hearing);
    } catch (error) {
      if (isRefusal(error, 'NOPERM')) return false;
      throw error;
    }
    return true;
  }

  return {
    append,
    read,
    page,
    listen,
    expectLifetime(expected) {
      lifetime = Math.max(lifetime, expected);
    },
    async close() {
      if (hearing === undefined) return;
      commands.client.off('ready', hearing);
      await commands.unsubscribe(bell, hearing).catch(() => undefined);
    },
  };
}

async function canPush(commands: RedisCommands): Promise<boolean> {
  // A cluster or sentinel client subscribes over a connection of its own.
  if (isCluster(commands.client) || isSentinel(commands.client)) return true;
  const hello: unknown = await commands.command(undefined, 'HELLO');
  const flat = Array.isArray(hello) ? hello : Object.entries(hello as object).flat();
  return flat[flat.indexOf('proto') + 1] === 3;
}
