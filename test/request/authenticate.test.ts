import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import express, { type Express } from 'express';
import express4 from 'express4';
import {
  type AuditEvent,
  type AuthStore,
  authErrorHandler,
  getAuth,
  type HybridAuth,
  hybridAuth,
  jwtAuth,
  type LoginMode,
  localKeys,
  type Mode,
  memoryStore,
  redisStore,
  requireAuth,
  sessionAuth,
  tokenIssuer,
} from 'portcullis';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { type Browser, browser } from '../support/browser.ts';
import { type HttpServer, serve } from '../support/http-server.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';
import { keyFor } from '../token/key-material.ts';

const SECRET = 'vGxRgYm2k1DqkPz0Qw8nRy3Lb7HcTf5SJuEaXoWi4d';
const hybridKeys = localKeys([{ kid: 'h', alg: 'HS256', key: keyFor('HS256') }]);
const jwtKeys = localKeys([{ kid: 'j', alg: 'HS256', key: keyFor('HS256') }]);
const ours = { issuer: 'https://app.example', audience: 'app', keys: hybridKeys };
const theirs = { issuer: 'https://partner.example', audience: 'app', keys: jwtKeys };
const partner = tokenIssuer({ ...theirs, lifetime: '5m' });

const servers: HttpServer[] = [];
const stores: AuthStore[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
  for (const store of stores.splice(0)) await store.close();
});

type Name = 'session' | 'jwt' | 'hybrid';
interface Modes {
  readonly session: LoginMode<unknown>;
  readonly jwt: Mode;
  readonly hybrid: HybridAuth;
}

interface Stack {
  readonly url: string;
  readonly modes: Modes;
  readonly audit: AuditEvent[];
  refusals(): Promise<readonly AuditEvent[]>;
}

/** All three modes on one route, in this order, the last one required; each can be logged in by. */
async function stack(
  order: readonly Name[],
  options: { required?: boolean; version?: 4 | 5; audit?: any } = {},
): Promise<Stack> {
  const { required = true, version = 5 } = options;
  const store = memoryStore();
  stores.push(store);
  await store.ready();
  const audit: AuditEvent[] = [];
  const common = { store, secret: SECRET, audit: options.audit ?? ((event: AuditEvent) => void audit.push(event)) };
  const make = (name: Name, isRequired: boolean): any => {
    const shared = { store, audit: common.audit, required: isRequired };
    if (name === 'session') return sessionAuth({ ...common, required: isRequired });
    if (name === 'hybrid') return hybridAuth({ ...common, ...ours, transport: 'cookie', required: isRequired });
    // Bearers of ours and theirs: one who verifies them all, wherever it stands.
    return jwtAuth({ ...shared, issuers: [theirs, ours], cookie: 'jwt' });
  };
  const modes = Object.fromEntries(
    order.map((name, at) => [name, make(name, required && at === order.length - 1)]),
  ) as never as Modes;
  const app = (version === 4 ? express4() : express()) as Express;
  app.set('trust proxy', true);
  for (const name of ['session', 'hybrid'] as const) {
    app.post(`/login/${name}`, (req, res, next) => {
      modes[name].login(req, res, { subject: `by ${name}` }).then(() => res.json({}), next);
    });
  }
  for (const name of order) app.use(modes[name]);
  app.use((req, res) => {
    const auth = getAuth(req);
    res.json({ mode: auth.mode, subject: auth.subject, same: req.auth === auth });
  });
  app.use(authErrorHandler());
  const server = await serve(app);
  servers.push(server);
  return {
    url: server.url,
    modes,
    audit,
    async refusals() {
      await sleep(10);
      return audit.filter(({ type }) => type === 'refused');
    },
  };
}

const ORDERS: Name[][] = [
  ['session', 'jwt', 'hybrid'],
  ['session', 'hybrid', 'jwt'],
  ['jwt', 'session', 'hybrid'],
  ['jwt', 'hybrid', 'session'],
  ['hybrid', 'session', 'jwt'],
  ['hybrid', 'jwt', 'session'],
];

const whole = async (url: string): Promise<Browser> => {
  const client = browser(url);
  for (const name of ['session', 'hybrid']) expect((await client.post(`/login/${name}`)).status).toBe(200);
  return client;
};
const cookiesOf = (client: Browser, stem: RegExp) => browserCookies(client, (name) => stem.test(name));
const browserCookies = (client: Browser, wanted: (name: string) => boolean) =>
  [...client.jar].filter(([name]) => wanted(name));
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

