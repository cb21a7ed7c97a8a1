import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { createGzip, type Gzip, gunzipSync } from 'node:zlib';
import type { Express, Request, RequestHandler, Response } from 'express';
import { type AuthStore, redisStore } from 'portcullis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Browser } from '../support/browser.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';
import { COOKIE, dataOf, logIn, type SessionApp, type SessionAppOptions, sessionApp } from './app.ts';

let redis: RedisServer;
let folder: string;
let store: AuthStore;
beforeAll(async () => {
  redis = await startRedis();
  folder = await mkdtemp(join(tmpdir(), 'portcullis-gate-'));
  writeFileSync(join(folder, 'page.txt'), 'a page of text\n'.repeat(20_000));
});
afterAll(async () => {
  await redis.stop();
  await rm(folder, { recursive: true });
});

let prefix = 0;
const opened: SessionApp[] = [];
beforeEach(async () => {
  store = redisStore(await redis.client(), { prefix: `g${prefix++}:`, timeout: '2s' });
  await store.ready();
});
afterEach(async () => {
  await redis.cli('CONFIG', 'SET', 'maxmemory', '0');
  for (const { server } of opened.splice(0)) await server.close();
  await store.close();
});

async function open(routes: (app: Express) => void, options: Partial<SessionAppOptions> = {}): Promise<SessionApp> {
  const app = await sessionApp({ store, routes, ...options });
  opened.push(app);
  return app;
}

/** From now on Redis refuses to store anything, and answers everything else. */
const refuseWrites = () => redis.cli('CONFIG', 'SET', 'maxmemory', '1');

const LONG = 'a line of some length\n'.repeat(10_000);

/** Changes the session, and gives the value where one is wanted. */
function put<Value>(req: Request, name: string, value: Value): Value {
  dataOf(req)[name] = value;
  return value;
}

/** Every way in which a handler answers; each changes the session first, unless it says how itself. */
const WAYS: Readonly<Record<string, (req: Request, res: Response) => unknown>> = {
  'res.json': (_req, res) => res.json({ done: true }),
  'res.send of a string': (_req, res) => res.send('done'),
  'res.send of a buffer': (_req, res) => res.send(Buffer.from('done')),
  'res.end()': (_req, res) => res.end(),
  'res.end(text)': (_req, res) => res.end('done'),
  'res.end(text, encoding)': (_req, res) => res.end('ZG9uZQ==', 'base64'),
  'res.end(bytes)': (_req, res) => res.end(new Uint8Array([100, 111, 110, 101])),
  'res.end(callback)': (_req, res) => res.end(() => {}),
  'res.end(text, encoding, callback)': (_req, res) => res.end('done', 'utf8', () => {}),
  'res.write, then res.end': (_req, res) => {
    res.write('do');
    res.write('ne');
    res.end();
  },
  'res.writeHead': (_req, res) => res.writeHead(200, { 'x-way': 'head' }).end('done'),
  'res.writeHead with a reason and a list': (_req, res) => res.writeHead(200, 'Fine', ['x-way', 'list']).end('done'),
  'res.flushHeaders': async (_req, res) => {
    res.flushHeaders();
    await sleep(5);
    res.end('done');
  },
  'res.sendStatus': (_req, res) => res.sendStatus(200),
  'res.sendFile': (_req, res) => res.sendFile(join(folder, 'page.txt')),
  'a pipe': (_req, res) => Readable.from(Array.from({ length: 50 }, () => LONG)).pipe(res),
  'stream.pipeline': (_req, res) => pipeline(Readable.from(Array.from({ length: 50 }, () => LONG)), res),
  'a loop that waits for drain': async (_req, res) => {
    for (let turn = 0; turn < 20; turn++) if (!res.write(LONG)) await once(res, 'drain');
    res.end();
  },
};

