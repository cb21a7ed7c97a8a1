import { execFile } from 'node:child_process';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import express from 'express';
import { jwtAuth, remoteKeys, type VerificationKeys } from 'portcullis';
import { afterAll, describe, expect, test } from 'vitest';
import { serve } from '../support/http-server.ts';
import { hearWarnings } from '../support/warnings.ts';
import { goodClaims, type IssuerKey, issuerKey, type KeyServer, startKeyServer } from './key-server.ts';

// Many of these tests run at once: what they opened is closed in the end.
const open: { close(): Promise<void> }[] = [];
afterAll(() => Promise.all(open.map((server) => server.close())));

async function keyServer(...keys: readonly (IssuerKey | object)[]): Promise<KeyServer> {
  const server = await startKeyServer(...keys);
  open.push(server);
  return server;
}

type Options = Parameters<typeof remoteKeys>[1];

const keysAt = (server: { readonly url: string }, options: Partial<Options> = {}) =>
  remoteKeys(`${server.url}/jwks.json`, { algorithms: ['ES256'], ...options });
const asking = ({ kid, alg }: IssuerKey) => ({ kid, alg });
const unknown = () => ({ kid: `made-up-${Math.random()}`, alg: 'ES256' });
const unreachable = /the issuer's keys cannot be fetched/;

/** Asks until the answer is what one waits for; gives the milliseconds it took. */
async function until(isSo: () => unknown): Promise<number> {
  const start = performance.now();
  while (!(await isSo())) await sleep(25);
  return performance.now() - start;
}

async function apiWith(keys: VerificationKeys, issuer = 'https://issuer.example') {
  const app = express();
  app.use(jwtAuth({ issuer, audience: 'api', keys, store: 'none' }));
  app.get('/', (req, res) => void res.json(req.auth));
  const server = await serve(app);
  open.push(server);
  return (token: string) => fetch(server.url, { headers: { Authorization: `Bearer ${token}` } });
}
const claims = (more: object = {}) => goodClaims({ iss: 'https://issuer.example', aud: 'api', ...more });

