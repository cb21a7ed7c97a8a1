import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { endWithUs } from './last-will.ts';

/** Another process of the application under test. */
export interface TestProcess {
  readonly pid: number;
  /** Calls what the process gave to `serveCalls`. What it throws is thrown here, with its name, message, code and status. */
  call(name: string, ...args: readonly unknown[]): Promise<any>;
  /** It stands still, its connections open (SIGSTOP), until `thaw`. */
  freeze(): void;
  thaw(): void;
  stop(): Promise<void>;
}

type Call = (...args: any[]) => unknown;
type Question = { readonly id: number; readonly name: string; readonly args: readonly unknown[] };
type Answer = { readonly id: number; readonly value?: unknown; readonly error?: Failure };
type Failure = { readonly name: string; readonly message: string; readonly code?: unknown; readonly status?: unknown };

const READY = 'ready';

/**
 * Runs a TypeScript module as a process of its own, and waits for its `serveCalls`. 'portcullis' means lib/ there, as it
 * does in the tests. It ends with this process.
 */
export async function startProcess(
  modulePath: string | URL,
  options: { readonly env?: Readonly<Record<string, string>>; readonly args?: readonly string[] } = {},
): Promise<TestProcess> {
  const child = fork(modulePath, options.args ?? [], {
    execArgv: ['--import', import.meta.resolve('tsx')],
    env: {
      ...process.env,
      TSX_TSCONFIG_PATH: fileURLToPath(new URL('../tsconfig.json', import.meta.url)),
      ...options.env,
    },
    // Dates, Maps and bytes arrive as such.
    serialization: 'advanced',
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  await saysReady(child, modulePath);
  const callOff = endWithUs(child.pid as number);
  return {
    pid: child.pid as number,
    call: caller(child),
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
    async stop() {
      callOff();
      if (hasEnded(child)) return;
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    },
  };
}

/** In the child: answers the calls of the process that started it. */
export function serveCalls(calls: Readonly<Record<string, Call>>): void {
  process.on('message', async ({ id, name, args }: Question) => {
    try {
      const call = calls[name];
      if (call === undefined) throw new TypeError(`no call "${name}", there is ${Object.keys(calls).join(', ')}`);
      reply({ id, value: await call(...args) });
    } catch (error) {
      reply({ id, error: failureOf(error) });
    }
  });
  process.send?.(READY);
}

function reply(answer: Answer): void {
  process.send?.(answer);
}

function failureOf(error: unknown): Failure {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error) };
  const { name, message, code, status } = error as Failure;
  return { name, message, code, status };
}

function saysReady(child: ChildProcess, modulePath: string | URL): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('message', () => resolve());
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`${modulePath} ended (${code}) before it called serveCalls`)));
  });
}

function caller(child: ChildProcess): TestProcess['call'] {
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  let calls = 0;
  child.on('message', ({ id, value, error }: Answer) => {
    const { resolve, reject } = waiting.get(id) ?? {};
    waiting.delete(id);
    if (error === undefined) resolve?.(value);
    else reject?.(Object.assign(new Error(error.message), error));
  });
  child.once('exit', () => {
    for (const { reject } of waiting.values()) reject(new Error('the process ended before it answered'));
  });
  return (name, ...args) =>
    new Promise((resolve, reject) => {
      if (hasEnded(child)) throw new Error('the process has ended');
      const id = calls++;
      waiting.set(id, { resolve, reject });
      child.send({ id, name, args } satisfies Question);
    });
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}
