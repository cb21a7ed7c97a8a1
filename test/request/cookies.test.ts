import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import express from 'express';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AuthError } from '../../lib/errors.ts';
import { settleCookie } from '../../lib/request/cookie-settings.ts';
import { type Cookie, demandSecure } from '../../lib/request/cookies.ts';
import { type HttpServer, serve } from '../support/http-server.ts';
import { type RawAnswer, type RawTarget, sendRaw, serveTls } from '../support/raw-http.ts';

const express4 = createRequire(import.meta.url)('express4') as typeof express;

describe('read', () => {
  const sid = settleCookie('test', { name: 'sid' }, 'sid');
  let server: HttpServer;
  beforeAll(async () => {
    server = await serve((req, res) => void res.end(JSON.stringify(sid.read(req))));
  });
  afterAll(() => server.close());

  const many = (count: number) => Array.from({ length: count }, (_, at) => `c${at}=${'v'.repeat(20)}`).join('; ');

  const CASES: readonly (readonly [
    row: string,
    name: string,
    headers: readonly string[],
    values: readonly string[],
  ])[] = [
    ['C10', 'one cookie', ['sid=a'], ['a']],
    ['C10', 'no Cookie header', [], []],
    ['C10', 'an empty Cookie header', [''], []],
    ['C10', 'ours between others', ['x=1; sid=a; y=2'], ['a']],
    ['C10', 'no blank after the semicolon', ['x=1;sid=a;y=2'], ['a']],
    ['C10', 'a value with = in it', ['sid=a=b=='], ['a=b==']],
    ['C10', 'an escaped value, left escaped', ['sid=s%3Aa'], ['s%3Aa']],
    ['C10', 'a broken escape, left as it is', ['sid=%zz'], ['%zz']],
    ['A-S07', 'two values, in their order', ['sid=attacker; sid=victim'], ['attacker', 'victim']],
    ['A-S07', 'two values over two headers', ['sid=attacker', 'sid=victim'], ['attacker', 'victim']],
    ['A-S08', 'junk before ours', ['sid=s%3Ajunk.sig; sid=a'], ['s%3Ajunk.sig', 'a']],
    ['C08', 'the same value twice is one', ['sid=a; sid=b; sid=a'], ['a', 'b']],
    ['C08', 'four values and no more', ['sid=1; sid=2; sid=3; sid=4; sid=5'], ['1', '2', '3', '4']],
    ['C08', 'one value often leaves room for another', [`${'sid=1; '.repeat(50)}sid=2`], ['1', '2']],
    ['A-S10', 'quotes are part of the value', ['sid="a"'], ['"a"']],
    ['A-S10', 'a blank before the name', ['x=1;  sid=a'], []],
    ['A-S10', 'a blank after the name', ['sid =a'], []],
    ['A-S10', 'blanks around the value are part of it', ['sid= a ; x=1'], [' a ']],
    ['A-S10', 'a tab before the name', ['x=1; \tsid=a'], []],
    ['A-S10', 'uppercase', ['SID=a; Sid=b'], []],
    ['A-S10', 'a no-break space before the name', ['x=1; \u00a0sid=a'], []],
    ['A-S10', 'a nameless cookie', ['=sid=evil'], []],
    ['A-S10', '$Version', ['$Version=1; x=1; $Path=sid=a'], []],
    ['A-S10', '$Version glued on by a comma', ['$Version=1, sid=a'], []],
    ['A-S10', 'a longer name', ['xsid=a; sid2=b; sid.x=c'], []],
    ['A-S10', 'our name inside another value', ['x=sid=a'], []],
    ['A-S10', 'our name without =', ['sid; x=1'], []],
    ['A-S10', 'a prefixed twin', ['__Host-sid=a; __Secure-sid=b'], []],
    ['A-S10', 'an escaped name', ['s%69d=a'], []],
    ['C09', 'ours after 200 others', [`${many(200)}; sid=a`], ['a']],
    ['C09', 'ours before 200 others', [`sid=a; ${many(200)}`], ['a']],
    ['C09', '8 KiB of semicolons', [`${';'.repeat(8000)}sid=a`], ['a']],
  ];

  test.each(CASES)('%s: %s', async (_row, _name, headers, values) => {
    const got = await sendRaw(
      server,
      headers.map((value) => `Cookie: ${value}`),
    );
    expect(JSON.parse(got.body)).toEqual(values);
  });
});

const setCookies = async (handle: RequestListener): Promise<{ cookies: string[]; cacheControl: string | null }> => {
  const server = await serve((req, res) => {
    handle(req, res);
    res.end();
  });
  const { headers } = await fetch(server.url);
  await server.close();
  return { cookies: headers.getSetCookie(), cacheControl: headers.get('cache-control') };
};

