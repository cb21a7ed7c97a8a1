import express, { type Express } from 'express';
import express4 from 'express4';
import {
  type AuthErrorHandlerOptions,
  authErrorHandler,
  jwtAuth,
  localKeys,
  requireRole,
  tokenIssuer,
} from 'portcullis';
import { afterEach, describe, expect, test } from 'vitest';
import { browser } from '../support/browser.ts';
import { type HttpServer, serve } from '../support/http-server.ts';
import { keyFor } from '../token/key-material.ts';

const keys = localKeys([{ kid: 'k', alg: 'HS256', key: keyFor('HS256') }]);
const ours = { issuer: 'https://app.example', audience: 'app', keys };
const issue = tokenIssuer({ ...ours, lifetime: '1h' });

const servers: HttpServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});

const PAGE = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8';

describe.each([5, 4] as const)('on Express %i', (version) => {
  async function open(options?: AuthErrorHandlerOptions) {
    const app = (version === 4 ? express4() : express()) as Express;
    app.get('/late', (_req, res, next) => {
      res.write('begun');
      jwtAuth({ ...ours, store: 'none' })({ headers: {}, rawHeaders: [] } as never, res, next);
    });
    app.get('/other', () => {
      throw Object.assign(new Error('of the application'), { status: 418, expose: true });
    });
    app.use(jwtAuth({ ...ours, store: 'none' }));
    app.use(requireRole('admin'));
    app.use(authErrorHandler(options));
    app.use(((error, _req, res, _next) => {
      if (res.headersSent) res.destroy();
      else res.status(error.status).send(`not ours: ${error.message}`);
    }) as express.ErrorRequestHandler);
    const server = await serve(app);
    servers.push(server);
    return browser(server.url);
  }

  test('a refusal is JSON, never cached, with its status and headers', async () => {
    const { status, json, headers } = await (await open()).get('/');
    expect([status, json]).toEqual([
      401,
      { error: 'unauthenticated', error_description: 'authentication is required' },
    ]);
    expect(headers).toMatchObject({
      'www-authenticate': 'Bearer',
      'cache-control': 'no-store',
      'content-type': expect.stringContaining('application/json'),
    });
  });

  test('every other error is passed on, and one after the head is too', async () => {
    const client = await open();
    expect((await client.get('/other')).text).toBe('not ours: of the application');
    await expect(client.get('/late')).rejects.toThrow();
  });

  test('a browser that asks for a page is sent to loginUrl; scripts, writes and 403 are not', async () => {
    const client = await open({ loginUrl: '/login' });
    const page = await client.get('/', { headers: { accept: PAGE } });
    expect([page.status, page.headers.location, page.headers['cache-control']]).toEqual([302, '/login', 'no-store']);
    for (const accept of ['application/json', '*/*', 'application/json, text/html']) {
      expect([accept, (await client.get('/', { headers: { accept } })).status]).toEqual([accept, 401]);
    }
    expect((await client.get('/')).status).toBe(401);
    expect((await client.post('/', '', { accept: PAGE })).status).toBe(401);
    const authorization = `Bearer ${issue({ subject: 'ann' })}`;
    expect((await client.get('/', { headers: { accept: PAGE, authorization } })).status).toBe(403);
  });

  test('loginUrl can be made of the request', async () => {
    const client = await open({
      loginUrl: (req, error) => `/login?next=${encodeURIComponent(req.originalUrl)}&why=${error.code}`,
    });
    const { headers } = await client.get('/a?b=c', { headers: { accept: PAGE } });
    expect(headers.location).toBe('/login?next=%2Fa%3Fb%3Dc&why=unauthenticated');
  });
});

test.each([
  ['an unknown option', { loginURL: '/x' }, 'did you mean "loginUrl"'],
  ['an empty URL', { loginUrl: '' }, '"loginUrl" must be a URL'],
  ['a URL that is none', { loginUrl: 7 }, '"loginUrl" must be a URL'],
  ['a request: passed on uncalled', { headers: {}, method: 'GET', url: '/' }, 'authErrorHandler: call it'],
])('a mistake is a sentence: %s', (_what, options, sentence) => {
  expect(() => authErrorHandler(options as never)).toThrow(sentence);
});
