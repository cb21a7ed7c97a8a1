import { type Audit, type AuditFact, tell } from './audit.ts';
import { type AuthStore, keepParts, type StoreParts } from './login/auth-store.ts';
import { revokeToken } from './login/credentials.ts';
import { onEnd } from './login/end-of-auth.ts';
import { loginFrom } from './login/login-view.ts';
import { Logins } from './login/logins.ts';
import { Replica } from './login/replica.ts';
import { entryOf, idOf } from './login/revocation.ts';
import { SessionRows } from './login/session-data.ts';
import { FOREVER } from './login/shard.ts';
import { type Duration, readOptions } from './options.ts';
import { memoryLog } from './store/memory-log.ts';
import { MemoryLogins } from './store/memory-logins.ts';
import type { LoginStore, RevocationLog } from './store/ports.ts';
import { redisAdapter } from './store/redis.ts';
import type { RedisConnection } from './store/redis-connection.ts';

export interface RedisStoreOptions {
  /** One for each application and environment that shares a Redis. @default 'portcullis:' */
  readonly prefix?: string;
  /** @default '5s' */
  readonly maxStaleness?: Duration;
  /** How long any one Redis command may take before the request is answered 503. @default '250ms' */
  readonly timeout?: Duration;
}

/**
 * Everything in one Redis, over the one connection given.
 * `maxStaleness` is the one knob between security and availability: a process that has not heard from the primary for
 * that long answers 503. So no token outlives its revocation by more than this, except while Redis itself has two
 * masters or has lost the write (set `min-replicas-to-write`); what a living process knows is put back.
 */
export function redisStore(client: RedisConnection, options: RedisStoreOptions = {}): AuthStore {
  const reader = readOptions('redisStore', options, ['prefix', 'maxStaleness', 'timeout']);
  if (typeof (client as Partial<RedisConnection> | undefined)?.sendCommand !== 'function') {
    reader.fail('takes a client of node-redis: redisStore(createClient({ url }))');
  }
  const { prefix = 'portcullis:' } = options;
  if (typeof prefix !== 'string' || !/^[\w:.-]{1,100}$/.test(prefix)) {
    reader.fail(`"prefix" must be letters, digits and _ : . -, such as 'shop:live:'`);
  }
  const timeout = reader.duration('timeout', '250ms', { least: '1ms', most: '60s' });
  const maxStaleness = reader.duration('maxStaleness', '5s', { least: '100ms', most: '1h' });
  const { logins, log } = redisAdapter(client, { prefix, timeout });
  return assemble(logins, log, { timeout, maxStaleness });
}

/** Everything in this process, with nothing to install: for one process, development and tests. Says so once under NODE_ENV=production. */
export function memoryStore(): AuthStore {
  warnInProduction();
  const logins = new MemoryLogins();
  const store = assemble(logins, memoryLog(), { timeout: 250, maxStaleness: 5_000 });
  const { close } = store;
  store.close = async () => {
    logins.close();
    await close();
  };
  return store;
}

let warned = false;

function warnInProduction(): void {
  if (warned || process.env['NODE_ENV'] !== 'production') return;
  warned = true;
  process.emitWarning(
    'memoryStore keeps logins in this process alone, and loses them when it ends: use redisStore(client)',
    {
      code: 'PORTCULLIS_MEMORY_STORE',
    },
  );
}

/** Adapters and replica as one value. */
function assemble(
  store: LoginStore,
  log: RevocationLog,
  limits: { readonly timeout: number; readonly maxStaleness: number },
): AuthStore {
  const audits = new Set<Audit>();
  const say = (fact: AuditFact) => tell(audits, fact);
  const replica = new Replica(log, { ...limits, heed: (type) => say({ type }) });
  const logins = new Logins(store, replica, audits);
  const parts: StoreParts = { logins, replica, audits };

  const authStore: AuthStore = {
    async logins(subject) {
      checkName('logins', 'subject', subject);
      return (await store.list(subject)).filter((login) => !logins.isOver(login)).map(loginFrom);
    },
    async revokeLogin({ subject, sid }) {
      checkName('revokeLogin', 'subject', subject);
      checkName('revokeLogin', 'sid', sid);
      if (await logins.end({ subject, sid })) say({ type: 'revoked', subject, sid });
      else await logins.endLost({ subject, sid });
    },
    async revokeToken(token) {
      const { issuer, jti, expiresAt } = token;
      checkName('revokeToken', 'jti', jti);
      checkName('revokeToken', 'issuer', issuer);
      if (!(expiresAt instanceof Date) || Number.isNaN(expiresAt.getTime())) {
        throw new TypeError('revokeToken: "expiresAt" must be a Date: pass what getAuth(req) gives');
      }
      await revokeToken(parts, token);
    },
    async revokeSubject(subject, options = {}) {
      checkName('revokeSubject', 'subject', subject);
      readOptions('revokeSubject', options, ['issuer', 'except']);
      const { issuer, except } = options;
      await logins.endAll(subject, issuer, except);
      say({ type: 'revoked', subject });
    },
    async revokeKey({ issuer, kid }) {
      checkName('revokeKey', 'issuer', issuer);
      checkName('revokeKey', 'kid', kid);
      // Whoever has the key goes on signing with it: this never ends.
      await replica.revoke([entryOf({ kind: 'key', id: idOf.key(issuer, kid), expiresAt: FOREVER })]);
      say({ type: 'revoked', kid });
    },
    onEnd: (auth, hear) => onEnd(parts, auth, hear),
    ready: () => replica.ready(),
    health: () => ({ fresh: replica.fresh, staleness: replica.staleness, revocations: replica.revocations.size }),
    sessions: () => sessionRows(parts),
    async close() {
      logins.close();
      await replica.close();
    },
  };
  keepParts(authStore, parts);
  return authStore;
}

// connect-redis' own, for a cookie that ends with the browser.
const DAY = 86_400_000;

function sessionRows({ logins, audits }: StoreParts): SessionRows {
  return new SessionRows(logins.store, {
    end: (sid) => logins.endRow(sid),
    lifeOf: ({ cookie }) => (cookie?.expires ? new Date(cookie.expires).getTime() - Date.now() : DAY),
    conflict: (sid, fields) => tell(audits, { type: 'session_conflict', sid, fields }),
    corrupt: (sid) => tell(audits, { type: 'session_corrupt', sid }),
  });
}

function checkName(verb: string, name: string, value: unknown): asserts value is string {
  if (typeof value === 'string' && value !== '') return;
  const hint = name === 'jti' ? '; a session has none: use revokeLogin' : '';
  throw new TypeError(`${verb}: "${name}" must be given, as a string${hint}`);
}
