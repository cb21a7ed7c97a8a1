import { RedisStore } from 'connect-redis';
import type { LoginStore, RowUpdate } from './ports.ts';
import { inBatches, isRefusal, type RedisCommands } from './redis-connection.ts';
import { UPDATE_ROW } from './redis-login-scripts.ts';

type Rows = Pick<LoginStore, 'createRow' | 'updateRow' | 'putRow' | 'touchRow' | 'dropRow' | 'allRows'>;

/** Session rows in Redis, in connect-redis' own format. `rowPrefix` is what all their keys begin with. */
export function redisRows(commands: RedisCommands, rowKey: (id: string) => string, rowPrefix: string): Rows {
  const rows = new RedisStore({ client: scanningView(commands), prefix: rowPrefix, serializer: asText });
  return {
    async createRow(id, row, life) {
      return (await commands.command(rowKey(id), 'SET', rowKey(id), row, 'PX', life, 'NX')) !== null;
    },
    async updateRow(id, expected, row, life): Promise<RowUpdate> {
      const [outcome, standing] = await commands.run(UPDATE_ROW, [rowKey(id)], [expected, row, life]);
      return outcome === 'conflict' ? { outcome, row: standing } : { outcome };
    },
    async putRow(id, row, life) {
      await commands.command(rowKey(id), 'SET', rowKey(id), row, 'PX', life);
    },
    async touchRow(id, life) {
      await commands.command(rowKey(id), 'PEXPIRE', rowKey(id), life);
    },
    async dropRow(id) {
      await commands.command(rowKey(id), 'DEL', rowKey(id));
    },
    async allRows() {
      const all = (await rows.all()) as { id: string; row: string }[];
      // What connect-redis cuts off is the prefix; the brace of the hash tag is ours to cut.
      return all.map(({ id, row }) => ({ id: id.slice(0, -1), row }));
    },
  };
}

// Rows go through as they are; whoever asked for them knows how to read them.
const asText = {
  parse: (row: string): never => ({ row }) as never,
  stringify: (row: unknown) => String(row),
};

/** What connect-redis needs of a client to list rows: scans of each primary, and reads that may span slots. */
function scanningView(commands: RedisCommands) {
  return {
    async *scanIterator({ MATCH, COUNT }: { MATCH: string; COUNT: number }): AsyncGenerator<string[]> {
      for (const node of commands.primaries()) {
        let cursor = '0';
        do {
          const [next, keys] = await node('SCAN', cursor, 'MATCH', MATCH, 'COUNT', COUNT);
          cursor = String(next);
          yield keys;
        } while (cursor !== '0');
      }
    },
    mGet: (keys: string[]) => inBatches(keys, (key) => commands.command(key, 'GET', key).catch(noRow)),
  };
}

// A key of another type is no row.
function noRow(error: unknown): null {
  if (isRefusal(error, 'WRONGTYPE')) return null;
  throw error;
}