describe.concurrent('fetching', () => {
  test('nothing is fetched before a key is needed, and then once for all who ask', async () => {
    const a = issuerKey('a');
    const server = await keyServer(a);
    const keys = keysAt(server);
    await sleep(50);
    expect(server.asked).toEqual([]);
    const found = await Promise.all(Array.from({ length: 500 }, () => keys.find(asking(a))));
    expect(found.map((key) => key?.kid)).toEqual(Array(500).fill('a'));
    expect(server.asked).toEqual(['/jwks.json']);
  });

  test('a known key is found without waiting', async () => {
    const a = issuerKey('a');
    const keys = keysAt(await keyServer(a));
    await keys.find(asking(a));
    expect(keys.find(asking(a))).toMatchObject({ kid: 'a', alg: 'ES256' });
  });

  test('an unchanged key stays the same object across fetches; another key under its name is another', async () => {
    const [a, b] = [issuerKey('a'), issuerKey('b')];
    const server = await keyServer(a);
    const keys = keysAt(server, { maxAge: '1s' });
    const first = await keys.find(asking(a));
    server.keys = [b, a];
    await until(async () => (await keys.find(asking(b))) !== undefined);
    expect(await keys.find(asking(a))).toBe(first);
    server.keys = [issuerKey('a')];
    await until(async () => (await keys.find(asking(a))) !== first);
    expect((await keys.find(asking(a)))?.key.equals(first?.key as never)).toBe(false);
  });

  test('it is refreshed in the background before its age, while known keys are found at once', async () => {
    const a = issuerKey('a');
    const server = await keyServer(a);
    const keys = keysAt(server, { maxAge: '10s' });
    await keys.find(asking(a));
    await sleep(8_100);
    server.fault = (_req, res) => void setTimeout(() => res.end(JSON.stringify({ keys: [a.jwk] })), 500);
    expect(keys.find(asking(a))).toMatchObject({ kid: 'a' });
    await until(() => server.asked.length === 2);
    await sleep(2_000);
    // Past the age of the first edition, and renewed meanwhile.
    expect(keys.find(asking(a))).toMatchObject({ kid: 'a' });
    expect(server.asked).toHaveLength(2);
  });

  test('a shorter max-age of the issuer counts, a longer one does not', async () => {
    const a = issuerKey('a');
    const server = await keyServer(a);
    server.headers = { 'Cache-Control': 'public, max-age=1' };
    const short = keysAt(server);
    await short.find(asking(a));
    await sleep(1_050);
    await short.find(asking(a));
    expect(server.asked).toHaveLength(2);

    server.headers = { 'Cache-Control': 'max-age=31536000' };
    const long = keysAt(server, { maxAge: '1s' });
    await long.find(asking(a));
    await sleep(1_050);
    await long.find(asking(a));
    expect(server.asked).toHaveLength(4);
  });

  test('a max-age of nothing is one second', async () => {
    const a = issuerKey('a');
    const server = await keyServer(a);
    server.headers = { 'Cache-Control': 'max-age=0' };
    const keys = keysAt(server);
    for (let i = 0; i < 20; i++) await keys.find(asking(a));
    expect(server.asked).toHaveLength(1);
    await sleep(1_050);
    server.keys = [];
    expect(await keys.find(asking(a))).toBeUndefined();
  });

  test.each(['no-store', 'private, no-cache, max-age=1', undefined])(
    'with Cache-Control %s it is not fetched for every token',
    async (cacheControl) => {
      const a = issuerKey('a');
      const server = await keyServer(a);
      if (cacheControl !== undefined) server.headers = { 'Cache-Control': cacheControl };
      const keys = keysAt(server);
      await keys.find(asking(a));
      await sleep(1_200);
      for (let i = 0; i < 20; i++) await keys.find(asking(a));
      expect(server.asked).toHaveLength(1);
    },
  );

  test('a key that the issuer withdrew is refused once the set is past its age', async () => {
    const [a, b] = [issuerKey('a'), issuerKey('b')];
    const server = await keyServer(a, b);
    const keys = keysAt(server, { maxAge: '1s' });
    await keys.find(asking(a));
    server.keys = [b];
    await sleep(1_050);
    expect(await keys.find(asking(a))).toBeUndefined();
  });
});

describe.concurrent('T08: a flood of made-up names', () => {
  test.each([1, 200, 510, 1_010, 1_600])(
    'one every %i ms costs 40 fetches a minute at most',
    { timeout: 60_000 },
    async (pace) => {
      const a = issuerKey('a');
      const server = await keyServer(a);
      const keys = keysAt(server);
      await keys.find(asking(a));
      const start = performance.now();
      while (performance.now() < start + 12_000) {
        // At the fastest pace more come than may wait.
        void Promise.resolve(keys.find(unknown())).catch((error) => expect(error.message).toMatch(/wait .* already$/));
        await sleep(pace);
      }
      const seconds = (performance.now() - start) / 1_000;
      expect(server.asked.length).toBeLessThanOrEqual(1 + seconds / 1.5);
      // It was looked for all the time.
      expect(server.asked.length).toBeGreaterThan(3);
    },
  );
});

