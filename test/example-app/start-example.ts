import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { type AuditEvent, type AuthStore, localKeys, memoryStore, redisStore } from 'portcullis';
import request from 'supertest';
import { createExample, type ExampleSettings } from '../../example-app/example.ts';
import { SAMPLES } from '../../example-app/users.ts';
import { serve } from '../support/http-server.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';

export const [ANN, BOB] = SAMPLES;

/** The example, served over a Redis of its own or over memory. */
export async function startExample(where: 'redis' | 'memory', settings: Partial<ExampleSettings> = {}) {
  const redis = where === 'redis' ? await startRedis() : undefined;
  const store = redis === undefined ? memoryStore() : redisStore(await redis.client());
  const events: AuditEvent[] = [];
  const { privateKey } = generateKeyPairSync('ed25519');
  const app = await createExample({
    store,
    keys: localKeys([{ kid: 'test', alg: 'EdDSA', key: privateKey }]),
    secret: randomBytes(32).toString('base64url'),
    audit: (event) => void events.push(event),
    triesPerMinute: 1_000,
    ...settings,
  });
  await store.ready();
  const { url, close } = await serve(app);
  const stop = async () => {
    await close();
    await store.close();
    await redis?.stop();
  };
  return { url, store, redis, events, stop };
}

export type RunningExample = {
  readonly url: string;
  readonly store: AuthStore;
  readonly redis: RedisServer | undefined;
  readonly events: readonly AuditEvent[];
  stop(): Promise<void>;
};

/** A browser of its own: it keeps cookies, follows no redirect, and says where it comes from, as browsers do. */
export function browser(url: string) {
  return request.agent(url).set('Sec-Fetch-Site', 'same-origin').set('Accept', 'text/html');
}

export type Browser = ReturnType<typeof browser>;

/** Logs in by the form of `/web` or `/app`. */
export function logIn(who: Browser, door: string, { name, password }: { name: string; password: string } = ANN) {
  return who.post(`${door}/login`).type('form').send({ name, password });
}