describe('set and clear', () => {
  const EPOCH = 'Expires=Thu, 01 Jan 1970 00:00:00 GMT';
  const wide = { name: 'sid', domain: 'app.example', path: '/x', sameSite: 'none', partitioned: true } as const;

  test.each([
    ['the defaults', undefined, '__Host-sid=v; Path=/; HttpOnly; Secure; SameSite=Lax'],
    ['plain http', { secure: false }, 'sid=v; Path=/; HttpOnly; SameSite=Lax'],
    ['all of it', wide, 'sid=v; Path=/x; Domain=app.example; HttpOnly; Secure; SameSite=None; Partitioned'],
  ] as const)('C01, C03, C04, C15: %s', async (_, settings, line) => {
    const cookie = settleCookie('test', settings, 'sid');
    const { cookies, cacheControl } = await setCookies((_req, res) => cookie.set(res, 'v'));
    expect(cookies).toEqual([line]);
    expect(cacheControl).toBe('no-store');
  });

  test.each([
    ['the defaults', undefined, `__Host-sid=; Max-Age=0; ${EPOCH}; Path=/; HttpOnly; Secure; SameSite=Lax`],
    ['plain http', { secure: false }, `sid=; Max-Age=0; ${EPOCH}; Path=/; HttpOnly; SameSite=Lax`],
    [
      'all of it',
      wide,
      `sid=; Max-Age=0; ${EPOCH}; Path=/x; Domain=app.example; HttpOnly; Secure; SameSite=None; Partitioned`,
    ],
  ] as const)('C07, A-S26: clearing repeats the attributes: %s', async (_, settings, line) => {
    const cookie = settleCookie('test', settings, 'sid');
    const { cookies, cacheControl } = await setCookies((_req, res) => cookie.clear(res));
    expect(cookies).toEqual([line]);
    expect(cacheControl).toBe('no-store');
  });

  test.each([
    [1, 1],
    [999, 1],
    [1000, 1],
    [1001, 2],
    [604_800_000, 604_800],
  ])('N05: %i ms are %i s of Max-Age, and Expires agrees', async (maxAge, seconds) => {
    const cookie = settleCookie('test', undefined, 'sid');
    const before = Date.now();
    const { cookies } = await setCookies((_req, res) => cookie.set(res, 'v', maxAge));
    const [, told, expires] = /; Max-Age=(\d+); Expires=([^;]+);/.exec(cookies[0] ?? '') ?? [];
    expect(Number(told)).toBe(seconds);
    // Expires is written in whole seconds, cut off.
    expect(Date.parse(expires ?? '')).toBeGreaterThan(before + seconds * 1000 - 1000);
    expect(Date.parse(expires ?? '')).toBeLessThanOrEqual(Date.now() + seconds * 1000);
  });

  test('the last word on one cookie counts, and the cookies of others stay', async () => {
    const cookie = settleCookie('test', { name: 'sid' }, 'sid');
    const { cookies } = await setCookies((_req, res) => {
      res.setHeader('Set-Cookie', ['theme=dark; Path=/', 'sid2=x', 'note=sid=1']);
      cookie.set(res, 'first');
      cookie.clear(res);
      cookie.set(res, 'last');
    });
    expect(cookies.map((line) => line.split(';')[0])).toEqual(['theme=dark', 'sid2=x', 'note=sid=1', 'sid=last']);
  });

  test('a single Set-Cookie string of another middleware stays', async () => {
    const cookie = settleCookie('test', { name: 'sid' }, 'sid');
    const { cookies } = await setCookies((_req, res) => {
      res.setHeader('Set-Cookie', 'theme=dark');
      cookie.set(res, 'v');
    });
    expect(cookies).toHaveLength(2);
  });

  test('C05: 4096 bytes of name and value are set, one more is an error that sets nothing', async () => {
    const cookie = settleCookie('test', { name: 'sid' }, 'sid');
    const { cookies } = await setCookies((_req, res) => cookie.set(res, 'v'.repeat(4093)));
    expect(cookies[0]?.split(';')[0]).toHaveLength(4097);
    const none = await setCookies((_req, res) => {
      expect(() => cookie.set(res, 'v'.repeat(4094))).toThrow(RangeError);
    });
    expect(none.cookies).toEqual([]);
  });

  test.each(['a;b', 'a b', 'a,b', 'a"b', 'a\\b', 'a\r\nSet-Cookie: x=y', '\u00e9', 'a\tb'])(
    'C10: the value %j is refused',
    async (value) => {
      const cookie = settleCookie('test', undefined, 'sid');
      const { cookies } = await setCookies((_req, res) => {
        expect(() => cookie.set(res, value)).toThrow(RangeError);
      });
      expect(cookies).toEqual([]);
    },
  );
});

