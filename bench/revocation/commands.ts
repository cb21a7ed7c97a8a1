import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from 'redis';
import type { DoorName } from './doors.ts';
import { startLoader, startServers, stopAll } from './fleet.ts';
import type { Loaded } from './loader.child.ts';
import { makeTokens } from './tokens.ts';

/** What one way costs Redis, counted by Redis itself (INFO commandstats). */
export interface Commands {
  /** Sent by the servers, for each request beyond what they send when idle. */
  readonly perRequest: number;
  readonly requests: number;
  /** Sent by one idle process, a second. */
  readonly perIdleSecond: number;
  /** Run inside Redis by those: what the scripts call. */
  readonly insideScriptsPerIdleSecond: number;
}

// INFO commandstats counts what a script calls like what a client sends. The library sends scripts and these; whatever
// else is counted was called by a script; but for GET, where that is the way.
const SENT = ['eval', 'evalsha', 'hello', 'subscribe', 'client|setinfo', 'ping'];
const SENT_TO_LOOK_UP = [...SENT, 'get'];

export async function countCommands(
  door: DoorName,
  redisUrl: string,
  { processes, seconds }: { readonly processes: number; readonly seconds: number },
): Promise<Commands> {
  const client = await createClient({ url: redisUrl }).connect();
  const [servers, loader] = await Promise.all([startServers(processes, door, redisUrl), startLoader()]);
  const names = door === 'lookup' ? SENT_TO_LOOK_UP : SENT;
  try {
    await sleep(1_000);
    const idle = await during(client, names, () => sleep(seconds * 1_000));
    const urls = servers.map(({ url }) => url);
    await loader.call('start', { urls, tokens: makeTokens(200), connections: 1 });
    let loaded: Loaded | undefined;
    const busy = await during(client, names, async () => {
      await sleep(seconds * 1_000);
      loaded = await loader.call('stop');
    });
    const requests = loaded?.statuses['200'] ?? 0;
    const heartbeats = (idle.sent / idle.seconds) * busy.seconds;
    return {
      perRequest: Math.max(0, (busy.sent - heartbeats) / requests),
      requests,
      perIdleSecond: idle.sent / idle.seconds / processes,
      insideScriptsPerIdleSecond: idle.inside / idle.seconds / processes,
    };
  } finally {
    await Promise.all([stopAll(servers), loader.stop()]);
    client.destroy();
  }
}

interface Asking {
  info(section: string): Promise<string>;
}

async function during(client: Asking, sentNames: readonly string[], work: () => Promise<unknown>) {
  const before = await calls(client);
  const begun = performance.now();
  await work();
  const seconds = (performance.now() - begun) / 1_000;
  const after = await calls(client);
  let [sent, inside] = [0, 0];
  for (const [name, count] of after) {
    const more = count - (before.get(name) ?? 0);
    if (sentNames.includes(name)) sent += more;
    else if (name !== 'info') inside += more;
  }
  return { seconds, sent, inside };
}

async function calls(client: Asking): Promise<Map<string, number>> {
  const lines = (await client.info('commandstats')).matchAll(/^cmdstat_(\S+):calls=(\d+)/gm);
  return new Map([...lines].map(([, name = '', count]) => [name, Number(count)]));
}
