import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';

/** Where the sample app keeps its logins. `say` is for whoever started it; `close` ends what was started here. */
export type FoundRedis =
  | { readonly url: string; readonly say: string; close(): Promise<void> }
  | { readonly url: undefined; readonly say: string; close(): Promise<void> };

/** The Redis at REDIS_URL; else a private redis-server, if one is on the PATH; else none. */
export async function findRedis(): Promise<FoundRedis> {
  const url = process.env.REDIS_URL;
  if (url)
    return { url, say: `Logins are kept in the Redis at ${withoutUser(url)} (REDIS_URL).`, close: async () => {} };
  return (await startPrivateRedis()) ?? NO_REDIS;
}

const NO_REDIS: FoundRedis = {
  url: undefined,
  say:
    'Neither REDIS_URL is set nor a redis-server on the PATH: logins are kept in this process, and end with it. ' +
    'Install Redis to see them shared by several processes.',
  close: async () => {},
};

// The shell ends the server once our end of its input closes: with this process, however that ends.
const SCRIPT = 'command -v redis-server || exit 1; redis-server "$@" & server=$!; read _; kill -9 "$server"; wait';

async function startPrivateRedis(): Promise<FoundRedis | undefined> {
  const port = await freePort();
  const settings = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
  const shell = spawn('sh', ['-c', SCRIPT, 'sh', ...settings], {
    stdio: ['pipe', 'pipe', 'ignore'],
    // A process group of its own is out of reach of Ctrl-C: the app may still speak to Redis as it ends.
    detached: true,
  });
  const ended = once(shell, 'exit').catch(() => {});
  const close = async () => {
    shell.stdin.end();
    await ended;
  };
  if (!(await isReady(shell))) return void (await close());
  return {
    url: `redis://127.0.0.1:${port}`,
    say: `Logins are kept in a redis-server of this run's own, on port ${port}: they end with it.`,
    close,
  };
}

/** Whether the server says so within five seconds. */
function isReady(shell: ChildProcess): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, 5_000, false);
    const settle = (ready: boolean) => {
      clearTimeout(timer);
      resolve(ready);
    };
    shell.once('error', () => settle(false));
    shell.once('exit', () => settle(false));
    shell.stdout?.on('data', (text) => String(text).includes('Ready to accept connections') && settle(true));
  });
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** A URL to show: who logs in to Redis, and how, is nobody's business. */
function withoutUser(url: string): string {
  if (!URL.canParse(url)) return 'an address that is no URL';
  const shown = new URL(url);
  shown.username = '';
  shown.password = '';
  return shown.href;
}
