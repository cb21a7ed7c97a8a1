import { afterAll } from 'vitest';

// An error that nobody caught would end a real server: it fails the file in which it happened, not only the run.
const strays: unknown[] = [];
process.on('unhandledRejection', (reason) => strays.push(reason));
process.on('uncaughtException', (error) => strays.push(error));

afterAll(async () => {
  // Node tells of a rejection once the microtasks of its turn are done.
  await new Promise(setImmediate);
  if (strays.length > 0) throw new AggregateError(strays, `nobody caught: ${strays.map(String).join('; ')}`);
});
