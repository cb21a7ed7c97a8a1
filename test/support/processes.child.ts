import { getAuth } from 'portcullis';
import { serveCalls, startProcess } from './processes.ts';
import { startRedis } from './redis-server.ts';

serveCalls({
  about: () => ({ pid: process.pid, colour: process.env.COLOUR, args: process.argv.slice(2) }),
  echo: async (value) => value,
  refuse: () => getAuth({}),
  async startOthers() {
    const others = [await startProcess(new URL(import.meta.url)), await startRedis()];
    for (const other of others) other.freeze();
    return others.map(({ pid }) => pid);
  },
});
