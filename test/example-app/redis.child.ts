import { findRedis } from '../../example-app/redis.ts';
import { serveCalls } from '../support/processes.ts';

serveCalls({
  async find() {
    const { url, say } = await findRedis();
    return { url, say };
  },
});
