import cookieParser from 'cookie-parser';
import express from 'express';
import session from 'express-session';
import { sessionAuth } from 'portcullis';
import { describe, expect, test } from 'vitest';
import { COOKIE, dataOf, logIn, SECRET, type SessionApp, subjectOf } from './app.ts';
import { bench } from './stores.ts';

const house = bench();
const { open } = house;

describe('req.session', () => {
  test("is express-session's: id, cookie, methods, sessionID and sessionStore are there", async () => {
    const app = await open({
      routes: (it) =>
        it.get('/look', (req, res) => {
          const seen = { sessionID: typeof req.sessionID, store: typeof req.sessionStore.get };
          const { session: it } = req;
          res.json({
            ...seen,
            same: it.id === req.sessionID,
            methods: [it.save, it.touch, it.reload, it.destroy, it.regenerate].map((method) => typeof method),
            cookie: it.cookie.httpOnly,
            isSession: it instanceof (session as any).Session,
          });
        }),
    });
    expect((await app.browser().get('/look')).json).toEqual({
      sessionID: 'string',
      store: 'function',
      same: true,
      methods: Array(5).fill('function'),
      cookie: true,
      isSession: true,
    });
  });

  test('sessionID is the same from request to request, whichever is asked first', async () => {
    const app = await open({
      routes: (it) => {
        it.get('/id', (req, res) => void res.json([req.sessionID, req.session.id]));
        it.get('/di', (req, res) => void res.json([req.session.id, req.sessionID]));
      },
    });
    const client = app.browser();
    await client.get('/set?a=1');
    const ids = [...(await client.get('/id')).json, ...(await client.get('/di')).json];
    expect(new Set(ids).size).toBe(1);
    await logIn(client);
    const [id] = (await client.get('/id')).json;
    expect(ids).not.toContain(id);
  });

  test('set to null or deleted, nothing is saved and the session stands, as with unset: keep', async () => {
    const app = await open({
      routes: (it) => {
        it.get('/null', (req, res) => {
          dataOf(req).lost = true;
          (req as any).session = null;
          res.json({});
        });
        it.get('/delete', (req, res) => {
          delete (req as any).session;
          res.json({ session: req.session ?? null });
        });
      },
    });
    const client = app.browser();
    await client.get('/set?a=1');
    await client.get('/null');
    expect((await client.get('/delete')).json).toEqual({ session: null });
    expect((await client.get('/data')).json).toEqual({ a: '1' });
  });

  test.each(['login', 'visitor'])(
    'replaced by a plain object, that is what the session of a %s holds; no ended one comes back',
    async (who) => {
      const app = await open({
        routes: (it) => {
          it.get('/replace', (req, res) => {
            (req as any).session = { only: 'this' };
            res.json({});
          });
          it.get('/destroy-and-replace', (req, res) => {
            const { session: gone } = req;
            gone.destroy(() => {
              (req as any).session = { back: true };
              res.json({});
            });
          });
        },
      });
      const client = app.browser();
      if (who === 'login') await logIn(client);
      await client.get('/set?a=1&b=2');
      expect((await client.get('/replace')).status).toBe(200);
      expect((await client.get('/data')).json).toEqual({ only: 'this' });
      const before = client.copy();
      await client.get('/destroy-and-replace');
      expect((await before.get('/data')).json).toEqual({});
      expect(await subjectOf(before)).toBeNull();
    },
  );

  test('reload takes what others stored, and drops what this request changed', async () => {
    const app = await open({
      routes: (it) =>
        it.get('/reload', (req, res, next) => {
          dataOf(req).mine = 'dropped';
          req.session.reload((error) => {
            if (error) return next(error);
            dataOf(req).after = 'kept';
            res.json({});
          });
        }),
    });
    const client = app.browser();
    await client.get('/set?a=1');
    expect((await client.get('/reload')).status).toBe(200);
    expect((await client.get('/data')).json).toEqual({ a: '1', after: 'kept' });
  });

  test('save stores at once; a visitor gets the cookie for it', async () => {
    const app = await open({
      routes: (it) =>
        it.get('/save', (req, res, next) => {
          dataOf(req).a = 1;
          req.session.save((error) => (error ? next(error) : res.json({})));
        }),
    });
    const client = app.browser();
    expect((await client.get('/save')).cookies).toHaveLength(1);
    expect((await client.get('/data')).json).toEqual({ a: 1 });
  });

  test('an old session object saved after its session ended brings nothing back', async () => {
    const app = await open({
      routes: (it, auth) => {
        it.get('/late', (req, res, next) => {
          const old = req.session;
          auth.logout(req, res).then(() => {
            Object.assign(old, { late: true }).save((error) => (error ? next(error) : res.json({})));
          }, next);
        });
      },
    });
    const client = app.browser();
    await logIn(client);
    await client.get('/set?a=1');
    const before = client.copy();
    expect((await client.get('/late')).status).toBe(200);
    expect((await before.get('/data')).json).toEqual({});
    expect(await house.redis.cli('KEYS', `${house.prefix}row*`)).toBe('');
  });
});

