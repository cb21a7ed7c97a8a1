import { createHmac } from 'node:crypto';
import cookieParser from 'cookie-parser';
import express, { type Express } from 'express';
import session from 'express-session';
import { describe, expect, test } from 'vitest';
import { cookieSigner } from '../../lib/request/cookie-signature.ts';
import { serve } from '../support/http-server.ts';

const OLD = 'an old secret of more than 32 bytes';
const NEW = 'a new secret of more than 32 bytes';
const VALUE = 'Zm9yIHRoZSBzYWtlIG9mIGEgdGVzdA_-';
const signer = cookieSigner([NEW, OLD]);

test('S16: what was signed comes back, and is fresh', () => {
  expect(signer.unsign(signer.sign(VALUE))).toEqual({ value: VALUE, fresh: true });
});

test('A-S11, S16: what an old key signed comes back, and is not fresh', () => {
  expect(signer.unsign(cookieSigner([OLD]).sign(VALUE))).toEqual({ value: VALUE, fresh: false });
});

test('S16: what no key of ours signed is nothing', () => {
  expect(signer.unsign(cookieSigner(['another secret of more than 32 bytes']).sign(VALUE))).toBeUndefined();
});

test('S16: signatures with every character that is escaped come back', () => {
  const signed = Array.from({ length: 200 }, (_, at) => signer.sign(`${VALUE}${at}`));
  expect(signed.some((raw) => raw.includes('%2B')) && signed.some((raw) => raw.includes('%2F'))).toBe(true);
  expect(signed.map((raw) => signer.unsign(raw)?.value)).toEqual(signed.map((_, at) => `${VALUE}${at}`));
});

describe('A-S09, S15: it accepts nothing but its own writing', () => {
  const good = signer.sign(VALUE);
  const mac = createHmac('sha256', NEW).update(VALUE).digest('base64');
  const wellSigned = (value: string) =>
    encodeURIComponent(`s:${value}.${createHmac('sha256', NEW).update(value).digest('base64').replace(/=+$/, '')}`);

  test.each([
    ['nothing', ''],
    ['an unsigned value', VALUE],
    ['s: alone', 's%3A'],
    ['no signature', `s%3A${VALUE}`],
    ['an empty signature', `s%3A${VALUE}.`],
    ['j:{}', 'j%3A%7B%7D'],
    ['a padded signature', `${good}%3D`],
    ['a signature padded without an escape', `s%3A${VALUE}.${mac}`],
    ['a signature with its escapes in lower case', good.replace('%3A', '%3a')],
    ['a bad escape', `${good.slice(0, -2)}%zz`],
    ['a cut signature', good.slice(0, -1)],
    ['a longer signature', `${good}A`],
    ['quotes', `"${good}"`],
    ['blanks', ` ${good}`],
    ['a line break at the end', `${good}\n`],
    ['a raw s:', good.replace('%3A', ':')],
    ['a changed value', good.replace('s%3AZ', 's%3AY')],
    ['7 kB', `s%3A${'a'.repeat(7000)}`],
    ['a well signed *', wellSigned('*')],
    ['a well signed short value', wellSigned('admin')],
    ['a well signed long value', wellSigned('a'.repeat(129))],
    ['a well signed value with a dot', wellSigned(`${VALUE}.x`)],
    ['a well signed value with braces', wellSigned(`{${VALUE}}`)],
  ])('%s', (_, raw) => {
    expect(signer.unsign(raw)).toBeUndefined();
  });

  test('and the spare bits of the last character count', () => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
    const respelt = [...alphabet].map((last) => good.slice(0, -1) + last).filter((raw) => raw !== good);
    expect(respelt.filter((raw) => signer.unsign(raw) !== undefined)).toEqual([]);
  });
});

test('a value that could not be read back is not signed', () => {
  for (const value of ['', 'short', 'a'.repeat(129), `${VALUE}.`, `${VALUE};`]) {
    expect(() => signer.sign(value)).toThrow(TypeError);
  }
});

test('a signer without keys is refused', () => {
  expect(() => cookieSigner([])).toThrow(TypeError);
});

async function ask(app: Express, cookie?: string): Promise<Response> {
  const server = await serve(app);
  const response = await fetch(server.url, cookie === undefined ? {} : { headers: { cookie } });
  const text = await response.text();
  await server.close();
  return new Response(text, response);
}

test('cookie-parser reads what we sign', async () => {
  const app = express().use(cookieParser(NEW), (req, res) => void res.json(req.signedCookies));
  for (let at = 0; at < 20; at++) {
    const response = await ask(app, `sid=${signer.sign(`${VALUE}${at}`)}`);
    expect(await response.json()).toEqual({ sid: `${VALUE}${at}` });
  }
});

test('S27: we read what express-session signs, and it reads what we sign', async () => {
  const store = new session.MemoryStore();
  const app = express().use(
    session({ name: 'sid', secret: NEW, resave: false, saveUninitialized: false, store }),
    (req, res) => {
      Object.assign(req.session, { seen: true });
      res.send(req.sessionID);
    },
  );
  const first = await ask(app);
  const id = await first.text();
  const raw = /^sid=([^;]+)/.exec(first.headers.getSetCookie()[0] ?? '')?.[1] ?? '';
  expect(signer.unsign(raw)).toEqual({ value: id, fresh: true });
  expect(await (await ask(app, `sid=${signer.sign(id)}`)).text()).toBe(id);
});
