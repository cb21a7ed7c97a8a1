import type { LoginStore, RevocationLog } from './ports.ts';
import { RedisCommands, type RedisConnection } from './redis-connection.ts';
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
  return { logins: redisLogins(commands, prefix), log: redisLog(commands, prefix) };
}