describe.each(ORDERS)('three modes on one route: %s, %s, %s', (...order) => {
  test('each recognises its own; of two cookies, the first mode wins', async () => {
    const { url } = await stack(order);
    const client = await whole(url);
    const session = browser(url, cookiesOf(client, /sid/));
    const hybrid = browser(url, cookiesOf(client, /access|refresh/));
    expect((await session.get('/')).json).toEqual({ mode: 'session', subject: 'by session', same: true });
    expect((await hybrid.get('/')).json).toEqual({ mode: 'hybrid', subject: 'by hybrid', same: true });
    const first = order.find((name) => name !== 'jwt');
    expect((await client.get('/')).json.mode).toBe(first);
    expect(await browser(url).get('/')).toMatchObject({ status: 401, json: { error: 'unauthenticated' } });
  });

  test('a good bearer beats every cookie, whatever the order', async () => {
    const { url } = await stack(order);
    const client = await whole(url);
    const own = client.jar.get('__Host-access') as string;
    const { json } = await client.get('/', { headers: bearer(own) });
    expect(json).toMatchObject({ subject: 'by hybrid', same: true });
    expect(json.mode).toBe(order.find((name) => name !== 'session'));
  });

  test('a bad bearer never falls back to a cookie, whatever the order', async () => {
    const { url, refusals } = await stack(order);
    const client = await whole(url);
    for (const token of [
      'a.b.c',
      client.jar.get('__Host-refresh') as string,
      partner({ subject: 'eve' }).slice(0, -4),
    ]) {
      const { status, json } = await client.get('/', { headers: bearer(token) });
      expect([status, json.error]).toEqual([401, 'invalid_token']);
    }
    expect((await client.get('/', { headers: { authorization: 'Bearer' } })).status).toBe(400);
    expect(await refusals()).toHaveLength(4);
  });

  test('X10: a bearer beside cookies is not asked where it comes from; the cookies alone are', async () => {
    const { url } = await stack(order);
    const client = await whole(url);
    const foreign = { 'sec-fetch-site': 'cross-site' };
    const own = client.jar.get('__Host-access') as string;
    expect((await client.post('/', {}, { ...bearer(own), ...foreign })).json.subject).toBe('by hybrid');
    expect((await client.post('/', {}, foreign)).status).toBe(403);
  });

  test('a bearer leaves the cookies beside it as they are: none is renewed, none takes its place', async () => {
    const { url } = await stack(order);
    const client = await whole(url);
    const own = client.jar.get('__Host-access') as string;
    client.jar.delete('__Host-access');
    const { json, cookies } = await client.get('/', { headers: bearer(own) });
    expect([json.subject, cookies.filter((line) => /access|refresh/.test(line))]).toEqual(['by hybrid', []]);
  });

  test('a cookie renewed in line does not take the place of whom an earlier mode recognised', async () => {
    const { url } = await stack(order);
    const client = await whole(url);
    client.jar.delete('__Host-access');
    expect((await client.get('/')).json.mode).toBe(order.find((name) => name !== 'jwt'));
  });

  test('one refusal is heard once, though three modes share the audit and the store', async () => {
    const { url, refusals } = await stack(order);
    await browser(url).get('/');
    expect(await refusals()).toMatchObject([{ type: 'refused', error: { code: 'unauthenticated' } }]);
  });

  test('where nobody is required, getAuth gives the reason, and it is heard once', async () => {
    const { url, refusals } = await stack(order, { required: false });
    const client = await whole(url);
    const answer = await browser(url, [['__Host-access', 'a.b.c'], ...cookiesOf(client, /none/)]).get('/');
    expect(answer).toMatchObject({ status: 401, json: { error: 'invalid_token' } });
    expect(await refusals()).toHaveLength(1);
  });
});

test('on Express 4 the three stack as well', async () => {
  const { url } = await stack(['session', 'jwt', 'hybrid'], { version: 4 });
  const client = await whole(url);
  expect((await client.get('/')).json.mode).toBe('session');
  expect((await client.get('/', { headers: bearer('a.b.c') })).status).toBe(401);
  expect((await browser(url).get('/', { headers: bearer(partner({ subject: 'p' })) })).json.subject).toBe('p');
});

