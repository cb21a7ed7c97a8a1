import { existsSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { must, root, runNode } from './command.mjs';

/** Compiles lib/ to dist/, unless it is up to date. */
export function buildLibrary() {
  build({ project: 'tsconfig.json', output: 'dist', sources: ['lib', 'tsconfig.json', 'package-lock.json'] });
}

/** Compiles example-app/ to build/example-app/, unless it is up to date. */
export function buildExampleApp() {
  build({ project: 'example-app', output: 'build/example-app', sources: ['example-app', 'dist', 'tsconfig.json'] });
}

/** @param {{ project: string, output: string, sources: readonly string[] }} what */
function build({ project, output, sources }) {
  const done = changedAt(output);
  if (done > 0 && done >= Math.max(...sources.map(changedAt))) return;
  console.log(`Building ${output} …`);
  // Beside it first, then in its place as a whole: what was interrupted must not pass for built, nor what was renamed or
  // removed live on in the package.
  const fresh = `build/fresh-${process.pid}`;
  const code = runNode('node_modules/typescript/bin/tsc', '-p', project, '--noEmitOnError', '--outDir', fresh);
  must(code, `${output} could not be built.`);
  rmSync(join(root, output), { recursive: true, force: true });
  renameSync(join(root, fresh), join(root, output));
}

/**
 * When a file, or anything in a folder, last changed; 0 where nothing is. A folder counts itself: it changes when a
 * file goes.
 * @param {string} path
 * @returns {number}
 */
function changedAt(path) {
  const full = join(root, path);
  if (!existsSync(full)) return 0;
  const inside = statSync(full).isDirectory() ? readdirSync(full) : [];
  return Math.max(statSync(full).mtimeMs, ...inside.map((name) => changedAt(join(path, name))));
}
