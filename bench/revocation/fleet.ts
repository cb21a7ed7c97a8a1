import { startProcess, type TestProcess } from '../../test/support/processes.ts';
import type { DoorName } from './doors.ts';

/** A server behind one of the doors. */
export interface Server {
  readonly process: TestProcess;
  readonly url: string;
}

const env = { NODE_ENV: 'production' };

export async function startServer(door: DoorName, redisUrl: string): Promise<Server> {
  const process = await startProcess(new URL('server.child.ts', import.meta.url), { env, args: [door, redisUrl] });
  return { process, url: await process.call('url') };
}

export function startServers(count: number, door: DoorName, redisUrl: string): Promise<Server[]> {
  return Promise.all(Array.from({ length: count }, () => startServer(door, redisUrl)));
}

/** Sends requests, from a process of its own. */
export function startLoader(): Promise<TestProcess> {
  return startProcess(new URL('loader.child.ts', import.meta.url), { env });
}

/** Holds a great many revocations, and nothing else. */
export function startHolder(redisUrl: string): Promise<TestProcess> {
  return startProcess(new URL('entries.child.ts', import.meta.url), { env, args: [redisUrl] });
}

export async function stopAll(servers: readonly Server[]): Promise<void> {
  await Promise.all(servers.map(({ process }) => process.stop()));
}
