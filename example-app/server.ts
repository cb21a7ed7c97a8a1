// The example as a process: finds Redis and secrets, serves, and stops when asked to.
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { type AuditEvent, memoryStore, redisStore } from 'portcullis';
import { connectTo } from './connection.ts';
import { createExample } from './example.ts';
import { findRedis } from './redis.ts';
import { findSecrets } from './secrets.ts';
import { SAMPLES } from './users.ts';

const redis = await findRedis();
const secrets = findSecrets();
// One connection, for everything: sessions, tokens, revocations, and what Redis pushes.
const client = redis.url === undefined ? undefined : connectTo(redis.url);
const store = client === undefined ? memoryStore() : redisStore(client);

const https = process.env.ORIGIN?.startsWith('https://') ?? false;
const server = createServer(await createExample({ store, ...secrets, https, say: redis.say, audit: log }));

// Who starts to serve at once, answers 503 until this process knows what was revoked. If Redis is away, that is better
// than no answer.
await Promise.race([store.ready(), wait(3_000, undefined, { ref: false })]);

process.once('SIGINT', () => void stop());
process.once('SIGTERM', () => void stop());

// Not to be reached from other machines: everybody knows these passwords.
server.listen(Number(process.env.PORT || 3000), process.env.HOST || '127.0.0.1');
server.once('error', async (error) => {
  console.error(`The example cannot listen: ${error.message}. Set PORT to another port.`);
  process.exitCode = 1;
  await stop();
});
await once(server, 'listening');

console.log(`portcullis, an example: http://localhost:${(server.address() as AddressInfo).port}
${redis.say}
${secrets.say}
Users: ${SAMPLES.map(({ name, password }) => `${name} ("${password}")`).join(', ')}. Ctrl-C stops it.`);

/** Answers what was asked, and goes. */
async function stop(): Promise<void> {
  await closed(server);
  await store.close();
  client?.destroy();
  await redis.close();
}

async function closed(listening: Server): Promise<void> {
  if (!listening.listening) return;
  const gone = once(listening, 'close');
  listening.close();
  setTimeout(() => listening.closeAllConnections(), 3_000).unref();
  await gone;
}

/** One line an event, as JSON: nothing a client sends can break out of it. */
function log(event: AuditEvent): void {
  const { type, at, ...rest } = event;
  const said = 'error' in rest ? { ...rest, error: rest.error.code } : rest;
  console.log(at.toISOString(), type, JSON.stringify(said));
}
