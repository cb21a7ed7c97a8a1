import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { must, root, run, runNode } from './command.mjs';

/** Installs what package-lock.json names, unless it is there. */
export function installDependencies() {
  if (areInstalled()) return;
  console.log('Installing dependencies (npm ci) …');
  // npm says where it is, and only so can it be run without a shell on every system.
  const npm = process.env.npm_execpath;
  must(npm === undefined ? run('npm', 'ci') : runNode(npm, 'ci'), 'npm ci failed.');
}

/** By content, not by date: npm writes both lists at the same moment, and git dates files as it pleases. */
function areInstalled() {
  const there = packages('node_modules/.package-lock.json');
  return Object.entries(packages('package-lock.json')).every(
    // What is optional may be for another system.
    ([path, { version, optional }]) => path === '' || optional || there[path]?.version === version,
  );
}

/**
 * @param {string} list
 * @returns {Record<string, { version?: string, optional?: boolean }>}
 */
function packages(list) {
  try {
    return JSON.parse(readFileSync(join(root, list), 'utf8')).packages;
  } catch {
    return {};
  }
}
