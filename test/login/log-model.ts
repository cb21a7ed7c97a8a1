import { setTimeout as sleep } from 'node:timers/promises';
import { type AuthStore, redisStore } from 'portcullis';
import { expect } from 'vitest';
import { randomFrom } from '../support/random.ts';
import type { RedisClient, RedisServer } from '../support/redis-server.ts';
import { knows, revoke } from './taken-back.ts';

interface Instance {
  readonly store: AuthStore;
  readonly client: RedisClient;
}

const INSTANCES = 4;
const PREFIX = 'model:';

/**
 * One life of the log: processes that revoke, start and end, while connections are killed, bells are lost and keys or all
 * data go. What was acknowledged has to be learnt by all, as long as one process that knew it lived whenever the log was lost.
 */
export async function playLog(redis: RedisServer, seed: number): Promise<void> {
  const random = randomFrom(seed);
  const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(random() * items.length)] as Item;
  const operator = await redis.client();
  const told = [`seed ${seed}`];
  const instances: Instance[] = await Promise.all(Array.from({ length: INSTANCES }, () => start(redis)));
  await Promise.all(instances.map(({ store }) => store.ready()));
  // What must not be lost; what fails counts only while the process lives that still owes it.
  let acknowledged: string[] = [];
  let names = 0;
  let lost = false;

  const keepWhatIsKnown = () => {
    acknowledged = acknowledged.filter((jti) => instances.some(({ store }) => knows(store, jti)));
  };
  const lose =
    (...command: string[]) =>
    async () => {
      keepWhatIsKnown();
      lost = true;
      await operator.sendCommand(command);
    };
  const set = `${PREFIX}{log}:set`;
  const newsKey = `${PREFIX}{log}:news`;
  const kill = (type: string) => () => operator.sendCommand(['CLIENT', 'KILL', 'SKIPME', 'yes', 'TYPE', type]);
  const deeds: Record<string, () => Promise<unknown>> = {
    async revoke() {
      const jti = `token-${names++}`;
      await revoke(pick(instances).store, jti).then(
        () => acknowledged.push(jti),
        () => told.push('(failed)'),
      );
    },
    async revokeAtOnce() {
      await Promise.all(Array.from({ length: 8 }, () => deeds['revoke']?.()));
    },
    killAll: kill('normal'),
    killHearers: kill('pubsub'),
    async deafen() {
      await pick(instances)
        .client.unsubscribe(`${PREFIX}bell`)
        .catch(() => {});
    },
    loseAll: lose('FLUSHALL'),
    loseSet: lose('DEL', set),
    loseNews: lose('DEL', newsKey),
    loseLog: lose('DEL', set, newsKey),
    trimNews: lose('XTRIM', newsKey, 'MAXLEN', '2'),
    forgetScripts: () => operator.sendCommand(['SCRIPT', 'FLUSH']),
    async restart() {
      const [gone] = instances.splice(Math.floor(random() * instances.length), 1) as [Instance];
      await end(gone);
      if (lost) keepWhatIsKnown();
      instances.push(await start(redis));
    },
    wait: () => sleep(random() * 120),
    async rest() {
      await allKnow();
      lost = false;
    },
  };
  const allKnow = async () => {
    for (const { store } of instances) {
      await expect
        .poll(() => acknowledged.filter((jti) => !knows(store, jti)), {
          timeout: 5_000,
          interval: 10,
          message: told.join('\n'),
        })
        .toEqual([]);
    }
  };

  try {
    const names = [...Object.keys(deeds), 'revoke', 'revoke', 'revoke', 'revokeAtOnce', 'restart', 'wait', 'wait'];
    for (let step = 0; step < 40; step++) {
      const name = pick(names);
      told.push(name);
      await deeds[name]?.();
    }
    await allKnow();
    const newcomer = await start(redis);
    instances.push(newcomer);
    await newcomer.store.ready();
    await allKnow();
  } finally {
    await Promise.all(instances.map(end));
    operator.destroy();
  }
}

async function start(redis: RedisServer): Promise<Instance> {
  const client = await redis.client({ socket: { reconnectStrategy: 20 } });
  return { client, store: redisStore(client, { prefix: PREFIX, timeout: '2s', maxStaleness: '1s' }) };
}

async function end({ store, client }: Instance): Promise<void> {
  await store.close();
  client.destroy();
}