describe.concurrent('K14: an issuer that misbehaves', () => {
  test.each<[string, NonNullable<KeyServer['fault']>]>([
    ['answers 500', (_req, res) => void res.writeHead(500).end()],
    ['answers 404', (_req, res) => void res.writeHead(404).end('{"keys":[]}')],
    ['talks garbage', (_req, res) => void res.end('<!doctype html>')],
    ['talks invalid UTF-8', (_req, res) => void res.end(Buffer.from([0x22, 0xff, 0x22]))],
    ['hangs up', (req) => void req.socket.destroy()],
    ['stops halfway', (_req, res) => void res.writeHead(200, { 'Content-Length': 100 }).write('{"keys":')],
    ['never answers', () => {}],
    [
      'is endless',
      (_req, res) => {
        res.writeHead(200);
        const timer = setInterval(() => res.write(' '.repeat(20_000)), 5);
        res.once('close', () => clearInterval(timer));
      },
    ],
    ['redirects in a circle', (_req, res) => void res.writeHead(302, { Location: '/jwks.json' }).end()],
    ['redirects nowhere', (_req, res) => void res.writeHead(302).end()],
  ])('that %s: 503 for an unknown key, and known keys serve on', async (_how, fault) => {
    const a = issuerKey('a');
    const server = await keyServer(a);
    const keys = keysAt(server, { maxAge: '1s', timeout: '300ms' });
    const ask = await apiWith(keys);
    server.fault = fault;
    const refused = await ask(a.sign(claims()));
    expect(refused.status).toBe(503);
    expect(refused.headers.get('retry-after')).toBe('1');
    expect(await refused.text()).not.toMatch(/login store/);

    server.fault = undefined;
    await until(async () => (await ask(a.sign(claims()))).status === 200);
    server.fault = fault;
    await sleep(1_050);
    expect((await ask(a.sign(claims()))).status).toBe(200);
    expect((await ask(issuerKey('b').sign(claims()))).status).toBe(503);
    expect((await ask(a.sign(claims()))).status).toBe(200);
  });

  test.each<[string, unknown]>([
    ['no set', []],
    ['null', null],
    ['a set whose keys are no list', { keys: {} }],
    ['a set of secrets', { keys: [{ kty: 'oct', k: 'AAAA' }] }],
  ])('that publishes %s: known keys serve on', async (_what, document) => {
    const good = issuerKey('good');
    const server = await keyServer(good);
    const keys = keysAt(server, { maxAge: '1s' });
    const before = await keys.find(asking(good));
    server.documents.set('/jwks.json', document);
    await sleep(1_050);
    expect(await keys.find(asking(good))).toBe(before);
    await expect(keys.find(unknown())).rejects.toThrow(unreachable);
  });

  test('that publishes an empty set has withdrawn its keys: they are refused once their age is over, 401, and later ones taken', async () => {
    const [a, b] = [issuerKey('a'), issuerKey('b')];
    const server = await keyServer(a);
    const ask = await apiWith(keysAt(server, { maxAge: '1s' }));
    expect((await ask(a.sign(claims()))).status).toBe(200);
    server.keys = [];
    await sleep(1_050);
    for (const key of [a, b]) expect((await ask(key.sign(claims()))).status).toBe(401);
    server.keys = [b];
    await until(async () => (await ask(b.sign(claims()))).status === 200);
    expect((await ask(a.sign(claims()))).status).toBe(401);
  });

  test('that has never published a key makes nobody wait for one: 401', async () => {
    const ask = await apiWith(keysAt(await keyServer()));
    expect((await ask(issuerKey('a').sign(claims()))).status).toBe(401);
  });

  test('that publishes more than 64 KiB is not listened to, whatever it says', async () => {
    const good = issuerKey('good');
    const server = await keyServer(good);
    server.documents.set('/jwks.json', { keys: [good.jwk], more: 'x'.repeat(65_536) });
    await expect(keysAt(server).find(asking(good))).rejects.toThrow(unreachable);
    server.documents.set('/jwks.json', { keys: [good.jwk], more: 'x'.repeat(60_000) });
    expect(await keysAt(server).find(asking(good))).toMatchObject({ kid: 'good' });
  });

  test('redirects are followed at its own origin only', async () => {
    const a = issuerKey('a');
    const [server, other] = [await keyServer(a), await keyServer(a)];
    let location = '/elsewhere';
    server.fault = (_req, res) => {
      server.fault = undefined;
      res.writeHead(307, { Location: location }).end();
    };
    const keys = keysAt(server);
    expect(await keys.find(asking(a))).toMatchObject({ kid: 'a' });
    expect(server.asked).toEqual(['/jwks.json', '/elsewhere']);

    location = `${other.url}/jwks.json`;
    server.fault = (_req, res) => void res.writeHead(307, { Location: location }).end();
    await expect(keysAt(server).find(asking(a))).rejects.toThrow(unreachable);
    expect(other.asked).toEqual([]);
  });

  test('while it is down a fetch tries now and then, and nobody waits in between', async () => {
    const server = await keyServer();
    server.fault = (_req, res) => void res.writeHead(500).end();
    const keys = keysAt(server);
    for (let i = 0; i < 200; i++) await expect(keys.find(unknown())).rejects.toThrow(unreachable);
    expect(server.asked.length).toBeLessThan(4);
  });

  test('it may be away for longer than its keys last, and it is asked again when it is back', async () => {
    const [a, b] = [issuerKey('a'), issuerKey('b')];
    const server = await keyServer(a);
    const keys = keysAt(server, { maxAge: '1s' });
    const before = await keys.find(asking(a));
    server.fault = (req) => void req.socket.destroy();
    for (let i = 0; i < 15; i++) {
      await sleep(200);
      expect(await keys.find(asking(a))).toBe(before);
    }
    server.keys = [a, b];
    server.fault = undefined;
    await until(async () => (await Promise.resolve(keys.find(asking(b))).catch(() => undefined)) !== undefined);
    expect(keys.find(asking(a))).toBe(before);
  });
});

