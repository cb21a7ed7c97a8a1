import { cpus, loadavg, totalmem } from 'node:os';

/** What the numbers were measured on. */
export interface Machine {
  readonly cores: number;
  readonly cpu: string;
  readonly memory: string;
  readonly node: string;
  readonly redis: string;
  readonly date: string;
  /** How many programs wanted to run in the minute before (load average): what else the machine was busy with. */
  readonly busy: number;
}

export function describeMachine(redisInfo: string): Machine {
  return {
    cores: cpus().length,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    memory: `${Math.round(totalmem() / 1024 ** 3)} GiB`,
    node: process.version,
    redis: /redis_version:(\S+)/.exec(redisInfo)?.[1] ?? 'unknown',
    date: new Date().toISOString().slice(0, 10),
    busy: loadavg()[0] ?? Number.NaN,
  };
}
