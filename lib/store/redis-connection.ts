import { createHash } from 'node:crypto';
import { StoreUnavailable } from '../errors.ts';
import { Deadline } from './deadline.ts';

/** The part of a node-redis client, cluster or sentinel (5 or 6) that is used. You connect it, and listen for its 'error'. */
export interface RedisConnection {
  readonly isOpen: boolean;
  sendCommand(...args: any[]): Promise<any>;
  subscribe(...args: any[]): Promise<any>;
  unsubscribe(...args: any[]): Promise<any>;
  on(event: string, hear: (...args: any[]) => void): unknown;
  off(event: string, hear: (...args: any[]) => void): unknown;
}

/** What a cluster has besides. */
interface ClusterConnection {
  readonly masters: readonly object[];
  nodeClient(node: object): Promise<RedisConnection>;
}

/** A Lua script, with the name under which Redis remembers it. */
export interface Script {
  readonly text: string;
  readonly sha: string;
}

export function script(text: string): Script {
  return { text, sha: createHash('sha1').update(text).digest('hex') };
}

type Argument = string | number;

// Whatever the application set on its client, our replies are plain strings, and the deadline is our own: the client's
// covers only commands not yet written to the socket.
const OURS = { typeMapping: {}, timeout: undefined } as const;

// While Redis owes answers past their deadline, a command now and then asks whether it is back: ever more rarely, for each
// is a sign of life to the client's `socketTimeout`, which is to end a connection whose other end has vanished.
const FIRST_PROBE_AFTER = 100;
const LONGEST_BETWEEN_PROBES = 10_000;

/** Sends commands over the application's connection, each with a deadline; whatever fails is `StoreUnavailable`. */
export class RedisCommands {
  readonly client: RedisConnection;
  readonly #send: (key: string | undefined, args: string[]) => Promise<unknown>;
  readonly #deadline: Deadline;
  #probe = { after: 0, at: 0 };

  /** `timeout`: milliseconds any one command may take. */
  constructor(client: RedisConnection, timeout: number) {
    this.client = client;
    this.#send = sender(client);
    this.#deadline = new Deadline(
      timeout,
      () => new StoreUnavailable(new Error(`Redis did not answer in ${timeout} ms`)),
    );
  }

  /** Runs a script over keys of one slot. */
  async run(script: Script, keys: readonly string[], args: readonly Argument[] = []): Promise<any> {
    const rest = [String(keys.length), ...keys, ...args.map(String)];
    try {
      return await this.#sendInTime(keys[0], ['EVALSHA', script.sha, ...rest]);
    } catch (error) {
      if (!isRefusal(error, 'NOSCRIPT')) throw error;
    }
    return this.#sendInTime(keys[0], ['EVAL', script.text, ...rest]);
  }

  /** Sends one command, to the node that holds `key`. */
  command(key: string | undefined, ...args: Argument[]): Promise<any> {
    return this.#sendInTime(key, args.map(String));
  }

  /** Hears `channel`, restored by the client whenever it reconnects. */
  async subscribe(channel: string, hear: () => void): Promise<void> {
    await this.#inTime(() => this.client.subscribe(channel, hear));
  }

  async unsubscribe(channel: string, hear: () => void): Promise<void> {
    await this.#inTime(() => this.client.unsubscribe(channel, hear));
  }

  /** A way to each primary: one, or on a cluster all. */
  async primaries(): Promise<((...args: Argument[]) => Promise<any>)[]> {
    const cluster = this.client as Partial<ClusterConnection>;
    if (cluster.masters === undefined || cluster.nodeClient === undefined) {
      return [(...args) => this.command(undefined, ...args)];
    }
    const nodes = await Promise.all(cluster.masters.map((master) => cluster.nodeClient?.(master)));
    return nodes.map(
      (node) =>
        (...args) =>
          this.#deadline.meet(node?.sendCommand(args.map(String), OURS) ?? Promise.reject(new StoreUnavailable())),
    );
  }

  #sendInTime(key: string | undefined, args: string[]): Promise<unknown> {
    return this.#inTime(() => this.#send(key, args));
  }

  async #inTime<Value>(work: () => Promise<Value>): Promise<Value> {
    // A client that reconnects would queue the command: it would come late, and requests would pile up in memory.
    if ((this.client as { isReady?: boolean }).isReady === false || !this.client.isOpen) {
      throw new StoreUnavailable(new Error('the Redis client is not connected'));
    }
    this.#failFast();
    try {
      return await this.#deadline.meet(work());
    } catch (error) {
      throw error instanceof StoreUnavailable ? error : new StoreUnavailable(error);
    }
  }

  // Answers come in order: those that are owed come first, if any come at all.
  #failFast(): void {
    const now = performance.now();
    if (this.#deadline.overdue === 0) {
      this.#probe.after = 0;
    } else if (this.#probe.after > 0 && now - this.#probe.at < this.#probe.after) {
      throw new StoreUnavailable(new Error('Redis owes older answers'));
    } else {
      const after = Math.min(Math.max(this.#probe.after * 2, FIRST_PROBE_AFTER), LONGEST_BETWEEN_PROBES);
      this.#probe = { after, at: now };
    }
  }
}

// The three kinds of node-redis client take the same command in three ways; `false` is "not from a replica".
function sender(client: RedisConnection): (key: string | undefined, args: string[]) => Promise<unknown> {
  if ('slots' in client) return (key, args) => client.sendCommand(key, false, args, OURS);
  if ('getSentinelNode' in client) return (_key, args) => client.sendCommand(false, args, OURS);
  return (_key, args) => client.sendCommand(args, OURS);
}

/** Whether Redis itself refused a command, with this code: `NOPERM`, `WRONGTYPE`. */
export function isRefusal(error: unknown, code: string): boolean {
  return error instanceof StoreUnavailable && error.cause instanceof Error && error.cause.message.startsWith(code);
}

// How many commands of one call are on their way at once.
const BATCH = 500;

/** Sends the commands of a long list a part at a time, so that none of them waits behind all the others. */
export async function inBatches<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  for (let at = 0; at < items.length; at += BATCH) {
    results.push(...(await Promise.all(items.slice(at, at + BATCH).map(work))));
  }
  return results;
}