/** The compressor everybody has: it replaces `write` and `end`, and makes the head in them. */
function compressor(): RequestHandler {
  return (_req, res, next) => {
    const { write, end, writeHead, on } = res;
    let gzip: Gzip | undefined;
    const waiting: any[] = [];
    let ended = false;
    const begin = () => {
      if (!res.headersSent) (res as unknown as { _implicitHeader(): void })._implicitHeader();
    };
    res.writeHead = function (this: Response, ...args: any[]) {
      if (gzip === undefined && !res.headersSent) {
        res.setHeader('Content-Encoding', 'gzip');
        res.removeHeader('Content-Length');
        gzip = createGzip().setMaxListeners(0);
        gzip.on('data', (chunk: Buffer) => {
          if ((write as any).call(res, chunk) === false) {
            gzip?.pause();
            if (res.listenerCount('drain') === 0) on.call(res, 'drain', () => gzip?.resume());
          }
        });
        gzip.on('end', () => (end as any).call(res));
        for (const listener of waiting) gzip.on('drain', listener);
      }
      return (writeHead as any).apply(this, args);
    } as never;
    // Who waits for the response waits for the stream that is in front of it.
    res.on = ((type: string, listener: any) => {
      if (type !== 'drain') return on.call(res, type, listener);
      if (gzip) gzip.on(type, listener);
      else waiting.push(listener);
      return res;
    }) as never;
    res.write = ((chunk: any, ...rest: any[]) => {
      if (ended) return false;
      begin();
      return gzip ? gzip.write(Buffer.from(chunk, rest[0])) : (write as any).call(res, chunk, ...rest);
    }) as never;
    res.end = ((chunk: any, ...rest: any[]) => {
      if (ended) return false;
      ended = true;
      begin();
      if (gzip === undefined) return (end as any).call(res, chunk, ...rest);
      const isChunk = typeof chunk === 'string' || chunk instanceof Uint8Array;
      return isChunk
        ? gzip.end(Buffer.from(chunk as string, typeof rest[0] === 'string' ? (rest[0] as 'utf8') : 'utf8'))
        : gzip.end();
    }) as never;
    next();
  };
}

const addWays = (change: boolean) => (app: Express) => {
  for (const [at, way] of Object.values(WAYS).entries()) {
    app.all(`/way${at}`, async (req, res, next) => {
      if (change) dataOf(req).way = at;
      await Promise.resolve(way(req, res)).catch(next);
    });
  }
};

describe.each([4, 5] as const)('on Express %i', (version) => {
  test.each(Object.keys(WAYS))('S23: %s leaves with the session stored, and with its cookie', async (name) => {
    const app = await open(addWays(true), { express: version });
    const at = Object.keys(WAYS).indexOf(name);
    const client = app.browser();
    const bare = await open(addWays(false), { express: version });
    const { status, text, cookies } = await client.get(`/way${at}`);
    expect([status, cookies.length]).toEqual([200, 1]);
    expect(text).toBe((await bare.browser().get(`/way${at}`)).text);
    expect((await client.get('/data')).json).toEqual({ way: at });
  });

  test.each(Object.keys(WAYS))(
    'S23: %s is a 503 without headers or cookies when the session is not stored',
    async (name) => {
      const app = await open(
        (it) => {
          it.use((_req, res, next) => {
            res.set('X-Secret', 'of the handler').cookie('other', 'of the handler').status(201);
            next();
          });
          addWays(true)(it);
        },
        {
          express: version,
          before: (it) => it.use((_req, res, next) => void next(res.set('X-Before', 'stays') && null)),
        },
      );
      const client = app.browser();
      await refuseWrites();
      const { status, headers, cookies, json } = await client.get(`/way${Object.keys(WAYS).indexOf(name)}`);
      expect([status, headers['retry-after'], headers['x-before']]).toEqual([503, '1', 'stays']);
      expect(json).toEqual({ error: 'store_unavailable', error_description: expect.any(String) });
      expect([headers['x-secret'], headers['x-way'], headers['content-encoding'], cookies]).toEqual([
        undefined,
        undefined,
        undefined,
        [],
      ]);
    },
  );
});

