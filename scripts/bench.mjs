// npm run bench:revocation: installs what it is measured against, builds the library, measures. What is added goes to the
// bench: npm run bench:revocation -- --quick
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { must, root, run, runNode } from './command.mjs';
import { installDependencies } from './dependencies.mjs';
import { buildLibrary } from './output.mjs';
import { provideRedis } from './redis.mjs';

const [name = '', ...args] = process.argv.slice(2);

installDependencies();
buildLibrary();
provideRedis();
if (!existsSync(join(root, 'bench/node_modules'))) {
  const npm = process.env.npm_execpath;
  const install = ['ci', '--prefix', 'bench'];
  must(npm === undefined ? run('npm', ...install) : runNode(npm, ...install), 'npm ci failed in bench/.');
}
process.exit(runNode('--import=tsx', `bench/${name}/run.ts`, ...args));
