import { type AuthStore, memoryStore, redisStore } from 'portcullis';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { type RedisServer, startRedis } from '../support/redis-server.ts';
import { type SessionApp, type SessionAppOptions, sessionApp } from './app.ts';

/** A Redis of the file's own, and applications that end with each test. */
export interface Bench {
  readonly redis: RedisServer;
  /** What all keys of the store made last begin with. */
  readonly prefix: string;
  newStore(kind?: 'memory' | 'Redis'): Promise<AuthStore>;
  open(options?: Partial<SessionAppOptions>): Promise<SessionApp>;
}

export function bench(): Bench {
  let redis: RedisServer;
  let count = 0;
  const apps: SessionApp[] = [];
  const stores: AuthStore[] = [];
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterEach(async () => {
    for (const { server } of apps.splice(0)) await server.close();
    for (const store of stores.splice(0)) await store.close();
  });
  afterAll(() => redis.stop());
  const self: Bench = {
    get redis() {
      return redis;
    },
    get prefix() {
      return `s${count}:`;
    },
    async newStore(kind = 'Redis') {
      count += 1;
      const store =
        kind === 'memory' ? memoryStore() : redisStore(await redis.client(), { prefix: self.prefix, timeout: '2s' });
      stores.push(store);
      await store.ready();
      return store;
    },
    async open(options = {}) {
      const app = await sessionApp({ store: options.store ?? (await self.newStore()), ...options });
      apps.push(app);
      return app;
    },
  };
  return self;
}
