import { connect } from 'node:net';
import { serveCalls } from '../../test/support/processes.ts';
import { monotonic } from './clock.ts';

/** What is to be sent where: on each connection one request at a time, each as soon as the last was answered. */
export interface Load {
  readonly urls: readonly string[];
  readonly tokens: readonly string[];
  readonly connections: number;
  /** In all, shared by the connections; endless until `stop` if it is absent. */
  readonly requests?: number;
}

export interface Loaded {
  readonly seconds: number;
  /** How many were answered with each status. */
  readonly statuses: Readonly<Record<string, number>>;
}

let stopping = false;
let running: Promise<Loaded> | undefined;

serveCalls({
  run,
  start(load: Load) {
    stopping = false;
    running = run(load);
  },
  stop() {
    stopping = true;
    return running;
  },
  sendEach,
});

async function run({ urls, tokens, connections, requests = Number.POSITIVE_INFINITY }: Load): Promise<Loaded> {
  const statuses: Record<string, number> = {};
  let left = requests;
  const begun = monotonic();
  const lines = urls.flatMap((url) => Array.from({ length: connections }, () => new URL(url).port));
  await Promise.all(
    lines.map((port) =>
      converse(Number(port), {
        next: () => (stopping || left-- <= 0 ? undefined : tokens[Math.floor(Math.random() * tokens.length)]),
        answered(status) {
          statuses[status] = (statuses[status] ?? 0) + 1;
        },
      }),
    ),
  );
  return { seconds: (monotonic() - begun) / 1000, statuses };
}

/** Each token once to each server; gives how they were answered. */
async function sendEach(urls: readonly string[], tokens: readonly string[]): Promise<Loaded['statuses']> {
  const statuses: Record<string, number> = {};
  for (const url of urls) {
    const rest = tokens.values();
    await converse(Number(new URL(url).port), {
      next: () => rest.next().value,
      answered(status) {
        statuses[status] = (statuses[status] ?? 0) + 1;
      },
    });
  }
  return statuses;
}

interface Conversation {
  /** The token of the next request; undefined ends it. */
  next(): string | undefined;
  answered(status: string): void;
}

/** HTTP/1.1 as far as our own servers speak it: a client of more abilities would cost more than the server it measures. */
function converse(port: number, { next, answered }: Conversation): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1').setNoDelay();
    const ask = () => {
      const token = next();
      if (token === undefined) return void socket.end();
      socket.write(`GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAuthorization: Bearer ${token}\r\n\r\n`);
    };
    let received = '';
    socket.setEncoding('latin1').on('data', (text) => {
      received += text;
      const body = received.indexOf('\r\n\r\n') + 4;
      const length = /\r\ncontent-length: (\d+)/i.exec(received);
      if (body < 4 || received.length < body + Number(length?.[1] ?? 0)) return;
      answered(received.slice(9, 12));
      received = '';
      ask();
    });
    socket.once('connect', ask).once('close', () => resolve());
    socket.once('error', reject);
  });
}
