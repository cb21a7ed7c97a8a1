import type { Commands } from './commands.ts';
import type { DoorName } from './doors.ts';
import type { Expired, Held } from './entries.ts';
import type { Results } from './results.ts';
import type { Spread } from './statistics.ts';

const NAMES: Readonly<Record<DoorName, string>> = {
  bare: 'no authentication',
  jwt: 'portcullis, `jwtAuth`',
  hybrid: 'portcullis, `hybridAuth`',
  expiry: 'express-jwt, wait for expiry',
  lookup: 'express-jwt, a GET of Redis per request',
};

/** The results as a page to read; `npm run bench:revocation` writes it. */
export function report(results: Results): string {
  return [
    '# Revocation: the numbers',
    about(results),
    latency(results),
    commands(results),
    costs(results),
    entries(results),
    catchUp(results),
  ]
    .join('\n\n')
    .concat('\n');
}

function about({ machine, options }: Results): string {
  const warning = options.quick
    ? '\n\n**A quick run: it shows that the bench works, and its numbers mean nothing.**'
    : '';
  return (
    `Written by \`npm run bench:revocation\` on ${machine.date}: ${machine.cores} cores (${machine.cpu}), ` +
    `${machine.memory}, Node ${machine.node}, Redis ${machine.redis}. Servers, loader and Redis share that machine; ` +
    `its load average before was ${machine.busy.toFixed(1)}.${warning}`
  );
}

function latency({ latency: { jwt, lookup, lifetime }, options }: Results): string {
  const row = (name: string, { count, p50, p99, max }: Spread) =>
    `| ${name} | ${[p50, p99, max].map((value) => value.toFixed(1)).join(' | ')} | ${count} |`;
  return `## From a revocation to its refusal in every other process, in ms

| | p50 | p99 | max | measured |
|---|---|---|---|---|
${row('portcullis, from when `revokeToken` was called', jwt.fromCall)}
${row('portcullis, from when it resolved', jwt.fromResolved)}
${lookup === undefined ? '' : `${row('lookup per request, from when the denylist was written to', lookup.fromCall)}\n`}\
| wait for expiry (tokens of ${lifetime / 60_000} min, revoked at any moment of their life) | ${lifetime / 2} | ${lifetime * 0.99} | ${lifetime} | by arithmetic |

![latency](latency.svg)

${options.processes} server processes under as many requests as they could answer (${jwt.load} a second in all, from a loader
with ${options.connections} to each, each with one request under way). Every process revoked its share of ${options.revocations} tokens, ${options.rate} a second in all, at random
moments. Each other process was told by \`onEnd\`, then tried the token with its own mode's \`authenticate\`; the time is that of
the refusal, by the one monotonic clock of the machine. So it is no earlier than a request would have been refused. Where a
value is below zero, the other process refused before the promise of the one that revoked had resolved. With a lookup
per request nobody is told: the other processes asked Redis for the one token again and again, so theirs is the time of two
round trips; what it costs is that every request makes one of them.

Sent by HTTP to each process a second after the last revocation: ${list(jwt.afterOneSecond)}. Never refused by some process: ${jwt.missed}.
Revocations that rejected because Redis did not answer within 250 ms (they are tried again): ${jwt.rejected}.`;
}

function commands({ commands: { jwt, hybrid, lookup } }: Results): string {
  const row = (door: DoorName, { perRequest, requests, perIdleSecond, insideScriptsPerIdleSecond }: Commands) =>
    `| ${NAMES[door]} | ${perRequest.toFixed(3)} | ${requests} | ${perIdleSecond.toFixed(2)} | ${insideScriptsPerIdleSecond.toFixed(2)} |`;
  return `## Redis commands (\`INFO commandstats\`)

| | sent per request | requests | sent per idle second and process | run inside the scripts by these |
|---|---|---|---|---|
${row('jwt', jwt)}
${row('hybrid', hybrid)}${lookup === undefined ? '' : `\n${row('lookup', lookup)}`}

What a server sends per idle second is its heartbeat; the column per request is what came on top of it under load.`;
}

