import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { createServer } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { connect as connectTls } from 'node:tls';

/** What came back, as its bytes say it. */
export interface RawAnswer {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

/** A server on this machine: what `serve` or `serveTls` returns. */
export interface RawTarget {
  readonly port: number;
  readonly tls?: true;
}

/** Sends these header lines, one byte a character, as no HTTP client would; `Connection: close` is added, and a Host. */
export async function sendRaw(
  { port, tls }: RawTarget,
  lines: readonly string[],
  requestLine = 'GET / HTTP/1.1',
): Promise<RawAnswer> {
  const socket = tls ? connectTls({ port, host: '127.0.0.1', ...pskClient }) : connect(port, '127.0.0.1');
  const host = lines.some((line) => /^host:/i.test(line)) ? [] : ['Host: app.example'];
  const text = [requestLine, ...host, ...lines, 'Connection: close', '', ''].join('\r\n');
  socket.write(Buffer.from(text, 'latin1'));
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk);
  const [head = '', body = ''] = Buffer.concat(chunks).toString('latin1').split('\r\n\r\n', 2);
  return { status: Number(head.split(' ')[1]), head, body };
}

/** Serves over TLS; only `sendRaw` gets in. */
export async function serveTls(app: RequestListener): Promise<Required<RawTarget> & { close(): Promise<void> }> {
  const server = createServer({ ...pskTls, pskCallback: () => psk }, app);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    tls: true,
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

// A key both ends know stands in for a certificate.
const psk = Buffer.alloc(32, 7);
const pskTls = { ciphers: 'PSK', minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' } as const;
const pskClient = {
  ...pskTls,
  checkServerIdentity: () => undefined,
  pskCallback: () => ({ psk, identity: 'test' }),
};
