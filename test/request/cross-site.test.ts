import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import express from 'express';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AuthError } from '../../lib/errors.ts';
import { type CrossSitePolicy, crossSitePolicy, isUnsafe } from '../../lib/request/cross-site.ts';
import { serve } from '../support/http-server.ts';
import { type RawTarget, sendRaw, serveTls } from '../support/raw-http.ts';

const express4 = createRequire(import.meta.url)('express4') as typeof express;

const OWN = 'https://app.example';
const TRUSTED = 'https://partner.example:8443';

const policies: Readonly<Record<string, CrossSitePolicy>> = {
  '/lax': crossSitePolicy('test', [TRUSTED], 'lax'),
  '/strict': crossSitePolicy('test', [TRUSTED], 'strict'),
  '/none': crossSitePolicy('test', [TRUSTED], 'none'),
  '/no-cookie': crossSitePolicy('test', [TRUSTED], undefined),
};

function answer(req: IncomingMessage, res: ServerResponse): void {
  try {
    if (isUnsafe(req)) policies[req.url ?? '']?.check(req);
    res.end('passed');
  } catch (error) {
    if (!(error instanceof AuthError)) throw error;
    res.statusCode = error.status;
    res.end(error.code);
  }
}

function behindProxy(app: express.Express): RequestListener {
  return app.set('trust proxy', 1).use(answer) as RequestListener;
}

// Each is https://app.example: two by their proxy's word, one by its own socket.
const KINDS = [
  ['Express 5', () => serve(behindProxy(express()))],
  ['Express 4', () => serve(behindProxy(express4()))],
  ['node:https', () => serveTls(answer)],
] as const;

const COLUMNS: readonly (readonly [name: string, headers: readonly string[]])[] = [
  ['neither Origin nor Referer', []],
  ['our Origin', [`Origin: ${OWN}`]],
  ['a foreign Origin', ['Origin: https://evil.example']],
  ['a trusted Origin', [`Origin: ${TRUSTED}`]],
  ['our Referer', [`Referer: ${OWN}/form?x=https://evil.example`]],
  ['a foreign Referer', [`Referer: https://evil.example/?${OWN}/`]],
];

// One letter a column: passed or refused.
const MATRIX: readonly (readonly [site: string, headers: readonly string[], outcomes: string])[] = [
  ['same-origin', ['Sec-Fetch-Site: same-origin'], 'pppppp'],
  ['none', ['Sec-Fetch-Site: none'], 'pppppp'],
  ['same-site', ['Sec-Fetch-Site: same-site'], 'rprprr'],
  ['cross-site', ['Sec-Fetch-Site: cross-site'], 'rprprr'],
  ['absent', [], 'pprppr'],
  ['Same-Origin', ['Sec-Fetch-Site: Same-Origin'], 'pprppr'],
  ['bogus', ['Sec-Fetch-Site: bogus'], 'pprppr'],
  ['two headers', ['Sec-Fetch-Site: same-origin', 'Sec-Fetch-Site: same-origin'], 'pprppr'],
];

const CELLS = MATRIX.flatMap(([site, siteHeaders, outcomes]) =>
  COLUMNS.map(
    ([name, headers], at) => [site, name, [...siteHeaders, ...headers], outcomes[at] === 'p' ? 200 : 403] as const,
  ),
);

const REFUSED_ORIGINS = [
  'null',
  '',
  'https://app.example.evil',
  'https://evilapp.example',
  'https://app.example:444',
  'http://app.example',
  'https://app.example@evil',
  'https://evil@app.example',
  'https://sub.app.example',
  'https://app.example.',
  Buffer.from('https://\u0430pp.example').toString('latin1'),
  'https://app\u00ad.example',
  'https://app.example/x',
  'https://app.example/',
  'https://app.example?',
  'https://app.example#',
  'https://app.example:',
  'https://%61pp.example',
  'https:\\\\app.example',
  'https:app.example',
  'https://app.example https://app.example',
  'file://',
  'chrome-extension://abcdefghijklmnop',
  '*',
];

