// npm run bench:revocation: how fast a revocation is known everywhere, and what that costs.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type RedisServer, startRedis } from '../../test/support/redis-server.ts';
import { countCommands } from './commands.ts';
import { measureCosts } from './cost.ts';
import { measureCatchUp } from './cut.ts';
import { havePeers } from './doors.ts';
import { measureEntries } from './entries.ts';
import { measureAskedLatency, measureLatency } from './latency.ts';
import { describeMachine } from './machine.ts';
import { type BenchOptions, readOptions } from './options.ts';
import { report } from './report.ts';
import type { Results } from './results.ts';
import { LIFETIME } from './tokens.ts';

const options = readOptions(process.argv.slice(2));
const redis = await startRedis();
try {
  const results = await measure(redis, options);
  await mkdir(options.out, { recursive: true });
  await writeFile(join(options.out, 'results.json'), `${JSON.stringify(results, null, 2)}\n`);
  await writeFile(join(options.out, 'results.md'), report(results));
  if (await havePeers()) {
    const { drawPlots } = await import('./plots.ts');
    for (const [name, svg] of Object.entries(await drawPlots(results))) await writeFile(join(options.out, name), svg);
  } else console.log('No plots and no peers: npm ci in bench/ installs what draws them.');
  console.log(`Written to ${options.out}`);
} finally {
  await redis.stop();
}

async function measure(redis: RedisServer, options: BenchOptions): Promise<Results> {
  const { processes, quick } = options;
  const peers = !quick && (await havePeers());
  const counted = { processes, seconds: quick ? 0.5 : 10 };
  const { out: _, ...asked } = options;
  return {
    machine: describeMachine(await redis.cli('INFO', 'server')),
    options: asked,
    latency: {
      jwt: await step('latency', () => measureLatency('jwt', redis.url, options)),
      lookup: peers
        ? await step('latency of a lookup per request', () =>
            measureAskedLatency('lookup', redis.url, { ...options, revocations: Math.ceil(options.revocations / 10) }),
          )
        : undefined,
      lifetime: LIFETIME,
    },
    commands: {
      jwt: await step('commands', () => countCommands('jwt', redis.url, counted)),
      hybrid: await step('commands', () => countCommands('hybrid', redis.url, counted)),
      lookup: peers ? await step('commands', () => countCommands('lookup', redis.url, counted)) : undefined,
    },
    costs: await step('cost of a request', () => measureCosts(redis.url, options, peers)),
    catchUp: [
      await step('a process cut off', () => measureCatchUp(redis, 'frozen', options)),
      await step('a process cut off', () => measureCatchUp(redis, 'refused', options)),
    ],
    ...(await step('many entries', () => measureEntries(options))),
  };
}

async function step<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
  console.log(`Measuring: ${name} …`);
  return work();
}
