import express from 'express';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import request from 'supertest';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { jwksHandler } from '../../lib/routes/jwks.ts';
import { mint } from '../../lib/token/issuer.ts';
import { localKeys } from '../../lib/token/local-keys.ts';
import { type HttpServer, serve } from '../support/http-server.ts';
import { keyFor } from '../token/key-material.ts';

const PATH = '/.well-known/jwks.json';
const inputs = [
  { kid: 'es', alg: 'ES256', key: keyFor('ES256') },
  { kid: 'rs', alg: 'RS256', key: keyFor('RS256') },
] as const;
const keys = localKeys(inputs);
const secrets = localKeys([{ kid: 'hs', alg: 'HS256', key: keyFor('HS256') }]);

let server: HttpServer;
beforeAll(async () => {
  const app = express()
    .use(PATH, jwksHandler(keys))
    .use('/secrets', jwksHandler(secrets))
    .use('/uncalled', jwksHandler as never);
  app.use((error: Error, _req: express.Request, res: express.Response, _next: express.NextFunction) => {
    res.status(500).send(`${error.name}: ${error.message}`);
  });
  server = await serve(app);
});
afterAll(() => server.close());
beforeEach(() => keys.replace(inputs));

describe('K09: the key set', () => {
  test('is served with its type, to be cached for five minutes, to anyone, without cookies', async () => {
    const res = await request(server.url).get(PATH).expect(200);
    expect(res.headers).toMatchObject({
      'content-type': 'application/jwk-set+json',
      'cache-control': 'public, max-age=300',
      'access-control-allow-origin': '*',
      etag: expect.stringMatching(/^"[\w-]{43}"$/),
    });
    expect(res.headers['set-cookie']).toBeUndefined();
    expect(res.body).toEqual(keys.jwks());
  });

  test('HEAD tells the same without a body', async () => {
    const [get, head] = [await request(server.url).get(PATH), await request(server.url).head(PATH).expect(200)];
    expect(head.headers['content-length']).toBe(get.headers['content-length']);
    expect(head.headers.etag).toBe(get.headers.etag);
    expect(head.text).toBeUndefined();
  });

  test.each(['post', 'put', 'delete', 'patch', 'options'] as const)('%s is not allowed', async (method) => {
    const res = await request(server.url)[method](PATH).expect(405);
    expect(res.headers.allow).toBe('GET, HEAD');
  });

  test.each([
    ['itself', (etag: string) => etag, 304],
    ['itself, weak', (etag: string) => `W/${etag}`, 304],
    ['itself among others', (etag: string) => `"x", ${etag} , "y"`, 304],
    ['anything', () => '*', 304],
    ['another', () => '"x"', 200],
    ['its own without quotes', (etag: string) => etag.slice(1, -1), 200],
    ['nothing', () => '', 200],
  ])('whoever knows %s is answered %3$i', async (_name, know, status) => {
    const { etag } = (await request(server.url).get(PATH)).headers as { etag: string };
    const res = await request(server.url).get(PATH).set('If-None-Match', know(etag)).expect(status);
    expect(res.headers.etag).toBe(etag);
    expect(res.headers['cache-control']).toBe('public, max-age=300');
    if (status === 304) expect(res.text).toBe('');
  });

  test('K10: keys that were replaced are another set', async () => {
    const before = await request(server.url).get(PATH);
    keys.replace([{ kid: 'new', alg: 'EdDSA', key: keyFor('EdDSA') }, ...inputs]);
    const after = await request(server.url)
      .get(PATH)
      .set('If-None-Match', before.headers.etag as string)
      .expect(200);
    expect(after.body.keys.map(({ kid }: { kid: string }) => kid)).toEqual(['new', 'es', 'rs']);
  });

  test('K08: holds no private member, and no secret at all', async () => {
    const published = (await request(server.url).get(PATH)).body as { keys: object[] };
    for (const key of published.keys) {
      for (const member of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']) expect(key).not.toHaveProperty(member);
    }
    expect((await request(server.url).get('/secrets')).body).toEqual({ keys: [] });
  });

  test('is what another verifier needs to take our tokens', async () => {
    const remote = createRemoteJWKSet(new URL(server.url + PATH));
    const { token } = mint({ keys, issuer: 'i', audience: 'a', lifetime: 60_000 }, { subject: 'u' });
    expect((await jwtVerify(token, remote, { issuer: 'i', audience: 'a' })).payload.sub).toBe('u');
  });
});

test('what cannot publish keys is refused, and so is the handler left uncalled', async () => {
  for (const wrong of [undefined, null, {}, 'x', { find() {} }]) {
    expect(() => jwksHandler(wrong as never)).toThrow(TypeError);
    expect(() => jwksHandler(wrong as never)).toThrow('jwksHandler: call it with localKeys([...])');
  }
  const res = await request(server.url).get('/uncalled').expect(500);
  expect(res.text).toContain('TypeError: jwksHandler: call it with localKeys([...])');
});
