import { createServer } from 'node:http';
import net from 'node:net';
import express from 'express';
import { getAuth, jwtAuth, localKeys } from 'portcullis';
import { serveCalls } from '../support/processes.ts';

// Every socket that this process opens by itself, from its first line on.
const opened: unknown[] = [];
const { connect } = net.Socket.prototype;
net.Socket.prototype.connect = function spied(this: net.Socket, ...args: unknown[]) {
  opened.push(args[0]);
  return Reflect.apply(connect, this, args);
} as typeof connect;

let server: ReturnType<typeof createServer>;

serveCalls({
  async start(jwk: object) {
    const app = express();
    app.use(
      jwtAuth({
        issuer: 'https://auth.example',
        audience: 'https://api.example',
        keys: localKeys([{ kid: 'k1', alg: 'EdDSA', key: jwk }]),
        store: 'none',
      }),
    );
    app.get('/', (req, res) => void res.json({ subject: getAuth(req).subject }));
    server = createServer(app).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    return (server.address() as net.AddressInfo).port;
  },
  opened: () => opened.length,
  /** What `opened` would have seen. */
  async openOne(port: number) {
    const socket = net.connect(port, '127.0.0.1');
    await new Promise((resolve) => socket.once('connect', resolve));
    socket.destroy();
  },
});