describe.each(['before', 'after'])('with a compressor mounted %s the sessions', (place) => {
  const options = place === 'before' ? { before: (app: Express) => void app.use(compressor()) } : {};
  const mount = (change: boolean) => (app: Express) => {
    if (place === 'after') app.use(compressor());
    addWays(change)(app);
    app.get('/inline', (req, res) => void res.end(`visits: ${put(req, 'visits', 7)}`));
  };

  test.each(Object.keys(WAYS))('S23: %s leaves compressed, with the session stored', async (name) => {
    const app = await open(mount(true), options);
    const at = Object.keys(WAYS).indexOf(name);
    const { status, headers, cookies, body } = await raw(app, `/way${at}`);
    expect([status, headers.includes('content-encoding: gzip'), cookies.length]).toEqual([200, true, 1]);
    const plain = await (await open(addWays(false))).browser().get(`/way${at}`);
    expect(gunzipSync(body).toString()).toBe(plain.text);
    const client = app.browser();
    client.jar.set(COOKIE, cookies[0]?.split(/[=;]/)[1] as string);
    const { body: data } = await raw(app, '/data', { cookie: `${COOKIE}=${client.jar.get(COOKIE)}` });
    const text = place === 'before' ? gunzipSync(data).toString() : data.toString();
    expect(JSON.parse(text)).toEqual({ way: at });
  });

  test.each(Object.keys(WAYS))('S23: %s is a whole 503 when the session is not stored', async (name) => {
    const app = await open(mount(true), options);
    await refuseWrites();
    const { status, headers, cookies, body } = await raw(app, `/way${Object.keys(WAYS).indexOf(name)}`);
    const text = headers.includes('content-encoding: gzip') ? gunzipSync(body).toString() : body.toString();
    expect([status, JSON.parse(text).error, cookies]).toEqual([503, 'store_unavailable', []]);
  });

  test('S23: a session begun in the very arguments of res.end is stored, or the answer is a 503', async () => {
    const app = await open(mount(true), options);
    const { status, body, cookies } = await raw(app, '/inline');
    expect([status, gunzipSync(body).toString(), cookies.length]).toEqual([200, 'visits: 7', 1]);
    await refuseWrites();
    // A compressor in the way has made the head already: then it breaks off.
    const failed = await raw(app, '/inline').catch((error) => error);
    if (place === 'before') expect(failed.status).toBe(503);
    else expect(failed.code).toBe('ECONNRESET');
    // Whether the compressor or Redis is the faster, nothing is left that nobody catches.
    await Promise.all(Array.from({ length: 50 }, () => raw(app, '/inline').catch(() => {})));
  });
});

describe('S23: a session begun in the very arguments of', () => {
  test.each(['end', 'write'] as const)(
    'res.%s is stored before they are sent, or the answer is a 503',
    async (method) => {
      const app = await open((it) => {
        it.get('/inline', (req, res) => {
          res[method](`visits: ${put(req, 'visits', 7)}`);
          res.end();
        });
      });
      const client = app.browser();
      const { status, text, cookies } = await client.get('/inline');
      expect([status, text, cookies.length]).toEqual([200, 'visits: 7', 1]);
      expect((await client.get('/data')).json).toEqual({ visits: 7 });
      await refuseWrites();
      expect((await app.browser().get('/inline')).status).toBe(503);
    },
  );
});

