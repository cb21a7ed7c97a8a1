import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** The folder of the project. */
export const root = fileURLToPath(new URL('..', import.meta.url));

/**
 * Runs a command in the project's folder, its output shown, and gives its exit code.
 * @param {string} command
 * @param {readonly string[]} args
 * @returns {number}
 */
export function run(command, ...args) {
  return spawnSync(command, args, { cwd: root, stdio: 'inherit' }).status ?? 1;
}

/**
 * Runs a Node program, given by its file.
 * @param {string} file
 * @param {readonly string[]} args
 */
export function runNode(file, ...args) {
  return run(process.execPath, file, ...args);
}

/**
 * Ends this process unless the command went well.
 * @param {number} code
 * @param {string} complaint
 */
export function must(code, complaint) {
  if (code === 0) return;
  console.error(complaint);
  process.exit(code);
}
