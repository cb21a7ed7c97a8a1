import type { RedisCommands } from './redis-connection.ts';

type Server = ReturnType<RedisCommands['primaries']>[number];

/**
 * Warns, by name, of settings under which Redis may lose a revocation: a `maxmemory-policy` that evicts (revocations go
 * first, whichever it is), and replicas that a primary need not wait for. On a cluster any primary is enough: each may
 * come to hold the log. Says nothing where it may not ask.
 */
export async function warnOfLoss(commands: RedisCommands): Promise<void> {
  const servers = commands.primaries();
  const answers = await Promise.all(servers.map(answersOf));
  const policy = answers
    .map(({ maxmemory_policy: each }) => each)
    .find((each) => each !== undefined && each !== 'noeviction');
  if (policy !== undefined) {
    process.emitWarning(
      `Redis has maxmemory-policy ${policy}, which may evict revocations and logins: set maxmemory-policy noeviction`,
      { code: 'PORTCULLIS_EVICTION' },
    );
  }
  const replicas = answers.map(({ connected_slaves: each }) => Number(each ?? 0));
  const replicated = servers.filter((_, at) => (replicas[at] ?? 0) > 0);
  if ((await Promise.all(replicated.map(leastReplicas))).includes(0)) {
    process.emitWarning(
      'Redis has replicas, but min-replicas-to-write is 0: a primary that was cut off goes on answering, and what it was ' +
        'told is lost in a failover: set min-replicas-to-write 1',
      { code: 'PORTCULLIS_REPLICAS' },
    );
  }
}

/** What a server says of itself; empty where it does not let one ask. */
async function answersOf(server: Server): Promise<Readonly<Record<string, string>>> {
  const texts = await Promise.all([
    server('INFO', 'memory').catch(() => ''),
    server('INFO', 'replication').catch(() => ''),
  ]);
  return Object.fromEntries(
    texts
      .join('\n')
      .split(/\r?\n/)
      .map((line) => line.split(':', 2)),
  );
}

/** Undefined where CONFIG may not be asked. */
async function leastReplicas(server: Server): Promise<number | undefined> {
  const reply: unknown = await server('CONFIG', 'GET', 'min-replicas-to-write').catch(() => undefined);
  const value = Array.isArray(reply)
    ? reply[1]
    : (reply as Record<string, string> | undefined)?.['min-replicas-to-write'];
  return value === undefined ? undefined : Number(value);
}
