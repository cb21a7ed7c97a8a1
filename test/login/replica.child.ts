import { redisStore } from 'portcullis';
import { createClient } from 'redis';
import { idOf } from '../../lib/login/revocation.ts';
import { serveCalls } from '../support/processes.ts';
import { knows, replicaOf, revoke } from './taken-back.ts';

const client = createClient({ url: process.env.REDIS_URL as string });
client.on('error', () => {});
void client.connect();
const store = redisStore(client, { prefix: process.env.PREFIX ?? 'portcullis:', timeout: '2s', maxStaleness: '1s' });
const replica = replicaOf(store);

serveCalls({
  ready: () => store.ready(),
  clock: () => Date.now(),
  revoke: (jti: string) => revoke(store, jti),
  revokeSubject: (subject: string) => store.revokeSubject(subject),
  knows: (jti: string) => knows(store, jti),
  async knowsOnceSettled(jti: string) {
    await replica.settle();
    return knows(store, jti);
  },
  /** The stamp of a token issued now, by the store's clock. */
  stamp: () => Math.floor(replica.clock.now()),
  isDead(subject: string, stamp: number) {
    const subjects = [idOf.subject(undefined, subject)];
    return replica.revocations.reach({ subjects, stamp, issuedAt: 0, leeway: 0 });
  },
});
