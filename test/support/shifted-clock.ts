import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/**
 * Runs `start` so that the programs it starts have a wall clock that differs by so many seconds. False, with nothing
 * started, where that cannot be done: it takes Linux and a C compiler.
 */
export async function withShiftedClock(seconds: number, start: () => Promise<void>): Promise<boolean> {
  const folder = await mkdtemp(join(tmpdir(), 'portcullis-clock-'));
  const library = join(folder, 'shifted-clock.so');
  const before = { ...process.env };
  try {
    if (process.platform !== 'linux' || !(await compile(library))) return false;
    Object.assign(process.env, { LD_PRELOAD: library, SHIFT_SECONDS: String(seconds) });
    await start();
    return true;
  } finally {
    for (const name of ['LD_PRELOAD', 'SHIFT_SECONDS']) {
      if (before[name] === undefined) delete process.env[name];
      else process.env[name] = before[name];
    }
    await rm(folder, { recursive: true });
  }
}

function compile(library: string): Promise<boolean> {
  const source = fileURLToPath(new URL('shifted-clock.c', import.meta.url));
  return promisify(execFile)('cc', ['-shared', '-fPIC', '-o', library, source]).then(
    () => true,
    () => false,
  );
}