describe.each(KINDS)('crossSitePolicy on %s', (_, start) => {
  let server: Awaited<ReturnType<typeof start>>;
  beforeAll(async () => {
    server = await start();
  });
  afterAll(() => server.close());

  const send = (headers: readonly string[], path = '/lax', method = 'POST') =>
    sendRaw(server, ['X-Forwarded-Proto: https', 'Content-Length: 0', ...headers], `${method} ${path} HTTP/1.1`);

  test.each(CELLS)('X01, X02: Sec-Fetch-Site %s with %s', async (_site, _name, headers, status) => {
    const got = await send(headers);
    expect([got.status, got.body]).toEqual([status, status === 200 ? 'passed' : 'cross_site_request']);
  });

  test.each(REFUSED_ORIGINS)('X04: Origin %j is refused', async (origin) => {
    expect((await send([`Origin: ${origin}`])).status).toBe(403);
  });

  test('X04: two Origin headers are refused, be both our own', async () => {
    expect((await send([`Origin: ${OWN}`, `Origin: ${OWN}`])).status).toBe(403);
  });

  test('X04: our own Origin in uppercase passes', async () => {
    expect((await send(['Origin: https://APP.example'])).status).toBe(200);
    expect((await send(['Origin: https://app.example', 'Host: APP.EXAMPLE:443'])).status).toBe(200);
  });

  test('X04: the port of our Host counts', async () => {
    expect((await send(['Host: app.example:3000', 'Origin: https://app.example:3000'])).status).toBe(200);
    expect((await send(['Host: app.example:3000', 'Origin: https://app.example'])).status).toBe(403);
  });

  test.each([
    'https://app.example.evil/',
    'https://app.example@evil/',
    'null',
    '',
    'about:blank',
    'http://app.example/',
    'https://app.example\\.evil/',
  ])('X03: Referer %j is refused', async (referer) => {
    expect((await send([`Referer: ${referer}`])).status).toBe(403);
  });

  test('X03: a trusted Referer passes', async () => {
    expect((await send([`Referer: ${TRUSTED}/page`])).status).toBe(200);
  });

  test.each([
    ['/lax', 200],
    ['/strict', 200],
    ['/no-cookie', 200],
    ['/none', 403],
  ])('X03: with nothing that tells a browser, %s is answered %i', async (path, status) => {
    expect((await send([], path)).status).toBe(status);
  });

  test('X03: under SameSite=None our own pages still pass', async () => {
    expect((await send(['Sec-Fetch-Site: same-origin'], '/none')).status).toBe(200);
    expect((await send([`Origin: ${OWN}`], '/none')).status).toBe(200);
    expect((await send([`Referer: ${OWN}/`], '/none')).status).toBe(200);
  });

  test.each(['POST', 'PUT', 'PATCH', 'DELETE', 'PROPFIND'])('X01: %s is asked', async (method) => {
    expect((await send(['Sec-Fetch-Site: cross-site'], '/lax', method)).status).toBe(403);
  });

  test.each(['GET', 'HEAD', 'OPTIONS', 'TRACE'])('X08: %s is not asked', async (method) => {
    expect((await send(['Sec-Fetch-Site: cross-site'], '/lax', method)).status).toBe(200);
  });

  test.each(['application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'text/plain', 'application/json'])(
    'X09: %s changes nothing',
    async (type) => {
      expect((await send(['Origin: https://evil.example', `Content-Type: ${type}`])).status).toBe(403);
      expect((await send([`Origin: ${OWN}`, `Content-Type: ${type}`])).status).toBe(200);
    },
  );

  test('X09: a method override in a header changes nothing', async () => {
    expect((await send(['Origin: https://evil.example', 'X-HTTP-Method-Override: GET'])).status).toBe(403);
  });
});

describe('crossSitePolicy', () => {
  test.each([
    ['Express 5', express],
    ['Express 4', express4],
  ])('L15: on %s X-Forwarded-Host is believed from a trusted proxy only', async (_, framework) => {
    const headers = [
      'X-Forwarded-Host: app.example:8443, inner',
      'X-Forwarded-Proto: https',
      'Host: inner',
      'Content-Length: 0',
    ];
    const trusting = await serve(framework().set('trust proxy', 1).use(answer) as RequestListener);
    const plain = await serve(framework().use(answer) as RequestListener);
    const send = (server: RawTarget, origin: string) =>
      sendRaw(server, [...headers, `Origin: ${origin}`], 'POST /lax HTTP/1.1');
    expect((await send(trusting, 'https://app.example:8443')).status).toBe(200);
    expect((await send(trusting, 'http://inner')).status).toBe(403);
    expect((await send(plain, 'https://app.example:8443')).status).toBe(403);
    expect((await send(plain, 'http://inner')).status).toBe(200);
    await trusting.close();
    await plain.close();
  });

  // As method-override leaves a request.
  const overriding = (method: string) => (req: IncomingMessage, res: ServerResponse) => {
    Object.assign(req, { originalMethod: req.method, method });
    answer(req, res);
  };

  test.each([
    ['POST', 'GET'],
    ['GET', 'DELETE'],
  ])('X09: a %s rewritten to %s before us is asked', async (sent, handled) => {
    const server = await serve(overriding(handled));
    const got = await sendRaw(server, ['Sec-Fetch-Site: cross-site', 'Content-Length: 0'], `${sent} /lax HTTP/1.1`);
    await server.close();
    expect(got.status).toBe(403);
  });

  test('X11: a WebSocket upgrade from another site is refused, from ours not', async () => {
    const server = await serve(answer);
    server.server.on('upgrade', (req, socket) => {
      try {
        policies['/lax']?.check(req);
        socket.end('HTTP/1.1 101 Switching Protocols\r\n\r\n');
      } catch (error) {
        socket.end(`HTTP/1.1 ${(error as AuthError).status} Refused\r\n\r\n`);
      }
    });
    const upgrade = async (...headers: string[]) =>
      (await sendRaw(server, ['Upgrade: websocket', 'Connection: Upgrade', ...headers])).status;
    expect(await upgrade('Origin: http://app.example')).toBe(101);
    expect(await upgrade('Origin: https://evil.example')).toBe(403);
    expect(await upgrade('Origin: null')).toBe(403);
    expect(await upgrade('Sec-Fetch-Site: cross-site')).toBe(403);
    await server.close();
  });

  test.each([
    ['*', 'https://app.example'],
    ['null', 'https://app.example'],
    ['', 'https://app.example'],
    ['app.example', 'https://app.example'],
    ['https://*.app.example', 'https://app.example'],
    ['file://', 'https://app.example'],
    [undefined, 'https://app.example'],
    ['https://partner.example/', 'https://partner.example'],
    ['https://partner.example/path?x#y', 'https://partner.example'],
    ['https://partner.example:443', 'https://partner.example'],
    ['https://Partner.example', 'https://partner.example'],
    ['https://user@partner.example', 'https://partner.example'],
    ['https://b\u00fccher.example', 'https://xn--bcher-kva.example'],
  ])('trustedOrigins: %j is refused, and the message says what to write', (origin, right) => {
    const make = () => crossSitePolicy('jwtAuth', [origin as string], 'lax');
    expect(make).toThrow(TypeError);
    expect(make).toThrow(
      `jwtAuth: "trustedOrigins" holds ${JSON.stringify(origin)}, which is no origin; write "${right}"`,
    );
  });

  test('trustedOrigins: a string in place of a list is refused', () => {
    expect(() => crossSitePolicy('jwtAuth', 'https://app.example' as never, 'lax')).toThrow(/must be a list/);
  });

  test.each([
    'https://a.example',
    'http://a.example',
    'http://localhost:5173',
    'http://[::1]:3000',
    'https://xn--bcher-kva.example',
  ])('trustedOrigins: %s is taken', (origin) => {
    expect(() => crossSitePolicy('jwtAuth', [origin], 'lax')).not.toThrow();
  });
});
