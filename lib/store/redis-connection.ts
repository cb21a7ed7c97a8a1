import { createHash } from 'node:crypto';
import { StoreUnavailable } from '../errors.ts';
import { Patience } from './patience.ts';
import { type ClusterNode, isCluster, slotOf } from './redis-cluster.ts';

/** The part of a node-redis client, cluster or sentinel (5 or 6) that is used. You connect it, and listen for its 'error'. */
export interface RedisConnection {
  readonly isOpen: boolean;
  sendCommand(...args: any[]): Promise<any>;
  subscribe(...args: any[]): Promise<any>;
  unsubscribe(...args: any[]): Promise<any>;
  on(event: string, hear: (...args: any[]) => void): unknown;
  off(event: string, hear: (...args: any[]) => void): unknown;
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

// How soon a script is tried again whose keys were on their way.
const RETRY_AFTER = 20;

/** Sends commands over the application's connection, each with a deadline; whatever fails is `StoreUnavailable`. */
export class RedisCommands {
  readonly client: RedisConnection;
  readonly #send: (key: string | undefined, args: string[]) => Promise<unknown>;
  readonly #timeout: number;
  // One that does not answer is no reason to give up the others.
  readonly #patience = new WeakMap<object, Patience>();

  /** `timeout`: milliseconds any one command may take. */
  constructor(client: RedisConnection, timeout: number) {
    this.client = client;
    this.#send = sender(client);
    this.#timeout = timeout;
  }

  /** Runs a script over keys of one slot. */
  async run(script: Script, keys: readonly string[], args: readonly Argument[] = []): Promise<any> {
    const latest = performance.now() + this.#timeout;
    for (;;) {
      try {
        return await this.#evaluate(script, keys, args);
      } catch (error) {
        // While a slot moves from one server to another, the keys of one script may be on both: nothing was run.
        if (!isRefusal(error, 'TRYAGAIN') || performance.now() > latest) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY_AFTER));
    }
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
  primaries(): ((...args: Argument[]) => Promise<any>)[] {
    const { client } = this;
    if (!isCluster(client)) return [(...args) => this.command(undefined, ...args)];
    return client.masters.map(
      (node) =>
        (...args) =>
          this.#inTime(async () => (await client.nodeClient(node)).sendCommand(args.map(String), OURS), node),
    );
  }

  async #evaluate(script: Script, keys: readonly string[], args: readonly Argument[]): Promise<any> {
    const rest = [String(keys.length), ...keys, ...args.map(String)];
    try {
      return await this.#sendInTime(keys[0], ['EVALSHA', script.sha, ...rest]);
    } catch (error) {
      if (!isRefusal(error, 'NOSCRIPT')) throw error;
    }
    return this.#sendInTime(keys[0], ['EVAL', script.text, ...rest]);
  }

  #sendInTime(key: string | undefined, args: string[]): Promise<unknown> {
    const { client } = this;
    const node = isCluster(client) && key !== undefined ? client.slots[slotOf(key)]?.master : undefined;
    return this.#inTime(() => this.#send(key, args), node);
  }

  async #inTime<Value>(work: () => Promise<Value>, node?: ClusterNode): Promise<Value> {
    if (!isConnected(this.client, node)) throw new StoreUnavailable(new Error('the Redis client is not connected'));
    return this.#patienceWith(node ?? this.client).await(work);
  }

  #patienceWith(server: object): Patience {
    const patience = this.#patience.get(server) ?? new Patience(this.#timeout);
    this.#patience.set(server, patience);
    return patience;
  }
}

// A client that reconnects would queue the command: it would come late, and requests would pile up in memory. But it takes
// a command to make a sentinel client that gave up looking for the primary look again.
function isConnected(client: RedisConnection & { readonly isReady?: boolean }, node: ClusterNode | undefined): boolean {
  if (!client.isOpen || isSentinel(client)) return client.isOpen;
  return client.isReady !== false && (node?.client?.isReady !== false || node.connectPromise !== undefined);
}

// The three kinds of node-redis client take the same command in three ways; `false` is "not from a replica".
function sender(client: RedisConnection): (key: string | undefined, args: string[]) => Promise<unknown> {
  if (isCluster(client)) return (key, args) => client.sendCommand(key, false, args, OURS);
  if (isSentinel(client)) return (_key, args) => client.sendCommand(false, args, OURS);
  return (_key, args) => client.sendCommand(args, OURS);
}

export function isSentinel(client: RedisConnection): boolean {
  return 'getSentinelNode' in client;
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
