import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createClient, type RedisClientOptions, type RedisClientType } from 'redis';
import { endWithUs } from './last-will.ts';

/** A redis-server of the test's own. */
export interface RedisServer {
  readonly port: number;
  readonly url: string;
  readonly pid: number;
  /** A connected client with an `error` listener; `stop` closes it. */
  client(options?: RedisClientOptions): Promise<RedisClient>;
  /** It stands still, its connections open (SIGSTOP), until `thaw`. */
  freeze(): void;
  thaw(): void;
  /** It is gone at once (SIGKILL), with all its data. */
  kill(): Promise<void>;
  /** Another one at the same port, empty; ends this one if it still runs. */
  restart(): Promise<void>;
  stop(): Promise<void>;
  /** What redis-cli answers. */
  cli(...args: readonly string[]): Promise<string>;
}

export type RedisClient = RedisClientType<any, any, any, any, any>;

/** Starts a redis-server on a free loopback port, without persistence; `args` as on its command line. It ends with this process. */
export async function startRedis(options: { readonly args?: readonly string[] } = {}): Promise<RedisServer> {
  const args = options.args ?? [];
  const folder = await mkdtemp(join(tmpdir(), 'portcullis-redis-'));
  try {
    const { port, running } = await startSomewhere((candidate) => launch(candidate, folder, args));
    return serverOf(running, port, folder, args);
  } catch (error) {
    await rm(folder, { recursive: true });
    throw error;
  }
}

interface Running {
  readonly process: ChildProcess & { readonly pid: number };
  readonly callOff: () => void;
}

function serverOf(first: Running, port: number, folder: string, args: readonly string[]): RedisServer {
  let running = first;
  const url = `redis://127.0.0.1:${port}`;
  const clients: RedisClient[] = [];
  return {
    port,
    url,
    get pid() {
      return running.process.pid;
    },
    async client(options) {
      const client = createClient({ url, ...options } as RedisClientOptions) as RedisClient;
      // Without a listener an error would end the process.
      client.on('error', () => {});
      clients.push(client);
      await client.connect();
      return client;
    },
    freeze: () => void running.process.kill('SIGSTOP'),
    thaw: () => void running.process.kill('SIGCONT'),
    kill: () => end(running),
    async restart() {
      await end(running);
      running = await launch(port, folder, args);
    },
    async stop() {
      for (const client of clients) if (client.isOpen) client.destroy();
      await end(running);
      await rm(folder, { recursive: true, force: true });
    },
    async cli(...command) {
      const { stdout } = await promisify(execFile)('redis-cli', ['-p', String(port), ...command], { timeout: 10_000 });
      return stdout.trimEnd();
    },
  };
}

async function startSomewhere(start: (port: number) => Promise<Running>): Promise<{ port: number; running: Running }> {
  for (let attempt = 1; ; attempt++) {
    // Below the ports that outgoing connections get: a client that tries to reconnect to a dead server would sooner or
    // later be given the server's own port, and be connected to itself.
    const port = 10_000 + Math.floor(Math.random() * 20_000);
    try {
      return { port, running: await start(port) };
    } catch (error) {
      if (attempt === 5) throw error;
    }
  }
}

async function launch(port: number, folder: string, args: readonly string[]): Promise<Running> {
  const ours = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder];
  const server = spawn('redis-server', [...ours, ...args], { stdio: ['ignore', 'pipe', 'ignore'] });
  await readyToAccept(server);
  const process = server as Running['process'];
  return { process, callOff: endWithUs(process.pid, folder) };
}

function readyToAccept(server: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let log = '';
    // Read to the end of its life: a full pipe would stop it.
    server.stdout?.on('data', (text) => {
      log = (log + text).slice(-4000);
      if (log.includes('Ready to accept connections')) resolve();
    });
    server.once('error', (cause) =>
      reject(new Error('redis-server must be on the PATH: npm test installs it', { cause })),
    );
    server.once('exit', () => reject(new Error(`redis-server did not start: ${log}`)));
  });
}

async function end({ process, callOff }: Running): Promise<void> {
  callOff();
  if (process.exitCode !== null || process.signalCode !== null) return;
  const gone = once(process, 'exit');
  process.kill('SIGKILL');
  await gone;
}
