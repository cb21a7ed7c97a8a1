import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSentinel } from 'redis';
import { freePort } from './free-port.ts';
import { endWithUs } from './last-will.ts';
import { type RedisServer, startRedis } from './redis-server.ts';

const NAME = 'primary';

/** A primary with a replica, and sentinels that watch over them. */
export interface WatchedRedis {
  readonly servers: readonly RedisServer[];
  /** Who is the primary, by the sentinels. */
  primary(): Promise<RedisServer>;
  /** Has the sentinels put the replica in the primary's place, and the primary in the replica's. */
  swap(): Promise<void>;
  /** A connected sentinel client with an `error` listener; `stop` closes it. */
  client(options?: SentinelOptions): Promise<SentinelClient>;
  stop(): Promise<void>;
}

type SentinelOptions = Partial<Parameters<typeof createSentinel>[0]>;
export type SentinelClient = ReturnType<typeof createSentinel>;

/** Starts them on free loopback ports. A primary that is silent for a second is given up, if most sentinels agree. */
export async function startWatchedRedis(sentinels = 1): Promise<WatchedRedis> {
  const ending: (() => Promise<unknown>)[] = [];
  const stop = async () => {
    for (const end of ending.splice(0).reverse()) await end();
  };
  try {
    const first = await startRedis({ args: ['--repl-diskless-sync-delay', '0'] });
    ending.push(() => first.stop());
    const replica = await startRedis({
      args: ['--repl-diskless-sync-delay', '0', '--replicaof', '127.0.0.1', String(first.port)],
    });
    ending.push(() => replica.stop());
    await follows(replica, first);
    const ports: number[] = [];
    for (let n = 0; n < sentinels; n++) {
      const sentinel = await startSentinel(first.port, Math.floor(sentinels / 2) + 1);
      ending.push(sentinel.stop);
      ports.push(sentinel.port);
    }
    const ask = (port: number, ...command: string[]) => first.cli('-p', String(port), 'SENTINEL', ...command);
    // Usually ten seconds and two: so long it would take to notice that a primary has to become a replica.
    for (const port of ports) await ask(port, 'DEBUG', 'INFO-PERIOD', '500', 'PUBLISH-PERIOD', '500');
    // Each has found the replica and the others.
    for (const port of ports) {
      await poll(async () => (await ask(port, 'CKQUORUM', NAME)).startsWith(`OK ${sentinels} `));
      await poll(async () => (await ask(port, 'REPLICAS', NAME)).includes(String(replica.port)));
    }
    const servers = [first, replica];
    const primary = async () => {
      const [, port] = (await ask(ports[0] as number, 'GET-MASTER-ADDR-BY-NAME', NAME)).split('\n');
      return servers.find((each) => each.port === Number(port)) as RedisServer;
    };
    return {
      servers,
      primary,
      async swap() {
        const old = await primary();
        await poll(async () => (await ask(ports[0] as number, 'FAILOVER', NAME)) === 'OK');
        await poll(async () => (await primary()) !== old);
        await follows(old, await primary());
      },
      async client(options) {
        const client = createSentinel({
          name: NAME,
          sentinelRootNodes: ports.map((port) => ({ host: '127.0.0.1', port })),
          ...options,
        });
        client.on('error', () => {});
        ending.push(async () => client.isOpen && client.destroy());
        await client.connect();
        return client;
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Its link is up a second before a replica is sent what is written: one that took over till then would be empty. */
async function follows(replica: RedisServer, primary: RedisServer): Promise<void> {
  await poll(async () => (await replica.cli('INFO', 'replication')).includes('master_link_status:up'));
  const probe = `probe:${replica.port}:${Date.now()}`;
  await primary.cli('SET', probe, 'x', 'PX', '60000');
  await poll(async () => (await replica.cli('EXISTS', probe)) === '1');
}

async function startSentinel(primaryPort: number, quorum: number): Promise<{ port: number; stop(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'portcullis-sentinel-'));
  const port = await freePort();
  // It writes what it finds out into this very file.
  const file = join(folder, 'sentinel.conf');
  await writeFile(
    file,
    [
      `port ${port}`,
      'bind 127.0.0.1',
      `dir ${folder}`,
      `sentinel monitor ${NAME} 127.0.0.1 ${primaryPort} ${quorum}`,
      `sentinel down-after-milliseconds ${NAME} 1000`,
      `sentinel failover-timeout ${NAME} 1000`,
    ].join('\n'),
  );
  const server = spawn('redis-sentinel', [file], { stdio: ['ignore', 'pipe', 'ignore'] });
  const callOff = endWithUs(await runs(server), folder);
  return {
    port,
    async stop() {
      callOff();
      const gone = once(server, 'exit');
      if (server.kill('SIGKILL')) await gone;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function runs(server: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    // Read to the end of its life: a full pipe would stop it.
    server.stdout?.on('data', (text) => {
      if (String(text).includes('+monitor')) resolve(server.pid as number);
    });
    server.once('error', reject);
    server.once('exit', () => reject(new Error('redis-sentinel did not start')));
  });
}

async function poll(holds: () => Promise<boolean>): Promise<void> {
  const latest = Date.now() + 20_000;
  while (!(await holds())) {
    if (Date.now() > latest) throw new Error('the sentinels did not come about');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