function costs({ costs }: Results): string {
  const of = (door: DoorName) => costs.find((cost) => cost.door === door);
  const ratio = (value: number, base = Number.NaN) => `${(value / base).toFixed(2)} ×`;
  const rows = costs.map(
    ({ door, cpu, throughput }) =>
      `| ${NAMES[door]} | ${cpu.toFixed(0)} | ${ratio(cpu, of('bare')?.cpu)} | ${ratio(cpu, of('jwt')?.cpu)} | ` +
      `${throughput.toFixed(0)} | ${ratio(throughput, of('bare')?.throughput)} |`,
  );
  return `## What a request costs

| | CPU µs a request | against no authentication | against \`jwtAuth\` | requests a second, one process | against no authentication |
|---|---|---|---|---|---|
${rows.join('\n')}

Express 5, a small JSON answer, HS256, 200 tokens in turn, 8 connections; the median of rounds in which all had their turns one
after the other. express-jwt was given a ready KeyObject. portcullis remembers tokens it has verified, and asks of each again
whether it expired or was revoked.`;
}

function entries({ held, expired, cutOffs }: Results): string {
  const row = (of: string, { entries, bytes, check, authenticate, lookup, firstRead }: Held) =>
    `| ${entries.toLocaleString('en')} ${of} | ${(bytes / 1024 ** 2).toFixed(1)} MiB | ${(bytes / entries).toFixed(0)} | ${check.toFixed(0)} ns | ` +
    `${(authenticate / 1_000).toFixed(2)} µs | ${(lookup / 1_000).toFixed(0)} µs | ${firstRead.toFixed(0)} ms |`;
  return `## Many live revocations in one process

| live | memory | bytes each | revoked or not | whole recognition | a GET of Redis | first reading |
|---|---|---|---|---|---|---|
${held.map((one) => row('tokens', one)).join('\n')}
${row('subjects', cutOffs.held)}

Memory is what the heap and typed arrays grew by (after garbage collection), fixed costs of the store included: they are what
the fewest entries show. The whole recognition is \`authenticate\` for a token met before. Of subjects everything was taken
back but one login of each.

![check time](check-time.svg)

${expiry('tokens', expired)}

${expiry('subjects', cutOffs.expired)}`;
}

function expiry(of: string, { entries, left, seconds, sweep, stall, stallWithout }: Expired): string {
  return `While ${entries.toLocaleString('en')} ${of} expired within ${seconds.toFixed(0)} s (${left} left at the end), forgetting them took at most ${sweep.toFixed(1)} ms of CPU in one
turn of the event loop. The loop's longest delay meanwhile was ${stall.longest.toFixed(1)} ms (99.9 %: ${stall.p999.toFixed(1)} ms); for as long with nothing to expire, on the
same machine, ${stallWithout.longest.toFixed(1)} ms (99.9 %: ${stallWithout.p999.toFixed(1)} ms).`;
}

function catchUp({ catchUp }: Results): string {
  const rows = catchUp.map(
    ({ how, seconds, revocations, caughtUp, accepted }) =>
      `| ${how === 'frozen' ? 'stopped (SIGSTOP)' : 'connection refused'} | ${seconds.toFixed(0)} s | ${revocations} | ${caughtUp.toFixed(0)} ms | ${accepted} |`,
  );
  return `## One process cut off, and back

| how | for | revoked meanwhile | knew all after | of 100 of those tokens, not refused then |
|---|---|---|---|---|
${rows.join('\n')}

Counted from the end of the cut; where the connection was refused, the wait of the Redis client before it tries again is part of it.`;
}

function list(statuses: Readonly<Record<string, number>>): string {
  return Object.entries(statuses)
    .map(([status, count]) => `${count} answers ${status}`)
    .join(', ');
}