describe('what the request carried', () => {
  test('is as it was once the session is used: header, cookies, signed cookies', async () => {
    const app = await open({
      before: (it) => void it.use(cookieParser('another secret')),
      routes: (it) =>
        it.get('/headers', (req, res) => {
          const before = [req.headers.cookie, { ...req.cookies }, { ...req.signedCookies }];
          void req.session.id;
          res.json(JSON.stringify(before) === JSON.stringify([req.headers.cookie, req.cookies, req.signedCookies]));
        }),
    });
    const client = app.browser();
    await logIn(client);
    client.jar.set('sid', 's%3Aattacker.signature');
    expect((await client.get('/headers')).json).toBe(true);
    expect(await subjectOf(client)).toBe('ann');
  });

  test('a cookie named as express-session is shown ours leads nowhere', async () => {
    const app = await open();
    const client = app.browser();
    await client.get('/set?a=1');
    const other = app.browser();
    other.jar.set('sid', client.jar.get(COOKIE) as string);
    other.jar.set('connect.sid', client.jar.get(COOKIE) as string);
    expect((await other.get('/data')).json).toEqual({});
  });

  test('an object made of the request has the session too, as a sub-app, a router and an error handler have', async () => {
    const sub = express();
    sub.get('/data', (req, res) => {
      dataOf(req).sub = true;
      res.json({});
    });
    const app = await open({
      routes: (it) => {
        it.get('/made', (req, res) => {
          dataOf(Object.create(req)).made = true;
          res.json({});
        });
        it.use('/sub', sub);
        it.get('/throws', () => {
          throw new Error('a bug');
        });
      },
      errorHandler: ((_error: unknown, req: express.Request, res: express.Response, _next: unknown) => {
        dataOf(req).seen = true;
        res.status(500).json({});
      }) as never,
    });
    const client = app.browser();
    await logIn(client);
    for (const path of ['/made', '/sub/data', '/throws']) await client.get(path);
    expect((await client.get('/data')).json).toEqual({ made: true, sub: true, seen: true });
  });
});

describe('beside others', () => {
  test('two modes of different cookies stack: each knows its own, the first lends the session', async () => {
    const store = await house.newStore();
    const admin = sessionAuth({
      store,
      secret: `${SECRET} of admins`,
      required: false,
      cookie: { name: '__Host-admin' },
    });
    const app = await open({
      store,
      before: (it) => {
        it.use(admin);
        it.post('/admin', (req, res, next) => {
          admin.login(req, res, { subject: 'root' }).then(() => res.json({}), next);
        });
      },
    });
    const client = app.browser();
    await logIn(client);
    expect(await subjectOf(client)).toBe('ann');
    await client.post('/admin');
    expect(await subjectOf(client)).toBe('root');
    await client.get('/set?a=1');
    expect((await client.get('/data')).json).toEqual({ a: '1' });
    expect((await client.post('/auth/logout')).status).toBe(204);
    expect(await subjectOf(client)).toBe('root');
  });

  test('an express-session in front keeps its req.session; ours still recognises, logs in and out', async () => {
    const app: SessionApp = await open({
      before: (it) =>
        void it.use(session({ secret: 'for this test', resave: false, saveUninitialized: false, name: 'theirs' })),
    });
    const client = app.browser();
    await client.get('/set?a=1');
    expect([...client.jar.keys()]).toEqual(['theirs']);
    await logIn(client);
    expect(await subjectOf(client)).toBe('ann');
    await client.get('/set?b=2');
    expect((await client.get('/data')).json).toEqual({ a: '1', b: '2' });
    await client.post('/auth/logout');
    expect([...client.jar.keys()]).toEqual(['theirs']);
    expect((await client.get('/data')).json).toEqual({ a: '1', b: '2' });
  });

  test('the middleware mounted twice does no harm', async () => {
    const app = await open({
      routes: (it, auth) => void it.use('/again', auth, (req, res) => void res.json(req.auth?.subject)),
    });
    const client = app.browser();
    await logIn(client);
    expect((await client.get('/again')).json).toBe('ann');
  });
});

test.each(['*', 'http://elsewhere.example/data'])(
  'a request target of %s is no reason to fall over',
  async (target) => {
    const app = await open({
      before: (it) =>
        void it.use((req, _res, next) => {
          Object.assign(req, { url: target, originalUrl: target });
          next();
        }),
    });
    expect((await app.browser().get('/data')).status).toBeLessThan(500);
  },
);