describe('S24:', () => {
  test('HEAD is answered without a body, its session stored', async () => {
    const app = await open((it) =>
      it.all('/page', (req, res) => {
        put(req, 'n', 1);
        res.send('page');
      }),
    );
    const client = app.browser();
    const { status, text, headers, cookies } = await client.send('HEAD', '/page');
    expect([status, text, headers['content-length'], cookies.length]).toEqual([200, '', '4', 1]);
    expect((await client.get('/data')).json).toEqual({ n: 1 });
    await refuseWrites();
    expect((await client.send('HEAD', '/set?n=2')).status).toBe(503);
  });

  test.each([204, 304])('%i has no body, its session stored; a failed one is a 503 with a body', async (code) => {
    const app = await open((it) =>
      it.get('/empty', (req, res) => {
        dataOf(req).n = 1;
        res.status(code).end();
      }),
    );
    const client = app.browser();
    const { status, text } = await client.get('/empty');
    expect([status, text]).toEqual([code, '']);
    expect((await client.get('/data')).json).toEqual({ n: 1 });
    await refuseWrites();
    const failed = await app.browser().get('/empty');
    expect([failed.status, failed.json.error]).toEqual([503, 'store_unavailable']);
  });

  test('a 304 of Express, by ETag, keeps its session', async () => {
    const app = await open((it) =>
      it.get('/page', (req, res) => {
        dataOf(req).visits = Number(dataOf(req).visits ?? 0) + 1;
        res.send('page');
      }),
    );
    const client = app.browser();
    const { headers } = await client.get('/page');
    const again = await client.get('/page', { headers: { 'if-none-match': String(headers.etag) } });
    expect([again.status, again.text]).toEqual([304, '']);
    expect((await client.get('/data')).json).toEqual({ visits: 2 });
  });

  test('a redirect leaves only once the session is stored', async () => {
    const app = await open((it) =>
      it.get('/go', (req, res) => {
        put(req, 'at', 'go');
        res.redirect('/data');
      }),
    );
    for (let turn = 0; turn < 50; turn++) {
      const client = app.browser();
      const { status, headers } = await client.get('/go');
      expect([status, headers.location]).toEqual([302, '/data']);
      expect((await client.get('/data')).json).toEqual({ at: 'go' });
    }
  });

  test('res.end twice, and a second answer, change nothing of the first', async () => {
    const app = await open((it) => {
      it.get('/twice', (req, res) => {
        dataOf(req).n = 1;
        res.end('first');
        res.end('second');
      });
      it.get('/both', (req, res) => {
        dataOf(req).n = 1;
        res.status(201).json('first');
        res.status(500).json('a second answer, much longer');
      });
      it.get('/and-next', (req, res, next) => {
        dataOf(req).n = 1;
        res.json('first');
        next();
      });
    });
    const client = app.browser();
    expect(await client.get('/twice')).toMatchObject({ status: 200, text: 'first' });
    expect(await client.get('/and-next')).toMatchObject({ status: 200, json: 'first' });
    const bare = await open((it) =>
      it.get('/both', (_req, res) => {
        res.json(1);
        res.json(2);
      }),
    );
    await bare
      .browser()
      .get('/both')
      .catch(() => undefined);
    // What Node says of a second answer on any response.
    await client.get('/both').catch(() => undefined);
    expect(app.errors.map((error) => (error as { code?: string }).code)).toEqual(
      bare.errors.map((error) => (error as { code?: string }).code),
    );
    expect((await client.get('/data')).json).toEqual({ n: 1 });
  });

  test('headersSent is true, and headers are shut, while the response waits', async () => {
    const seen: unknown[] = [];
    const app = await open((it) =>
      it.get('/late', (req, res) => {
        dataOf(req).n = 1;
        res.status(201).end('first');
        res.statusCode = 500;
        seen.push(res.headersSent);
        try {
          res.setHeader('X-Late', 'yes');
        } catch (error) {
          seen.push((error as { code: string }).code);
        }
      }),
    );
    const { status, headers } = await app.browser().get('/late');
    expect([status, headers['x-late'], seen]).toEqual([201, undefined, [true, 'ERR_HTTP_HEADERS_SENT']]);
  });

  test('callbacks of write and end are called, in order', async () => {
    const called: string[] = [];
    const app = await open((it) =>
      it.get('/calls', (req, res) => {
        dataOf(req).n = 1;
        res.write('a', () => called.push('write'));
        res.end('b', () => called.push('end'));
      }),
    );
    expect((await app.browser().get('/calls')).text).toBe('ab');
    await expect.poll(() => called).toEqual(['write', 'end']);
  });

  test('a session changed while the body is streamed is stored before the response ends', async () => {
    const app = await open((it) =>
      it.get('/stream', async (req, res) => {
        res.write('begun');
        await sleep(5);
        dataOf(req).progress = 'done';
        res.end('ended');
      }),
    );
    const client = app.browser();
    await logIn(client);
    expect((await client.get('/stream')).text).toBe('begunended');
    expect((await client.get('/data')).json).toEqual({ progress: 'done' });
  });

  test('a stream whose last change cannot be stored breaks off: it does not end well', async () => {
    const app = await open((it) =>
      it.get('/stream', async (req, res) => {
        res.write('begun');
        await refuseWrites();
        dataOf(req).progress = 'done';
        res.end('ended');
      }),
    );
    const client = app.browser();
    await logIn(client);
    await expect(client.get('/stream')).rejects.toThrow();
    await expect.poll(() => app.errors.length).toBe(1);
    await redis.cli('CONFIG', 'SET', 'maxmemory', '0');
    expect((await client.get('/data')).json).toEqual({});
  });

  test('a session that a visitor begins once the head has left breaks the response off, for its cookie is lost', async () => {
    const app = await open((it) =>
      it.get('/late', async (req, res) => {
        res.write('begun');
        await sleep(5);
        dataOf(req).n = 1;
        res.end('ended');
      }),
    );
    await expect(app.browser().get('/late')).rejects.toThrow();
    await expect.poll(() => app.errors.map(String)).toEqual([expect.stringContaining('use req.session before')]);
    expect(await redis.cli('KEYS', `g${prefix - 1}:row*`)).toBe('');
  });

  test('a client that goes away while its session is stored leaves it consistent', async () => {
    const app = await open((it) =>
      it.get('/slow', async (req, res) => {
        dataOf(req).n = 1;
        await sleep(20);
        res.end('too late');
      }),
    );
    const client = app.browser();
    await logIn(client);
    const socket = connect(app.server.port, '127.0.0.1');
    socket.write(`GET /slow HTTP/1.1\r\nHost: a\r\nCookie: ${COOKIE}=${client.jar.get(COOKIE)}\r\n\r\n`);
    await sleep(10);
    socket.destroy();
    await expect.poll(async () => (await client.get('/data')).json).toEqual({ n: 1 });
    expect(app.errors).toEqual([]);
  });

  test('requests that come one after the other on one connection are answered in order', async () => {
    const app = await open(() => {});
    const client = app.browser();
    await logIn(client);
    const socket = connect(app.server.port, '127.0.0.1');
    const head = `HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\nCookie: ${COOKIE}=${client.jar.get(COOKIE)}\r\n`;
    socket.write(`GET /set?a=1 ${head}\r\nGET /me ${head}\r\nGET /set?b=2 ${head}Connection: close\r\n\r\n`);
    let text = '';
    for await (const chunk of socket) text += chunk;
    const bodies = text
      .split('\r\n\r\n')
      .slice(1)
      .map((part) => part.split('HTTP/1.1')[0]);
    expect(bodies.map((body) => JSON.parse(body as string))).toMatchObject([
      { a: '1' },
      { subject: 'ann' },
      { b: '2' },
    ]);
  });
});

