import type { RedisConnection } from './redis-connection.ts';

/** What a node-redis cluster has besides what every client has. */
export interface ClusterConnection extends RedisConnection {
  readonly masters: readonly ClusterNode[];
  /** By slot; none of a slot that nobody serves. */
  readonly slots: readonly ({ readonly master: ClusterNode } | undefined)[];
  nodeClient(node: ClusterNode): Promise<RedisConnection>;
}

/** A server of a cluster, and the connection to it once there is one. */
export interface ClusterNode {
  readonly client?: { readonly isReady?: boolean } | undefined;
  /** While it connects for the first time. */
  readonly connectPromise?: unknown;
}

export function isCluster(client: RedisConnection): client is ClusterConnection {
  return 'slots' in client && 'masters' in client;
}

/** The hash slot of a key that has a hash tag, as ours all do (Redis Cluster specification: CRC16 of the tag, modulo 16384). */
export function slotOf(key: string): number {
  let crc = 0;
  for (const byte of Buffer.from(key.slice(key.indexOf('{') + 1, key.indexOf('}')))) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1) & 0xffff;
  }
  return crc & 0x3fff;
}