test('a mode whose next throws, outside Express, is not called on again', () => {
  const mode = jwtAuth({ store: 'none', ...theirs, required: false });
  let calls = 0;
  const next = () => {
    calls += 1;
    throw new Error('of the application');
  };
  expect(() => mode({ headers: {}, rawHeaders: [] } as never, {} as never, next)).toThrow('of the application');
  expect(calls).toBe(1);
});

test.each([
  [
    'throws',
    () => {
      throw new Error('log server down');
    },
  ],
  [
    'rejects',
    async () => {
      throw new Error('log server down');
    },
  ],
  ['never ends', () => new Promise(() => {})],
])('an audit that %s harms no request', async (_how, audit) => {
  const warnings: string[] = [];
  const hear = (warning: Error) => void warnings.push(warning.message);
  process.on('warning', hear);
  const { url } = await stack(['session', 'jwt', 'hybrid'], { audit });
  const client = await whole(url);
  expect((await client.get('/')).status).toBe(200);
  expect((await browser(url).get('/')).status).toBe(401);
  await sleep(20);
  process.off('warning', hear);
  expect(warnings.some((message) => message.includes('log server down'))).toBe(_how !== 'never ends');
});

test('an audit delays no answer: a refusal has been answered by the time it is heard', async () => {
  const answered: unknown[] = [];
  const audit = ({ type }: AuditEvent, req: any) => void (type === 'refused' && answered.push(req.res.writableEnded));
  const { url } = await stack(['session', 'jwt', 'hybrid'], { audit });
  await browser(url).get('/');
  await browser(url).get('/', { headers: bearer('a.b.c') });
  await sleep(10);
  expect(answered).toEqual([true, true]);
});