describe('errors', () => {
  const circle: { self?: unknown } = {};
  circle.self = circle;

  test.each([
    ['a circle', circle],
    ['a BigInt', 1n],
    ['a toJSON that throws', { toJSON: () => JSON.parse('{') }],
  ])(
    'S20: %s in the session is a 500 at once, though the error handler answers through the same response',
    async (_what, value) => {
      const app = await open((it) =>
        it.get('/bad', (req, res) => {
          put(req, 'bad', value);
          res.json('ok');
        }),
      );
      const { status, json, cookies } = await app.browser().get('/bad');
      expect([status, json, cookies]).toEqual([500, { error: 'unexpected' }, []]);
    },
  );

  test('an answer that Node refuses is a 500, though it waited', async () => {
    const app = await open((it) => {
      it.get('/chunk', (req, res) => {
        put(req, 'n', 1);
        res.end(7 as never);
      });
      it.get('/status', (req, res) => {
        put(req, 'n', 1);
        res.writeHead(7_000).end();
      });
    });
    const client = app.browser();
    expect((await client.get('/chunk')).status).toBe(500);
    expect((await client.get('/status')).status).toBe(500);
  });

  test('an error handler that takes its time answers, and whoever began the response cannot end it well nor the process', async () => {
    const app = await open(
      (it) =>
        it.get('/zombie', async (req, res) => {
          dataOf(req).n = 1;
          res.write('secret');
          await sleep(10);
          res.end('more secrets');
          await sleep(30);
          res.write('still there', () => {});
          res.end();
        }),
      {
        errorHandler: async (_error: unknown, _req: Request, res: Response, _next: unknown) => {
          res.status(503).set('X-Handler', 'slow');
          await sleep(30);
          if (!res.headersSent) res.send('sorry');
        },
      } as never,
    );
    await refuseWrites();
    const { status, text } = await app.browser().get('/zombie');
    expect(status).toBe(503);
    expect(text).not.toContain('200');
    await sleep(80);
    expect((await app.browser().get('/me')).status).toBe(200);
  });

  test('a handler that throws before it answers keeps what it changed, as with express-session', async () => {
    const app = await open((it) =>
      it.get('/throw', (req) => {
        dataOf(req).n = 1;
        throw new Error('a bug');
      }),
    );
    const client = app.browser();
    expect((await client.get('/throw')).status).toBe(500);
    expect((await client.get('/data')).json).toEqual({ n: 1 });
  });

  test('without Express in front, a failed save is a bare 503', async () => {
    const { createServer } = await import('node:http');
    const { sessionAuth } = await import('portcullis');
    const auth = sessionAuth({ store, secret: 'for this test alone, and for no other one', cookie: { secure: false } });
    const server = createServer((req, res) => {
      const answered = async () => {
        await auth.login(req as never, res as never, { subject: 'ann' });
        await refuseWrites();
        dataOf(req).n = 1;
        res.end('done');
      };
      answered().catch(() => res.destroy());
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const answer = await fetch(`http://127.0.0.1:${port}/`);
    expect([answer.status, answer.headers.get('retry-after'), answer.headers.get('set-cookie')]).toEqual([
      503,
      '1',
      null,
    ]);
    server.close();
  });
});

test('C14: a cookie of ours outlives a Set-Cookie that the application gives to writeHead', async () => {
  const app = await open((it) => {
    it.get('/object', (req, res) => {
      put(req, 'n', 1);
      res.writeHead(200, { 'Set-Cookie': 'other=1' }).end();
    });
    it.get('/list', (req, res) => {
      put(req, 'n', 1);
      res.writeHead(200, ['set-cookie', 'other=1']).end();
    });
  });
  for (const path of ['/object', '/list']) {
    const client = app.browser();
    await client.get(path);
    expect([...client.jar.keys()].sort()).toEqual([COOKIE, 'other']);
  }
});

async function raw(app: SessionApp, path: string, headers: Record<string, string> = {}) {
  const { request } = await import('node:http');
  return new Promise<{ status: number; headers: string; cookies: string[]; body: Buffer }>((resolve, reject) => {
    const sent = request(new URL(path, app.server.url), {
      headers: { 'x-forwarded-proto': 'https', ...headers },
      agent: false,
    });
    sent.on('error', reject).end();
    sent.on('response', async (res) => {
      const chunks: Buffer[] = [];
      res.on('error', reject);
      for await (const chunk of res) chunks.push(chunk);
      const lines = Object.entries(res.headers).map(([name, value]) => `${name}: ${value}`);
      resolve({
        status: res.statusCode ?? 0,
        headers: lines.join('\n'),
        cookies: res.headers['set-cookie'] ?? [],
        body: Buffer.concat(chunks),
      });
    });
  });
}

export type { Browser };
