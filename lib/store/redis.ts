import type { LoginStore, RevocationLog } from './ports.ts';
import { RedisCommands, type RedisConnection } from './redis-connection.ts';
import { warnOfLoss } from './redis-diagnosis.ts';
import { redisLog } from './redis-log.ts';
import { redisLogins } from './redis-logins.ts';

export interface RedisSettings {
  readonly prefix: string;
  /** Milliseconds any one command may take. */
  readonly timeout: number;
}

/** Logins and the log of revocations over one connection. */
export function redisAdapter(
  client: RedisConnection,
  { prefix, timeout }: RedisSettings,
): { logins: LoginStore; log: RevocationLog } {
  const commands = new RedisCommands(client, timeout);
  const log = redisLog(commands, prefix);
  let asked = false;
  return {
    logins: redisLogins(commands, prefix),
    log: {
      ...log,
      // The first that is asked of a server that answers: the time to look at its settings.
      listen(ring) {
        if (!asked) void warnOfLoss(commands);
        asked = true;
        return log.listen(ring);
      },
    },
  };
}
