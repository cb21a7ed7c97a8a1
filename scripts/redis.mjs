import { spawnSync } from 'node:child_process';
import { run } from './command.mjs';

/** The tests speak to a real Redis: finds a redis-server on the PATH, or installs one. Ends this process if there is none. */
export function provideRedis() {
  if (exists('redis-server')) return;
  console.log('No redis-server on the PATH: installing one …');
  install();
  if (exists('redis-server')) return;
  console.error(
    'The tests need a redis-server (6.2 or newer) on the PATH, and it could not be installed here. Install it ' +
      '(Debian, Ubuntu: sudo apt-get install redis-server; macOS: brew install redis; else: https://redis.io/downloads), ' +
      'then run npm test again. It need not be running: each test file starts its own.',
  );
  process.exit(1);
}

function install() {
  if (exists('apt-get')) {
    // As root, or as somebody who may become root without being asked.
    const sudo = process.getuid?.() === 0 ? ['env'] : ['sudo', '-n', 'env'];
    const aptGet = [...sudo, 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '-qq', '-o', 'Dpkg::Use-Pty=0'];
    runAll([...aptGet, 'update'], [...aptGet, 'install', '-y', '--no-install-recommends', 'redis-server']);
  } else if (exists('brew')) {
    runAll(['brew', 'install', 'redis']);
  }
}

/** @param {readonly string[][]} commands */
function runAll(...commands) {
  for (const [command = '', ...args] of commands) run(command, ...args);
}

/** @param {string} command */
function exists(command) {
  return spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;
}