describe('T08: a name that is not known', () => {
  test('is asked for, and a new key is taken at the first try', async () => {
    const [a, b] = [issuerKey('a'), issuerKey('b')];
    const server = await keyServer(a);
    const ask = await apiWith(keysAt(server));
    expect((await ask(a.sign(claims()))).status).toBe(200);
    server.keys = [b, a];
    const answers = await Promise.all(Array.from({ length: 50 }, () => ask(b.sign(claims()))));
    expect(answers.map(({ status }) => status)).toEqual(Array(50).fill(200));
    expect(server.asked).toHaveLength(2);
  });

  test('of an algorithm that is not allowed, or under a name that is known, costs no fetch', async () => {
    const a = issuerKey('a');
    const server = await keyServer(a);
    const keys = keysAt(server);
    await keys.find(asking(a));
    await sleep(1_050);
    expect(keys.find({ kid: 'new', alg: 'RS256' })).toBeUndefined();
    expect(keys.find({ kid: 'new', alg: 'HS256' })).toBeUndefined();
    expect(keys.find({ kid: 'new', alg: 'none' })).toBeUndefined();
    expect(keys.find({ kid: 'a', alg: 'ES384' })).toBeUndefined();
    expect(server.asked).toHaveLength(1);
  });

  test('10,000 made-up names at once cost two fetches', async () => {
    const a = issuerKey('a');
    const server = await keyServer(a);
    const keys = keysAt(server);
    await keys.find(asking(a));
    const found = await Promise.allSettled(Array.from({ length: 10_000 }, async () => keys.find(unknown())));
    expect(found.filter((one) => one.status === 'fulfilled' && one.value !== undefined)).toEqual([]);
    expect(server.asked.length).toBeLessThanOrEqual(3);
  });

  test('may be good: whoever cannot wait for it, as a thousand do already, is told to try again, 503', async () => {
    const [a, b] = [issuerKey('a'), issuerKey('b')];
    const server = await keyServer(a);
    const keys = keysAt(server);
    const ask = await apiWith(keys);
    expect((await ask(a.sign(claims()))).status).toBe(200);
    server.keys = [b, a];
    const waiting = Array.from({ length: 1_000 }, () => keys.find(asking(b)));
    const refused = await ask(b.sign(claims()));
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1']);
    const found = await Promise.all(waiting);
    expect(found.map((key) => key?.kid)).toEqual(Array(1_000).fill('b'));
    expect((await ask(b.sign(claims()))).status).toBe(200);
  });

  // Two seconds are the promise; a machine that stands still for one of them proves nothing.
  test('10,000 made-up names in a flood of requests cost a few fetches, and a really new key is taken meanwhile', {
    timeout: 60_000,
    retry: 2,
  }, async () => {
    const [a, b] = [issuerKey('a'), issuerKey('b')];
    const server = await keyServer(a);
    const ask = await apiWith(keysAt(server));
    expect((await ask(a.sign(claims()))).status).toBe(200);

    const start = performance.now();
    const statuses = new Map<number, number>();
    let left = 10_000;
    const stranger = issuerKey('stranger');
    const flooding = Array.from({ length: 50 }, async () => {
      while (left-- > 0) {
        const { status, body } = await ask(stranger.sign(claims(), { kid: `made-up-${left}` }));
        await body?.cancel();
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
      }
    });
    await until(() => left < 8_000);
    server.keys = [b, a];
    const delay = await until(async () => (await ask(b.sign(claims()))).status === 200);
    expect(left).toBeGreaterThan(0);
    expect(delay).toBeLessThan(2_000);
    await Promise.all(flooding);
    const seconds = (performance.now() - start) / 1_000;
    expect(Object.fromEntries(statuses)).toEqual({ 401: 10_000 });
    // One at the start, and one in a second and a half at most.
    expect(server.asked.length).toBeLessThanOrEqual(2 + seconds / 1.5);
  });

  test('after a flood, when it has been quiet for a while, a new key is taken at the first try again', async () => {
    const [a, b] = [issuerKey('a'), issuerKey('b')];
    const server = await keyServer(a);
    const keys = keysAt(server);
    await keys.find(asking(a));
    for (let i = 0; i < 200; i++) await keys.find(unknown());
    expect(server.asked.length).toBeLessThan(6);
    await sleep(1_600);
    server.keys = [b, a];
    expect(await keys.find(asking(b))).toMatchObject({ kid: 'b' });
  });
});

