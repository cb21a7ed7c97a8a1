import { redisStore } from 'portcullis';
import { createClient } from 'redis';
import { loginsOf } from '../store/new-login.ts';
import { serveCalls } from '../support/processes.ts';

const client = createClient({ url: process.env.REDIS_URL as string });
client.on('error', () => {});
await client.connect();
const logins = loginsOf(redisStore(client, { timeout: '5s' }));

serveCalls({
  async rotate(sid: string, generation: number, times: number) {
    const request = { sid, generation, grace: 1_000, soft: false };
    const answers = await Promise.all(Array.from({ length: times }, () => logins.rotate(request)));
    return answers.map((answer) =>
      answer.outcome === 'valid' ? [answer.generation, answer.renewed] : [answer.outcome],
    );
  },
});
