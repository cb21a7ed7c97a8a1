import { randomBytes } from 'node:crypto';
import { Agent, request } from 'node:http';
import { startProcess, type TestProcess } from '../support/processes.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';

/** Another process of one application, and a way to ask it. */
export interface Server extends TestProcess {
  ask(method: string, path: string, headers?: Record<string, string>, body?: object): Promise<Reply>;
}

export interface Reply {
  readonly status: number;
  readonly json: any;
  readonly cookie: string;
}

/** Server processes over one Redis; their wall clocks are so many milliseconds off. */
export async function startServers(
  shifts: readonly number[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly redis: RedisServer; readonly servers: readonly Server[]; stop(): Promise<void> }> {
  const redis = await startRedis();
  const common = { REDIS_URL: redis.url, SECRET: randomBytes(32).toString('base64url'), ...env };
  const agent = new Agent({ keepAlive: true, maxSockets: 100 });
  const servers = await Promise.all(
    shifts.map(async (shift) => {
      const child = await startProcess(new URL('./server.child.ts', import.meta.url), {
        env: { ...common, CLOCK_SHIFT: String(shift) },
      });
      const port = await child.call('port');
      const ask: Server['ask'] = (...what) => send(agent, port, ...what);
      return { ...child, ask };
    }),
  );
  return {
    redis,
    servers,
    async stop() {
      agent.destroy();
      for (const server of servers) await server.stop();
      await redis.stop();
    },
  };
}

function send(
  agent: Agent,
  port: number,
  method: string,
  path: string,
  headers: Record<string, string> = {},
  body?: object,
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const json = body === undefined ? undefined : JSON.stringify(body);
    const type =
      json === undefined ? {} : { 'content-type': 'application/json', 'content-length': String(json.length) };
    const sent = request({ agent, host: '127.0.0.1', port, method, path, headers: { ...headers, ...type } }, (res) => {
      let text = '';
      res.setEncoding('utf8');
      res.on('data', (chunk) => {
        text += chunk;
      });
      res.on('error', reject);
      res.on('end', () => {
        const cookie = (res.headers['set-cookie'] ?? []).map((line) => line.split(';')[0]).join('; ');
        resolve({ status: res.statusCode ?? 0, json: text === '' ? undefined : JSON.parse(text), cookie });
      });
    });
    sent.on('error', reject);
    sent.end(json);
  });
}
