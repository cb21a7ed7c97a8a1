import { createCluster } from 'redis';
import { vi } from 'vitest';
import { freePort } from './free-port.ts';
import { type RedisServer, startRedis } from './redis-server.ts';

const SLOTS = 16_384;
const PATIENCE = { timeout: 20_000, interval: 50 };

/** A Redis Cluster of the test's own: masters that share the slots evenly. */
export interface RedisCluster {
  readonly masters: readonly RedisServer[];
  /** A replica of a master; `CLUSTER FAILOVER TAKEOVER` puts it in the master's place. */
  addReplica(master: RedisServer): Promise<RedisServer>;
  /** A connected cluster client with an `error` listener; `stop` closes it. */
  client(): Promise<RedisClusterClient>;
  slotOf(key: string): Promise<number>;
  /** The master that serves a slot, as the cluster has it now. */
  masterOf(slot: number): Promise<RedisServer>;
  stop(): Promise<void>;
}

export type RedisClusterClient = ReturnType<typeof newClient>;

/**
 * Starts masters on free loopback ports and makes a cluster of them. A master that is gone takes its own slots with it,
 * and no others (`cluster-require-full-coverage no`).
 */
export async function startCluster(size = 3): Promise<RedisCluster> {
  const masters = await Promise.all(Array.from({ length: size }, startNode));
  const replicas: RedisServer[] = [];
  const clients: RedisClusterClient[] = [];
  const cluster: RedisCluster = {
    masters,
    async addReplica(master) {
      const replica = await startNode();
      replicas.push(replica);
      const alive = masters.filter(({ pid }) => isAlive(pid));
      for (const each of alive) await meet(replica, each);
      await replicate(replica, master);
      for (const each of alive) await hasReplica(each, replica);
      return replica;
    },
    async client() {
      const client = newClient(masters);
      client.on('error', () => {});
      clients.push(client);
      await client.connect();
      return client;
    },
    slotOf: async (key) => Number(await someone(masters).cli('CLUSTER', 'KEYSLOT', key)),
    async masterOf(slot) {
      const owner = (await viewOf(someone(masters))).find(({ slots }) =>
        slots.some(([a, b]) => a <= slot && slot <= b),
      );
      const master = masters.find(({ port }) => port === owner?.port);
      if (master === undefined) throw new Error(`nobody serves slot ${slot}`);
      return master;
    },
    async stop() {
      for (const client of clients) if (client.isOpen) client.destroy();
      await Promise.all([...masters, ...replicas].map((node) => node.stop()));
    },
  };
  try {
    await join(masters);
    return cluster;
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}

function newClient(masters: readonly RedisServer[]) {
  return createCluster({
    rootNodes: masters.map(({ url }) => ({ url })),
    // How long a node may be away before the client asks the others who has its slots now; usually five seconds.
    topologyRefreshOnReconnectionAttemptStrategy: 500,
  });
}

async function startNode(): Promise<RedisServer> {
  const settings = {
    'cluster-enabled': 'yes',
    // The default is the port and ten thousand: there another's outgoing connection may be.
    'cluster-port': String(await freePort()),
    'cluster-announce-ip': '127.0.0.1',
    'cluster-require-full-coverage': 'no',
    'repl-diskless-sync-delay': '0',
    // A test's machine may stand still for a while: nobody is to be given up for that.
    'cluster-node-timeout': '5000',
  };
  return startRedis({ args: Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]) });
}

async function join(masters: readonly RedisServer[]): Promise<void> {
  const share = SLOTS / masters.length;
  for (const [at, master] of masters.entries()) {
    const [first, last] = [Math.ceil(at * share), Math.ceil((at + 1) * share) - 1];
    await must(master, 'CLUSTER', 'ADDSLOTSRANGE', String(first), String(last));
    await must(master, 'CLUSTER', 'SET-CONFIG-EPOCH', String(at + 1));
  }
  const [first, ...others] = masters as [RedisServer, ...RedisServer[]];
  for (const other of others) await meet(other, first);
  for (const master of masters) await knows(master, masters.length);
}