describe('options', () => {
  const algorithms = ['ES256'] as const;

  test.each<[string, unknown, unknown, RegExp]>([
    [
      'no URL',
      undefined,
      { algorithms },
      /the URL must be a URL such as https:\/\/issuer\.example\/jwks\.json, and is empty: is its environment variable set\?$/,
    ],
    ['an empty URL', '', { algorithms }, /is its environment variable set/],
    ['text that is no URL', 'issuer.example', { algorithms }, /must be a URL/],
    ['plain http', 'http://issuer.example/jwks', { algorithms }, /https/],
    ['http at a name that only looks local', 'http://localhost.example.com/', { algorithms }, /https/],
    ['http at an address that only looks local', 'http://127.0.0.1.example.com/', { algorithms }, /https/],
    ['another scheme', 'file:///etc/keys.json', { algorithms }, /https/],
    ['credentials in the URL', 'https://ann:secret@issuer.example/', { algorithms }, /user name/],
    ['no options', 'https://issuer.example', undefined, /takes an object/],
    ['no algorithms', 'https://issuer.example', {}, /"algorithms" must list/],
    ['an empty list of algorithms', 'https://issuer.example', { algorithms: [] }, /"algorithms" must list/],
    ['none', 'https://issuer.example', { algorithms: ['none'] }, /"none"/],
    ['a symmetric one', 'https://issuer.example', { algorithms: ['ES256', 'HS256'] }, /"HS256"/],
    ['an age that is none', 'https://issuer.example', { algorithms, maxAge: 600 }, /"maxAge" must be a duration/],
    ['an age too long', 'https://issuer.example', { algorithms, maxAge: '8d' }, /"maxAge" must be at most/],
    ['a timeout too long', 'https://issuer.example', { algorithms, timeout: '1h' }, /"timeout" must be at most/],
    ['a misspelt option', 'https://issuer.example', { algorithms, maxage: '1h' }, /did you mean "maxAge"/],
  ])('%s is refused, and the sentence says what to do', (_what, url, options, sentence) => {
    const make = () => remoteKeys(url as string, options as Options);
    expect(make).toThrow(TypeError);
    expect(make).toThrow(sentence);
    expect(make).toThrow(/^remoteKeys: /);
  });

  test.each(['https://issuer.example/jwks', 'http://localhost:1/', 'http://127.0.0.1:1/', 'http://[::1]:1/'])(
    '%s is taken',
    (url) => {
      expect(() => remoteKeys(new URL(url), { algorithms })).not.toThrow();
    },
  );
});

