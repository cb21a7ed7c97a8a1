import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startProcess, type TestProcess } from './processes.ts';

const MODULE = new URL('./processes.child.ts', import.meta.url);

let child: TestProcess;
beforeAll(async () => {
  child = await startProcess(MODULE, { env: { COLOUR: 'red' }, args: ['large'] });
});
afterAll(() => child.stop());

test('a call is answered by the other process, which has its own environment and arguments', async () => {
  expect(await child.call('about')).toEqual({ pid: child.pid, colour: 'red', args: ['large'] });
  expect(child.pid).not.toBe(process.pid);
});

test('dates arrive as dates', async () => {
  expect(await child.call('echo', new Date(5))).toEqual(new Date(5));
});

test('what the process throws is thrown here, with code and status: and portcullis means lib/ there', async () => {
  const { name, message, code, status } = await child.call('refuse').catch((error) => error);
  expect({ name, message, code, status }).toEqual({
    name: 'Unauthenticated',
    message: 'authentication is required',
    code: 'unauthenticated',
    status: 401,
  });
  await expect(child.call('nothing')).rejects.toThrow('no call "nothing", there is about');
});

test('a frozen process answers once it is thawed', async () => {
  child.freeze();
  const answer = child.call('echo', 'hello');
  expect(await Promise.race([answer, sleep(200, 'nothing')])).toBe('nothing');
  child.thaw();
  expect(await answer).toBe('hello');
});

test('stop ends a process, frozen or not; a call under way and a later one fail', async () => {
  const other = await startProcess(MODULE);
  other.freeze();
  const refused = expect(other.call('echo')).rejects.toThrow('ended before it answered');
  await other.stop();
  await refused;
  await expect(other.call('echo')).rejects.toThrow('has ended');
  expect(() => process.kill(other.pid, 0)).toThrow('ESRCH');
});

test('when the process that started them ends, by whatever, so do a process and a redis-server, though frozen', async () => {
  const parent = await startProcess(MODULE);
  const pids: number[] = await parent.call('startOthers');
  for (const pid of pids) process.kill(pid, 0);
  process.kill(parent.pid, 'SIGKILL');
  await expect.poll(() => pids.filter(isRunning), { timeout: 10_000 }).toEqual([]);
  await parent.stop();
});

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
