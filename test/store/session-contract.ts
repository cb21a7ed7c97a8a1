import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import express, { type ErrorRequestHandler, type Request, type Response } from 'express';
import session, { type SessionData, type SessionOptions, type Store } from 'express-session';
import type { AuditEvent, AuthStore } from 'portcullis';
import request from 'supertest';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { partsOf } from '../../lib/login/auth-store.ts';
import { newLoginSecret, sidOf } from '../../lib/login/login-secret.ts';
import { type HttpServer, serve } from '../support/http-server.ts';
import { loginsOf, newLogin } from './new-login.ts';

declare module 'express-session' {
  interface SessionData {
    [name: string]: any;
  }
}

type Handler = (req: Request, res: Response) => unknown;

const SECRET = 'a secret of thirty-two bytes or more';

/** What express-session asks of a store, over HTTP and by hand: the sense of its own tests, and where other stores fail. */
export function sessionContract(makeStore: () => Promise<AuthStore>): void {
  let store: AuthStore;
  let server: HttpServer;
  const events: AuditEvent[] = [];
  // What the next requests are answered by; each test says what it needs.
  let options: Partial<SessionOptions> = {};
  const handlers = new Map<string, Handler>();

  beforeAll(async () => {
    store = await makeStore();
    await store.ready();
    partsOf('test', store).audits.add((event) => events.push(event));
    const app = express();
    app.use((req, res, next) => {
      const settings = { secret: SECRET, resave: false, saveUninitialized: false, store: store.sessions(), ...options };
      session(settings)(req, res, next);
    });
    app.get('/:name', (req, res) => void handlers.get(req.params.name)?.(req, res));
    app.use(
      ((error, _req, res, _next) => void res.status(error.status ?? 500).send(error.message)) as ErrorRequestHandler,
    );
    server = await serve(app);
  });
  afterAll(async () => {
    await server.close();
    await store.close();
  });
  beforeEach(() => {
    options = {};
    events.length = 0;
    handlers.clear();
    on('show', (req, res) => res.json({ ...req.session, cookie: undefined }));
    on('count', (req, res) => {
      req.session.n = (req.session.n ?? 0) + 1;
      res.send(String(req.session.n));
    });
  });

  const on = (name: string, handler: Handler) => void handlers.set(name, handler);
  const browser = () => request.agent(server.url);
  const plain = (cookie: string) => request(server.url).get('/show').set('Cookie', cookie);
  /** A browser with a session; its cookie, and the id in it. */
  async function visited() {
    const agent = browser();
    const { headers } = await agent.get('/count').expect(200);
    const cookie = String(headers['set-cookie']).split(';')[0] as string;
    const id = idIn(cookie);
    return { agent, cookie, id, sid: sidOf(id) };
  }
  const rowOf = async (sid: string) => (await loginsOf(store).find(sid)).row;

  test('a session is kept from request to request, each browser its own', async () => {
    const [one, other] = [browser(), browser()];
    for (const count of ['1', '2', '3']) await one.get('/count').expect(200, count);
    await other.get('/count').expect(200, '1');
  });

  test('S18: a visitor who stores nothing gets no cookie and leaves no row', async () => {
    const before = (await loginsOf(store).allRows()).length;
    const { headers } = await browser().get('/show').expect(200, '{}');
    expect(headers['set-cookie']).toBeUndefined();
    expect(await loginsOf(store).allRows()).toHaveLength(before);
  });

  test('S04, A-S04: a signed id that we do not know is not adopted', async () => {
    const { cookie, id, sid } = await visited();
    await loginsOf(store).dropRow(sid);
    const { headers } = await request(server.url).get('/count').set('Cookie', cookie).expect(200, '1');
    expect(String(headers['set-cookie'])).toContain('connect.sid=');
    expect(String(headers['set-cookie'])).not.toContain(id);
  });

  test('S19: the store does not hold what is in the cookie', async () => {
    const { id, sid } = await visited();
    expect(await rowOf(sid)).toContain('"n":1');
    expect(await rowOf(id)).toBeUndefined();
  });

  test('S03: regenerate gives a new id, and ends the old session', async () => {
    const { agent, cookie } = await visited();
    on('regenerate', (req, res) => req.session.regenerate(() => res.send(String(req.session.n))));
    on('regenerateAndKeep', (req, res) =>
      req.session.regenerate(() => {
        req.session.kept = true;
        res.send('done');
      }),
    );
    await agent.get('/regenerate').expect(200, 'undefined');
    await plain(cookie).expect(200, '{}');
    await agent.get('/regenerateAndKeep').expect(200);
    await agent.get('/show').expect(200, { kept: true });
  });

  test('destroy ends a session', async () => {
    const { agent, cookie, sid } = await visited();
    on('destroy', (req, res) => req.session.destroy((error) => res.send(String(error))));
    await agent.get('/destroy').expect(200, 'null');
    await plain(cookie).expect(200, '{}');
    expect(await rowOf(sid)).toBeUndefined();
  });

  test("unset: 'destroy' ends a session that was set to null, 'keep' does not", async () => {
    on('unset', (req, res) => {
      req.session = null as never;
      res.send('done');
    });
    const kept = await visited();
    await kept.agent.get('/unset').expect(200);
    await plain(kept.cookie).expect(200, { n: 1 });
    options = { unset: 'destroy' };
    const gone = await visited();
    await gone.agent.get('/unset').expect(200);
    await plain(gone.cookie).expect(200, '{}');
  });

  test.each(['change', 'touch', 'resave'])(
    'S09, A-S01: a request that began before the session was destroyed does not bring it back by %s',
    async (how) => {
      const { cookie, sid } = await visited();
      options = { resave: how === 'resave', rolling: true, cookie: { maxAge: 60_000 } };
      const { started, finish } = held();
      on('slow', async (req, res) => {
        started.resolve();
        await finish.promise;
        if (how === 'change') req.session.late = true;
        res.send('late');
      });
      const slow = request(server.url)
        .get('/slow')
        .set('Cookie', cookie)
        .then((answer) => answer.status);
      await started.promise;
      await promisify(store.sessions().destroy.bind(store.sessions()))(idIn(cookie));
      finish.resolve();
      expect(await slow).toBe(200);
      expect(await rowOf(sid)).toBeUndefined();
      await plain(cookie).expect(200, '{}');
    },
  );

  test('S09: of sessions destroyed while others change, touch and regenerate them, none is there afterwards', async () => {
    on('change', (req, res) => {
      req.session.x = Math.random();
      res.send('done');
    });
    on('destroy', (req, res) => req.session.destroy(() => res.send('done')));
    for (let round = 0; round < 25; round++) {
      const { cookie, sid } = await visited();
      const names = ['change', 'show', 'destroy', 'change', 'show'].sort(() => Math.random() - 0.5);
      await Promise.all(names.map((name) => request(server.url).get(`/${name}`).set('Cookie', cookie).expect(200)));
      expect(await rowOf(sid)).toBeUndefined();
    }
  });

  test('S10: requests at once that change different fields all win', async () => {
    const { cookie } = await visited();
    on('field', (req, res) => {
      req.session[String(req.query.name)] = true;
      res.send('done');
    });
    const names = Array.from({ length: 20 }, (_, at) => `field${at}`);
    await Promise.all(
      names.map((name) => request(server.url).get(`/field?name=${name}`).set('Cookie', cookie).expect(200)),
    );
    await plain(cookie).expect(200, { n: 1, ...Object.fromEntries(names.map((name) => [name, true])) });
    expect(events).toEqual([]);
  });

  test('S10, A-S03: of two that change the same field the later wins, and the audit hears of it', async () => {
    const { cookie, sid } = await visited();
    const { started, finish } = held();
    on('slow', async (req, res) => {
      started.resolve();
      await finish.promise;
      Object.assign(req.session, { n: 'slow', mine: 1 });
      res.send('done');
    });
    const slow = request(server.url)
      .get('/slow')
      .set('Cookie', cookie)
      .then((answer) => answer.status);
    await started.promise;
    await request(server.url).get('/count').set('Cookie', cookie).expect(200, '2');
    finish.resolve();
    await slow;
    await plain(cookie).expect(200, { n: 'slow', mine: 1 });
    await expect
      .poll(() => events, { timeout: 5_000 })
      .toMatchObject([{ type: 'session_conflict', sid, fields: ['n'] }]);
  });

  test('a field that was deleted stays deleted, though another request changes another', async () => {
    const { cookie } = await visited();
    const { started, finish } = held();
    on('slow', async (req, res) => {
      started.resolve();
      await finish.promise;
      delete req.session.n;
      res.send('done');
    });
    on('other', (req, res) => {
      req.session.other = true;
      res.send('done');
    });
    const slow = request(server.url)
      .get('/slow')
      .set('Cookie', cookie)
      .then((answer) => answer.status);
    await started.promise;
    await request(server.url).get('/other').set('Cookie', cookie).expect(200);
    finish.resolve();
    await slow;
    await plain(cookie).expect(200, { other: true });
  });

  test('saved twice in one request, both changes are stored; reload brings what others stored meanwhile', async () => {
    const { agent, cookie } = await visited();
    on('twice', (req, res) => {
      req.session.first = 1;
      req.session.save(() => {
        req.session.second = 2;
        res.send('done');
      });
    });
    on('reload', async (req, res) => {
      req.session.mine = 'lost';
      await request(server.url).get('/count').set('Cookie', cookie);
      req.session.reload(() => {
        req.session.afterwards = true;
        res.json(req.session.n);
      });
    });
    await agent.get('/twice').expect(200);
    await agent.get('/reload').expect(200, '2');
    await agent.get('/show').expect(200, { n: 2, first: 1, second: 2, afterwards: true });
  });

  test('resave stores a session that did not change, and saveUninitialized one that is empty', async () => {
    options = { resave: true, saveUninitialized: true };
    const agent = browser();
    const { headers } = await agent.get('/show').expect(200, '{}');
    expect(String(headers['set-cookie'])).toContain('connect.sid=');
    await agent.get('/show').expect(200, '{}');
    await agent.get('/count').expect(200, '1');
  });

  test('rolling sends the cookie with each response, its end moved', async () => {
    options = { rolling: true, cookie: { maxAge: 60_000 } };
    const { agent } = await visited();
    const { headers } = await agent.get('/show').expect(200);
    const expires = /Expires=([^;]+)/.exec(String(headers['set-cookie']))?.[1] as string;
    expect(new Date(expires).getTime()).toBeGreaterThan(Date.now() + 50_000);
  });

  test('S06: a session ends on the server when its cookie does', async () => {
    options = { cookie: { maxAge: 800 } };
    const { cookie } = await visited();
    await plain(cookie).expect(200, { n: 1 });
    await sleep(900);
    await plain(cookie).expect(200, '{}');
  });

  test('S06, A-S16: a request that only reads moves the end of the session, the one it is told as well', async () => {
    options = { cookie: { maxAge: 1_500 } };
    const { cookie, sid } = await visited();
    on('maxAge', (req, res) => res.send(String(req.session.cookie.maxAge)));
    const first = JSON.parse((await rowOf(sid)) as string).cookie.expires;
    for (let use = 0; use < 4; use++) {
      await sleep(500);
      const { text } = await request(server.url).get('/maxAge').set('Cookie', cookie);
      expect(Number(text)).toBeGreaterThan(500);
    }
    const last = JSON.parse((await rowOf(sid)) as string).cookie.expires;
    expect(new Date(last).getTime() - new Date(first).getTime()).toBeGreaterThan(1_500);
    await plain(cookie).expect(200, { n: 1 });
  });

  test('a touch leaves alone what another request stored meanwhile', async () => {
    options = { cookie: { maxAge: 60_000 } };
    const { cookie } = await visited();
    const { started, finish } = held();
    on('slow', async (_req, res) => {
      started.resolve();
      await finish.promise;
      res.send('done');
    });
    const slow = request(server.url)
      .get('/slow')
      .set('Cookie', cookie)
      .then((answer) => answer.status);
    await started.promise;
    await request(server.url).get('/count').set('Cookie', cookie).expect(200, '2');
    finish.resolve();
    await slow;
    await plain(cookie).expect(200, { n: 2 });
  });

  test('A-S14: a row whose cookie is over counts as none, though it still stands', async () => {
    const { cookie, sid } = await visited();
    const expires = new Date(Date.now() - 60_000).toISOString();
    await loginsOf(store).putRow(sid, JSON.stringify({ cookie: { originalMaxAge: 1, expires }, n: 1 }), 60_000);
    await plain(cookie).expect(200, '{}');
  });

  test.each([
    ...['null', '[]', '"x"', '5', 'true', '{', '', 'undefined', '{}', '{"n":1}', '[{"cookie":{}}]'],
    ...['{"cookie":null}', '{"cookie":"x"}', '{"cookie":5}', '{"cookie":{"originalMaxAge":"x"}}'],
    ...['{"cookie":{"maxAge":"x"}}', '{"cookie":{"expires":"never"}}', '{"cookie":{"expires":{}}}'],
    ...[
      '{"cookie":{"path":5}}',
      '{"cookie":{"domain":{}}}',
      '{"cookie":{"sameSite":"x"}}',
      '{"cookie":{"serialize":1}}',
    ],
    ...['\u0000', '{"cookie":{}}x', '[['.repeat(20_000)],
  ])(
    'S21, A-S13: a row that is none of a session (%#) counts as none: no error, and another is stored',
    async (row) => {
      const { agent, cookie, sid } = await visited();
      await loginsOf(store).putRow(sid, row, 60_000);
      await plain(cookie).expect(200, '{}');
      await agent.get('/count').expect(200, '1');
      await agent.get('/count').expect(200, '2');
    },
  );

  test('S21: what cannot be read is reported', async () => {
    const { cookie, sid } = await visited();
    await loginsOf(store).putRow(sid, '{', 60_000);
    await plain(cookie).expect(200);
    await expect.poll(() => events, { timeout: 5_000 }).toMatchObject([{ type: 'session_corrupt', sid }]);
  });

  test('S20, A-S12: names of methods, of the prototype and of the cookie are data like any other', async () => {
    const { cookie, sid } = await visited();
    const row =
      '{"cookie":{"path":"/","httpOnly":true,"originalMaxAge":null},"touch":1,"save":"x","__proto__":{"isAdmin":true},' +
      '"constructor":{},"resetMaxAge":null,"toJSON":"y","id":"z","req":{},"regenerate":[],"n":1}';
    await loginsOf(store).putRow(sid, row, 60_000);
    on('probe', (req, res) => {
      req.session.n = 2;
      res.json([(req.session as { isAdmin?: boolean }).isAdmin ?? false, req.session.id === 'z']);
    });
    await request(server.url).get('/probe').set('Cookie', cookie).expect(200, [false, false]);
    expect((await plain(cookie).expect(200)).body).toMatchObject({ n: 2 });
  });

  test('S22, A-S22: a session of more than 64 KiB is refused with an error, and what stood stands', async () => {
    const { cookie } = await visited();
    on('fill', (req, res) => {
      req.session.fill = 'é'.repeat(33_000);
      req.session.save((error) => res.status(error?.status ?? 200).send(error?.message));
    });
    await request(server.url)
      .get('/fill')
      .set('Cookie', cookie)
      .expect(400, /more than 65536 bytes/);
    await plain(cookie).expect(200, { n: 1 });
  });

  test('a login whose session is destroyed is ended as surely as by logout', async () => {
    const secret = newLoginSecret();
    const facts = newLogin({ sid: sidOf(secret) });
    await partsOf('test', store).logins.open(facts, '{"cookie":{}}', {});
    await promisify(store.sessions().destroy.bind(store.sessions()))(secret);
    expect(await store.logins(facts.subject)).toEqual([]);
    expect(partsOf('test', store).logins.isRevoked(facts.sid)).toBe(true);
    await expect
      .poll(() => events, { timeout: 5_000 })
      .toMatchObject([{ type: 'revoked', subject: facts.subject, sid: facts.sid }]);
  });

  test('by hand: set, get, touch, all, length, ids, destroy and clear', async () => {
    const sessions = callable((await emptied(store)).sessions());
    expect(await sessions.get('unknown')).toBeNull();
    await sessions.set('a', dataFor({ n: 1 }));
    await sessions.set('a', dataFor({ n: 2 }));
    await sessions.set('b', dataFor({ m: [] }));
    expect(await sessions.get('a')).toMatchObject({ n: 2 });
    await sessions.touch('a', dataFor({ n: 3 }));
    expect(await sessions.get('a')).toMatchObject({ n: 2 });
    await sessions.touch('unknown', dataFor({}));
    expect(await sessions.length()).toBe(2);
    const all = (await sessions.all()) as (SessionData & { id: string })[];
    expect(all.map(({ id, n, m }) => [id, n, m]).sort()).toEqual(
      [
        [sidOf('a'), 2, undefined],
        [sidOf('b'), undefined, []],
      ].sort(),
    );
    expect([...(await sessions.ids())].sort()).toEqual([sidOf('a'), sidOf('b')].sort());
    await sessions.destroy('a');
    await sessions.destroy('a');
    expect([await sessions.get('a'), await sessions.length()]).toEqual([null, 1]);
    await sessions.clear();
    expect([await sessions.get('b'), await sessions.length(), await sessions.all()]).toEqual([null, 0, []]);
  });

  test('by hand: data whose cookie is over is not stored, and ends what stood', async () => {
    const sessions = callable(store.sessions());
    await sessions.set('over', dataFor({ n: 1 }));
    const data = dataFor({ n: 2 });
    data.cookie.expires = new Date(Date.now() - 1);
    await sessions.set('over', data);
    expect(await sessions.get('over')).toBeNull();
    await sessions.set('over', dataFor({ n: 1 }));
    await sessions.set('over', dataFor({}, { expires: new Date(Number.NaN) }));
    expect(await sessions.get('over')).toBeNull();
  });

  test('by hand: load makes a session of what is stored, with a cookie that has its date', async () => {
    const sessions = store.sessions();
    const expires = new Date(Date.now() + 60_000);
    await callable(sessions).set('c', dataFor({ n: 1 }, { expires, originalMaxAge: 60_000 }));
    const loaded = await new Promise<any>((resolve, reject) =>
      sessions.load('c', (error: unknown, value?: unknown) => (error ? reject(error) : resolve(value))),
    );
    expect(loaded.n).toBe(1);
    expect(loaded.cookie.expires).toEqual(expires);
    expect(loaded.cookie.originalMaxAge).toBe(60_000);
  });
}

function held() {
  return { started: signal(), finish: signal() };
}

function signal() {
  let resolve = () => {};
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

function idIn(cookie: string): string {
  return decodeURIComponent(cookie.split('=')[1] as string)
    .slice(2)
    .split('.')[0] as string;
}

function dataFor(fields: object, cookie: object = {}): SessionData {
  return { cookie: { originalMaxAge: null, ...cookie }, ...fields } as SessionData;
}

function callable(sessions: Store) {
  const all = sessions as unknown as Record<string, (...args: unknown[]) => void>;
  const call = (name: string) =>
    promisify((all[name] as () => void).bind(sessions)) as (...args: unknown[]) => Promise<any>;
  const names = ['get', 'set', 'touch', 'destroy', 'all', 'length', 'ids', 'clear'] as const;
  return Object.fromEntries(names.map((name) => [name, call(name)])) as Record<
    (typeof names)[number],
    ReturnType<typeof call>
  >;
}

async function emptied(store: AuthStore): Promise<AuthStore> {
  await callable(store.sessions()).clear();
  return store;
}