describe('the developer hears', () => {
  const rsa = issuerKey('rs', 'RS256');

  test('of keys that cannot be had, once until they can, and again of the next outage', async () => {
    const a = issuerKey('a');
    const server = await keyServer(a);
    const ask = await apiWith(remoteKeys(`${server.url}/jwk.json?key=secret`, { algorithms: ['ES256'], maxAge: '1s' }));
    const warnings = hearWarnings(server.url);
    server.fault = (_req, res) => void res.writeHead(404).end();
    for (let fetches = 1; fetches <= 2; fetches++) {
      await until(async () => (await ask(a.sign(claims()))).status === 503 && server.asked.length === fetches);
    }
    const sentence = `the keys of ${server.url}/jwk.json cannot be fetched: ${server.url}/jwk.json answered 404`;
    expect(warnings).toEqual([{ code: 'PORTCULLIS_KEYS', message: sentence }]);
    server.fault = undefined;
    await until(async () => (await ask(a.sign(claims()))).status === 200);
    expect(warnings).toHaveLength(1);
    server.fault = (_req, res) => void res.writeHead(500).end();
    await until(async () => (await ask(a.sign(claims()))).status === 200 && warnings.length === 2);
    expect(warnings[1]?.message).toBe(sentence.replace('404', '500'));
  });

  test.each<[string, NonNullable<KeyServer['fault']>, RegExp]>([
    ['is not there', (req) => void req.socket.destroy(), /: fetch failed: .*(?:closed|reset|hang up)/i],
    ['never answers', () => {}, /: The operation was aborted due to timeout$/],
    [
      'talks HTML',
      (_req, res) => void res.end('<!doctype html>\u001b[31m'),
      /\/jwks\.json answered with no JSON: [^\p{Cc}]+$/u,
    ],
    ['publishes no set', (_req, res) => void res.end('{}'), /: what was fetched is not a JWK Set$/],
    [
      'publishes keys of another algorithm',
      (_req, res) => void res.end(JSON.stringify({ keys: [rsa.jwk] })),
      /: the JWK Set holds no key that can be used for ES256, ES384$/,
    ],
    [
      'redirects to a place of many and strange words',
      (_req, res) => void res.writeHead(302, { Location: `https://${'x'.repeat(60)}.example/` }).end(),
      /redirects to another origin, https:\/\/x+\.example$/,
    ],
  ])('why, where the issuer %s', async (_how, fault, reason) => {
    const server = await keyServer();
    server.fault = fault;
    const warnings = hearWarnings(server.url);
    const keys = keysAt(server, { algorithms: ['ES256', 'ES384'], timeout: '2s' });
    await expect(keys.find(unknown())).rejects.toThrow(unreachable);
    await sleep(10);
    expect(warnings).toEqual([{ code: 'PORTCULLIS_KEYS', message: expect.stringMatching(reason) }]);
  });
});

test('a fetch that is yet to begin keeps no process alive', async () => {
  const server = await keyServer(issuerKey('a', 'EdDSA'));
  const args = [
    '--import',
    import.meta.resolve('tsx'),
    fileURLToPath(new URL('remote-keys.child.ts', import.meta.url)),
  ];
  // It ends by itself, or never.
  const { stdout } = await promisify(execFile)(process.execPath, [...args, server.url]);
  expect(stdout).toBe('found a\n');
  // A process that lived on would have fetched again.
  expect(server.asked).toHaveLength(1);
});

test('keys of the other algorithms are read as well', async () => {
  const algs = ['RS256', 'ES384', 'ES512', 'EdDSA'] as const;
  const all = algs.map((alg) => issuerKey(alg, alg));
  const ask = await apiWith(keysAt(await keyServer(...all), { algorithms: algs }));
  for (const key of all) expect((await ask(key.sign(claims()))).status).toBe(200);
  const [first, second] = [all[0] as IssuerKey, all[1] as IssuerKey];
  expect((await ask(first.sign(claims(), { kid: second.kid }))).status).toBe(401);
});