describe('outside the chain: a WebSocket', () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis.stop());

  let prefix = 0;

  /** A WebSocket server whose sockets close when what opened them ends, and another process's store. */
  async function sockets(access: '1h' | '700ms' = '1h') {
    const at = { prefix: `w${prefix++}:` };
    const store = redisStore(await redis.client(), at);
    const elsewhere = redisStore(await redis.client(), at);
    stores.push(store, elsewhere);
    await Promise.all([store.ready(), elsewhere.ready()]);
    const audit: AuditEvent[] = [];
    const common = {
      store,
      secret: SECRET,
      audit: (event: AuditEvent) => void audit.push(event),
      cookie: { secure: false },
    };
    const hybrid = hybridAuth({ ...common, ...ours, transport: 'cookie', access });
    const session = sessionAuth({ ...common, idle: '1500ms' });
    const app = express();
    app.post(
      '/login/hybrid',
      (req, res, next) => void hybrid.login(req, res, { subject: 'ann' }).then((r) => res.json(r), next),
    );
    app.post(
      '/login/session',
      (req, res, next) => void session.login(req, res, { subject: 'ann' }).then(() => res.json({}), next),
    );
    app.get('/touch', session, (_req, res) => void res.json({}));
    const server = await serve(app);
    servers.push(server);
    const wss = new WebSocketServer({ noServer: true });
    server.server.on('upgrade', async (req, socket, head) => {
      try {
        const auth = (await hybrid.authenticate(req)) ?? (await session.authenticate(req));
        if (auth === undefined) return void socket.end('HTTP/1.1 401 Unauthorized\r\n\r\n');
        wss.handleUpgrade(req, socket, head, (ws) => {
          ws.on(
            'close',
            store.onEnd(auth, () => ws.close(4001, 'the login has ended')),
          );
          ws.send(
            JSON.stringify({
              mode: auth.mode,
              subject: auth.subject,
              jti: auth.jti,
              sid: auth.sid,
              expiresAt: auth.expiresAt,
            }),
          );
        });
      } catch (error) {
        socket.end(`HTTP/1.1 ${(error as { status: number }).status} Refused\r\n\r\n`);
      }
    });
    const client = browser(server.url);
    const connect = async (headers: Record<string, string> = {}) => {
      const cookie = [...client.jar].map(([name, value]) => `${name}=${value}`).join('; ');
      const ws = new WebSocket(server.url.replace('http', 'ws'), { headers: { cookie, ...headers } });
      const outcome = await Promise.race([
        once(ws, 'message').then(([data]) => ({ auth: JSON.parse(String(data)), status: 101 })),
        once(ws, 'unexpected-response').then(([, { statusCode }]) => ({
          auth: undefined,
          status: statusCode as number,
        })),
      ]);
      const closed = once(ws, 'close').then(([code]) => code as number);
      return { ...outcome, ws, closed };
    };
    return { store, elsewhere, client, connect, url: server.url, audit };
  }
  const still = async (closed: Promise<number>) =>
    expect(await Promise.race([closed, sleep(250, 'open')])).toBe('open');

  test('X11: its Origin is judged for cookies, and not for a bearer', async () => {
    const { client, connect, url, audit } = await sockets();
    await client.post('/login/hybrid');
    const foreign = { origin: 'https://evil.example' };
    expect((await connect({ origin: url })).status).toBe(101);
    expect((await connect()).status).toBe(101);
    expect((await connect(foreign)).status).toBe(403);
    const token = client.jar.get('access') as string;
    expect((await connect({ ...foreign, cookie: '', authorization: `Bearer ${token}` })).auth.subject).toBe('ann');
    expect((await connect({ authorization: 'Bearer a.b.c' })).status).toBe(401);
    expect((await connect({ cookie: '' })).status).toBe(401);
    await sleep(10);
    expect(audit.filter(({ type }) => type === 'refused').map(({ error }: any) => error.code)).toEqual([
      'cross_site_request',
      'invalid_token',
    ]);
  });

  test('X11: a session’s cookie is judged alike', async () => {
    const { client, connect, url } = await sockets();
    await client.post('/login/session');
    expect((await connect({ origin: url })).auth.mode).toBe('session');
    expect((await connect({ origin: 'https://evil.example' })).status).toBe(403);
  });

  test('closes when its login ends in another process, and not before', async () => {
    const { client, connect, elsewhere } = await sockets();
    await client.post('/login/hybrid');
    const { closed, auth } = await connect();
    const other = browser((await sockets()).url);
    await other.post('/login/hybrid');
    await elsewhere.revokeSubject('bob');
    await elsewhere.revokeLogin({ subject: 'bob', sid: auth.sid });
    await still(closed);
    await elsewhere.revokeLogin({ subject: 'ann', sid: auth.sid });
    expect(await closed).toBe(4001);
  });

  test('closes when its token is taken back, or everything of its subject', async () => {
    const { client, connect, elsewhere } = await sockets();
    await client.post('/login/hybrid');
    const one = await connect();
    const { jti, expiresAt } = one.auth;
    await elsewhere.revokeToken({ issuer: ours.issuer, jti: `${jti}x`, expiresAt: new Date(expiresAt) });
    await still(one.closed);
    await elsewhere.revokeToken({ issuer: ours.issuer, jti, expiresAt: new Date(expiresAt) });
    expect(await one.closed).toBe(4001);
    await client.post('/login/hybrid');
    const [two, three] = [await connect(), await connect()];
    await elsewhere.revokeSubject('ann');
    expect(await Promise.all([two.closed, three.closed])).toEqual([4001, 4001]);
  });

  test('closes when its token expires, and not before', async () => {
    const { client, connect } = await sockets('700ms');
    await client.post('/login/hybrid');
    const { closed, auth } = await connect();
    await still(closed);
    expect(await closed).toBe(4001);
    expect(Date.now()).toBeGreaterThanOrEqual(new Date(auth.expiresAt).getTime());
  });

  test('of a session, closes when that ends: not while it is used elsewhere, but once it is idle', async () => {
    const { client, connect } = await sockets();
    await client.post('/login/session');
    const { closed } = await connect();
    const begun = Date.now();
    while (Date.now() - begun < 2_500) {
      await client.get('/touch');
      await still(closed);
    }
    expect(await closed).toBe(4001);
  });
});

test('guards and getAuth ask what the modes found, not what another middleware wrote', async () => {
  const app = express();
  const seen: unknown[] = [];
  app.use(((req: any, _res, next) => {
    req.auth = { mode: 'session', subject: 'root', scopes: ['*'], roles: ['admin'], claims: {} };
    next();
  }) as express.RequestHandler);
  app.use(jwtAuth({ store: 'none', ...theirs, required: false }));
  app.get('/get', (req, res) => {
    try {
      res.json(getAuth(req).subject);
    } catch (error) {
      seen.push(error);
      throw error;
    }
  });
  app.use(requireAuth(), (_req, res) => void res.json('in'));
  const server = await serve(app);
  servers.push(server);
  const client = browser(server.url);
  expect((await client.get('/get')).status).toBe(401);
  expect((await client.get('/')).status).toBe(401);
  expect(seen).toMatchObject([{ code: 'unauthenticated' }]);
  expect((await client.get('/get', { headers: bearer(partner({ subject: 'ann' })) })).json).toBe('ann');
});