async function meet(one: RedisServer, other: RedisServer): Promise<void> {
  const [, busPort = ''] = (await other.cli('CONFIG', 'GET', 'cluster-port')).split('\n');
  await must(one, 'CLUSTER', 'MEET', '127.0.0.1', String(other.port), busPort);
}

async function replicate(replica: RedisServer, master: RedisServer): Promise<void> {
  const id = await master.cli('CLUSTER', 'MYID');
  await vi.waitFor(() => must(replica, 'CLUSTER', 'REPLICATE', id), PATIENCE);
  const place = async () => {
    const said = await replica.cli('INFO', 'replication');
    return said.includes('master_link_status:up') ? Number(/slave_repl_offset:(\d+)/.exec(said)?.[1]) : 0;
  };
  // Its link is up a second before it is sent what is written; what is written here is a heartbeat at least.
  const first = await vi.waitUntil(place, PATIENCE);
  await vi.waitUntil(async () => (await place()) > first, PATIENCE);
}

/** Waits until a node knows of a replica: only then can it hear that it took over. */
async function hasReplica(node: RedisServer, { port }: RedisServer): Promise<void> {
  const line = new RegExp(`:${port}@\\S* (myself,)?slave `);
  await vi.waitUntil(async () => line.test(await node.cli('CLUSTER', 'NODES')), PATIENCE);
}

/** Waits until a master knows who serves each slot. */
async function knows(master: RedisServer, size: number): Promise<void> {
  await vi.waitUntil(async () => {
    const view = await viewOf(master);
    const slots = view.flatMap((node) => node.slots).reduce((sum, [from, to]) => sum + to - from + 1, 0);
    const whole = view.length === size && slots === SLOTS;
    return whole && (await master.cli('CLUSTER', 'INFO')).includes('cluster_state:ok');
  }, PATIENCE);
}

/** Who serves which slots, as one of them has it. */
async function viewOf(master: RedisServer): Promise<{ port: number; slots: [from: number, to: number][] }[]> {
  const lines = (await master.cli('CLUSTER', 'NODES')).split('\n');
  return lines.map((line) => {
    const [, address = '', , , , , , , ...ranges] = line.split(' ');
    const slots = ranges.flatMap((range): [number, number][] => {
      // What is on its way is in brackets.
      const [, from, to = from] = /^(\d+)(?:-(\d+))?$/.exec(range) ?? [];
      return from === undefined ? [] : [[Number(from), Number(to)]];
    });
    return { port: Number(/:(\d+)@/.exec(address)?.[1]), slots };
  });
}

/**
 * Moves a slot as an operator's tool does, but key by key: `between` is called before each, while the keys are partly here
 * and partly there.
 */
export async function migrate(
  { masters }: RedisCluster,
  slot: number,
  { from, to, between }: { from: RedisServer; to: RedisServer; between: () => Promise<void> },
): Promise<void> {
  const [source, target] = [await from.cli('CLUSTER', 'MYID'), await to.cli('CLUSTER', 'MYID')];
  await must(to, 'CLUSTER', 'SETSLOT', String(slot), 'IMPORTING', source);
  await must(from, 'CLUSTER', 'SETSLOT', String(slot), 'MIGRATING', target);
  for (;;) {
    await between();
    const key = await from.cli('CLUSTER', 'GETKEYSINSLOT', String(slot), '1');
    if (key === '') break;
    await must(from, 'MIGRATE', '127.0.0.1', String(to.port), '', '0', '5000', 'KEYS', key);
  }
  const others = masters.filter((each) => each !== from && each !== to);
  for (const each of [to, from, ...others]) await must(each, 'CLUSTER', 'SETSLOT', String(slot), 'NODE', target);
}

async function must(server: RedisServer, ...command: readonly string[]): Promise<void> {
  const answer = await server.cli(...command);
  if (answer !== 'OK') throw new Error(`${command.join(' ')}: ${answer}`);
}

function someone(masters: readonly RedisServer[]): RedisServer {
  const alive = masters.find(({ pid }) => isAlive(pid));
  if (alive === undefined) throw new Error('no master is left');
  return alive;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
