import { spawn } from 'node:child_process';

/**
 * Sees to it that a process of ours ends when we do, however we end, SIGKILL included, and though it be frozen; its
 * `folder` goes with it. Gives the function that calls it off.
 */
export function endWithUs(pid: number, folder = ''): () => void {
  // The shell reads until our end of the pipe closes. A process group of its own keeps it out of reach of Ctrl-C.
  const shell = spawn('sh', ['-c', 'read _; kill -9 "$0"; rm -rf "$1"', String(pid), folder], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  shell.unref();
  // A pipe keeps the event loop alive too.
  (shell.stdin as unknown as { unref(): void }).unref();
  return () => shell.kill('SIGKILL');
}
