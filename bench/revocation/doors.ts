import type { IncomingMessage } from 'node:http';
import type { RequestHandler } from 'express';
import { createClient } from 'redis';
import {
  type Auth,
  type AuthStore,
  hybridAuth,
  InvalidToken,
  jwtAuth,
  type Mode,
  redisStore,
  StoreUnavailable,
} from '../../dist/index.js';
import { monotonic } from './clock.ts';
import { AUDIENCE, ISSUER, keys, payloadOf, SECRET } from './tokens.ts';

/** One way to guard a server, and to take a token back. */
export interface Door {
  readonly middleware?: RequestHandler;
  readonly store?: AuthStore;
  revoke?(token: string): Promise<void>;
  /** Resolves to the moment (monotonic) at which this process first refuses the token. */
  firstRefusal?(token: string): Promise<number>;
}

/** The ways that are compared. */
export type DoorName = keyof typeof DOORS;

export const DOORS = {
  /** No authentication at all. */
  bare: async (): Promise<Door> => ({}),
  /** portcullis, with its replica. */
  jwt: async (url: string) => portcullis(url, (store) => jwtAuth({ store, keys, issuer: ISSUER, audience: AUDIENCE })),
  hybrid: async (url: string) =>
    portcullis(url, (store) =>
      hybridAuth({ store, keys, issuer: ISSUER, audience: AUDIENCE, secret: SECRET, transport: 'body' }),
    ),
  /** The first classical way: verify, and wait for expiry. */
  expiry: async (): Promise<Door> => ({ middleware: await expressJwt() }),
  /** The second: ask Redis at each request whether the token stands in a denylist. */
  lookup: lookUp,
};

async function connect(url: string) {
  const client = createClient({ url });
  client.on('error', () => {});
  await client.connect();
  return client;
}

async function portcullis(url: string, modeOf: (store: AuthStore) => Mode): Promise<Door> {
  const store = redisStore(await connect(url));
  const mode = modeOf(store);
  await store.ready();

  /** Who the token speaks for; undefined if it was taken back. */
  const judge = async (req: IncomingMessage): Promise<Auth | undefined> => {
    try {
      return await mode.authenticate(req);
    } catch (error) {
      if (error instanceof InvalidToken && error.reason === 'revoked') return undefined;
      if (!(error instanceof StoreUnavailable)) throw error;
    }
    // A machine this busy may keep a process from Redis for a while.
    await new Promise((resolve) => setTimeout(resolve, 10));
    return judge(req);
  };

  return {
    middleware: mode as unknown as RequestHandler,
    store,
    async revoke(token) {
      const { iss, jti, exp } = payloadOf(token);
      await store.revokeToken({ issuer: iss, jti, expiresAt: new Date(exp * 1000) });
    },
    async firstRefusal(token) {
      const req = requestWith(token);
      const auth = await judge(req);
      if (auth !== undefined) await new Promise<void>((resolve) => store.onEnd(auth, resolve));
      // What counts is not that this process was told, but that it refuses.
      while ((await judge(req)) !== undefined) await new Promise(setImmediate);
      return monotonic();
    },
  };
}

async function lookUp(url: string): Promise<Door> {
  const client = await connect(url);
  const key = (jti: string) => `denied:${jti}`;
  const isRevoked = async (jti: string) => (await client.get(key(jti))) !== null;
  return {
    middleware: await expressJwt((jti) => isRevoked(jti)),
    async revoke(token) {
      const { jti, exp } = payloadOf(token);
      await client.set(key(jti), '1', { expiration: { type: 'EXAT', value: exp } });
    },
    async firstRefusal(token) {
      const { jti } = payloadOf(token);
      while (!(await isRevoked(jti)));
      return monotonic();
    },
  };
}

/** Its types are as absent as itself where only the library is installed. */
async function expressJwt(isRevoked?: (jti: string) => Promise<boolean>): Promise<RequestHandler> {
  const { expressjwt } = await import('express-jwt');
  const { createSecretKey } = await import('node:crypto');
  return expressjwt({
    secret: createSecretKey(Buffer.from(SECRET)),
    algorithms: ['HS256'],
    issuer: ISSUER,
    audience: AUDIENCE,
    ...(isRevoked === undefined
      ? {}
      : { isRevoked: async (_req, token) => isRevoked(String((token?.payload as { jti?: string } | undefined)?.jti)) }),
  });
}

/** Whether the peers are installed (npm ci in bench/). */
export async function havePeers(): Promise<boolean> {
  return import('express-jwt').then(
    () => true,
    () => false,
  );
}

/** A request as far as a mode looks at it. */
export function requestWith(token: string): IncomingMessage {
  const authorization = `Bearer ${token}`;
  return { headers: { authorization }, rawHeaders: ['Authorization', authorization], method: 'GET', url: '/' } as never;
}