describe('settings', () => {
  const nameOf = (settings: Parameters<typeof settleCookie>[1]) => settleCookie('sessionAuth', settings, 'sid').name;

  test.each([
    [undefined, '__Host-sid'],
    [{}, '__Host-sid'],
    [{ path: '/' }, '__Host-sid'],
    [{ sameSite: 'none', partitioned: true }, '__Host-sid'],
    [{ secure: false }, 'sid'],
    [{ path: '/app' }, 'sid'],
    [{ domain: 'app.example' }, 'sid'],
    [{ name: 'shop' }, 'shop'],
    [{ name: 'connect.sid' }, 'connect.sid'],
    [{ name: '__Host-shop' }, '__Host-shop'],
    [{ name: '__Secure-shop', domain: 'app.example', path: '/app' }, '__Secure-shop'],
  ] as const)('C01, C02, C13: %j is named %s', (settings, name) => {
    expect(nameOf(settings)).toBe(name);
  });

  test.each([
    [{ name: '__Host-sid', domain: 'app.example' }, /"__Host-sid" promises/],
    [{ name: '__Host-sid', path: '/x' }, /"__Host-sid" promises/],
    [{ name: '__Host-sid', secure: false }, /"__Host-sid" promises/],
    [{ name: '__hOST-sid', path: '/x' }, /"__hOST-sid" promises/],
    [{ name: '__Secure-sid', secure: false }, /"__Secure-sid" promises/],
    [{ name: '__SECURE-sid', secure: false }, /"__SECURE-sid" promises/],
    [{ name: '__Http-sid', secure: false }, /"__Http-sid" promises/],
    [{ secure: false, sameSite: 'none' }, /'none' needs "secure"/],
    [{ secure: false, partitioned: true }, /"partitioned" needs "secure"/],
    [{ name: '' }, /"name" must be/],
    [{ name: 'a b' }, /"name" must be/],
    [{ name: 'a=b' }, /"name" must be/],
    [{ name: 'a;b' }, /"name" must be/],
    [{ name: '\u00e9' }, /"name" must be/],
    [{ name: 7 }, /"name" must be/],
    [{ path: 'x' }, /"path" must begin/],
    [{ path: '' }, /"path" must begin/],
    [{ path: '/; Domain=evil' }, /"path" must begin/],
    [{ path: `/${'x'.repeat(1024)}` }, /at most 1024 bytes/],
    [{ domain: 'app.example; Path=/' }, /"domain" must be/],
    [{ domain: '' }, /"domain" must be/],
    [{ domain: 'https://app.example' }, /"domain" must be/],
    [{ sameSite: 'Lax' }, /"sameSite" must be/],
    [{ sameSite: false }, /"sameSite" must be/],
    [{ secure: 'auto' }, /"secure" must be/],
    [{ partitioned: 1 }, /"partitioned" must be/],
    [{ sameSit: 'lax' }, /unknown option "sameSit", did you mean "sameSite"/],
    [{ httpOnly: false }, /unknown option "httpOnly"/],
    ['sid', /takes an object/],
  ])('C02, C03, A-S27: %j is refused at construction', (settings, complaint) => {
    const settle = () => settleCookie('sessionAuth', settings as never, 'sid');
    expect(settle).toThrow(TypeError);
    expect(settle).toThrow(/^sessionAuth/);
    expect(settle).toThrow(complaint);
  });

  test('sameSite true is strict, as in Express', () => {
    expect(settleCookie('sessionAuth', { sameSite: true }, 'sid').sameSite).toBe('strict');
  });
});

describe('demandSecure', () => {
  const demand = (cookie: Cookie) => (req: IncomingMessage, res: ServerResponse) => {
    try {
      demandSecure(req, cookie);
      res.end();
    } catch (error) {
      res.statusCode = (error as AuthError).status;
      res.end((error as AuthError).message);
    }
  };
  const secured = demand(settleCookie('test', undefined, 'sid'));
  const plain = demand(settleCookie('test', { secure: false }, 'sid'));
  const ask = async (
    starting: Promise<RawTarget & { close(): Promise<void> }>,
    ...lines: string[]
  ): Promise<RawAnswer> => {
    const server = await starting;
    const answer = await sendRaw(server, lines);
    await server.close();
    return answer;
  };
  const SPOOF = 'X-Forwarded-Proto: https';

  test.each([
    ['Express 5', (handle: typeof secured) => express().use(handle) as RequestListener],
    ['Express 4', (handle: typeof secured) => express4().use(handle) as RequestListener],
    ['node:http', (handle: typeof secured) => handle as RequestListener],
  ])('C11, A-S19, A-S20: on %s plain http is an error that names the line to add', async (_, mount) => {
    const refused = await ask(serve(mount(secured)), 'Host: localhost', SPOOF);
    expect(refused.status).toBe(500);
    expect(refused.body).toContain("app.set('trust proxy', 1)");
    expect((await ask(serve(mount(plain)))).status).toBe(200);
  });

  test.each([
    ['Express 5', express],
    ['Express 4', express4],
  ])('C11: on %s a trusted proxy is believed', async (_, framework) => {
    const app = framework().set('trust proxy', 1).use(secured) as RequestListener;
    expect((await ask(serve(app), SPOOF)).status).toBe(200);
    expect((await ask(serve(app), 'X-Forwarded-Proto: http')).status).toBe(500);
    expect((await ask(serve(app))).status).toBe(500);
  });

  test('C11: over TLS it passes, with Express or without', async () => {
    for (const listener of [secured, express().use(secured), express4().use(secured)]) {
      expect((await ask(serveTls(listener as RequestListener))).status).toBe(200);
    }
  });
});
