import type { RedisCommands } from './redis-connection.ts';

/** What the server says of itself; empty where it does not let one ask. */
async function answersOf(commands: RedisCommands): Promise<Readonly<Record<string, string>>> {
  const texts = await Promise.all([
    commands.command(undefined, 'INFO', 'memory').catch(() => ''),
    commands.command(undefined, 'INFO', 'replication').catch(() => ''),
  ]);
  return Object.fromEntries(
    texts
      .join('\n')
      .split(/\r?\n/)
      .map((line) => line.split(':', 2)),
  );
}

/**
 * Warns, by name, of settings under which Redis may lose a revocation: a `maxmemory-policy` that evicts (revocations go
 * first, whichever it is), and replicas that a primary need not wait for. Says nothing where it may not ask.
 */
export async function warnOfLoss(commands: RedisCommands): Promise<void> {
  const { maxmemory_policy: policy, connected_slaves: replicas } = await answersOf(commands);
  if (policy !== undefined && policy !== 'noeviction') {
    process.emitWarning(
      `Redis has maxmemory-policy ${policy}, which may evict revocations and logins: set maxmemory-policy noeviction`,
      { code: 'PORTCULLIS_EVICTION' },
    );
  }
  if (Number(replicas ?? 0) > 0 && (await leastReplicas(commands)) === 0) {
    process.emitWarning(
      'Redis has replicas, but min-replicas-to-write is 0: a primary that was cut off goes on answering, and what it was ' +
        'told is lost in a failover: set min-replicas-to-write 1',
      { code: 'PORTCULLIS_REPLICAS' },
    );
  }
}

/** Undefined where CONFIG may not be asked. */
async function leastReplicas(commands: RedisCommands): Promise<number | undefined> {
  const reply: unknown = await commands
    .command(undefined, 'CONFIG', 'GET', 'min-replicas-to-write')
    .catch(() => undefined);
  const value = Array.isArray(reply)
    ? reply[1]
    : (reply as Record<string, string> | undefined)?.['min-replicas-to-write'];
  return value === undefined ? undefined : Number(value);
}
