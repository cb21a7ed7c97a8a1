import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A way to a server of this machine that can be cut, as networks are. */
export interface TcpProxy {
  readonly port: number;
  readonly url: string;
  /** Where new connections lead from now on. */
  target: number;
  /** Connections stay open, and what is sent over them vanishes, as between machines that lost sight of one another. */
  swallow(): void;
  /** Connections end, and new ones end at once. */
  refuse(): void;
  /** Those that were harmed end; new ones go through. */
  heal(): void;
  stop(): Promise<void>;
}

/** Starts one in front of a port. */
export async function startProxy(target: number): Promise<TcpProxy> {
  let state: 'open' | 'swallowing' | 'refusing' = 'open';
  const sockets = new Set<Socket>();
  const hold = (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket)).on('error', () => {});
  };
  const drop = () => {
    for (const socket of sockets) socket.destroy();
  };
  const pass = (from: Socket, to: Socket) => {
    from.on('data', (bytes) => state !== 'swallowing' && to.write(bytes));
    from.once('close', () => to.destroy());
  };

  const server = createServer((near) => {
    hold(near);
    if (state === 'refusing') return void near.destroy();
    const far = connect(proxy.target, '127.0.0.1').setNoDelay();
    hold(far);
    near.setNoDelay();
    pass(near, far);
    pass(far, near);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;

  const proxy: TcpProxy = {
    port,
    url: `redis://127.0.0.1:${port}`,
    target,
    swallow() {
      state = 'swallowing';
    },
    refuse() {
      state = 'refusing';
      drop();
    },
    heal() {
      if (state === 'swallowing') drop();
      state = 'open';
    },
    async stop() {
      const closed = once(server, 'close');
      server.close();
      drop();
      await closed;
    },
  };
  return proxy;
}
