import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import express from 'express';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AuthError } from '../../lib/errors.ts';
import { bearerOf } from '../../lib/request/bearer.ts';
import { serve } from '../support/http-server.ts';
import { sendRaw } from '../support/raw-http.ts';

const express4 = createRequire(import.meta.url)('express4') as typeof express;

const T = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln';
const MANY = 12_000;

type Case = readonly [name: string, status: 200 | 400 | 401 | 431, headers: readonly string[], token?: string];

// 200: this token was read. 401: none was. 400: the header is wrong.
const CASES: readonly Case[] = [
  ['a bearer token', 200, [`Authorization: Bearer ${T}`], T],
  ['a lowercase scheme', 200, [`Authorization: bearer ${T}`], T],
  ['an uppercase scheme', 200, [`Authorization: BEARER ${T}`], T],
  ['a mixed scheme', 200, [`Authorization: bEaReR ${T}`], T],
  ['a lowercase header name', 200, [`authorization: Bearer ${T}`], T],
  ['two blanks after the scheme', 200, [`Authorization: Bearer  ${T}`], T],
  ['blanks around the header value', 200, [`Authorization:   Bearer ${T}  `], T],
  ['every character of token68', 200, ['Authorization: Bearer aZ09-._~+/=='], 'aZ09-._~+/=='],
  ['a token of one character', 200, ['Authorization: Bearer a'], 'a'],
  ['no header', 401, []],
  ['an empty header', 401, ['Authorization:']],
  ['Basic', 401, ['Authorization: Basic dTpw']],
  ['Basic, malformed', 401, ['Authorization: Basic x y z']],
  ['DPoP', 401, [`Authorization: DPoP ${T}`]],
  ['Token', 401, [`Authorization: Token ${T}`]],
  ['xBearer', 401, [`Authorization: xBearer ${T}`]],
  ['Bearerx', 401, [`Authorization: Bearerx ${T}`]],
  ['Bearer-ish', 401, [`Authorization: Bearer-ish ${T}`]],
  ['a bare token', 401, [`Authorization: ${T}`]],
  ['Bearer as a parameter of another scheme', 401, [`Authorization: Custom Bearer ${T}`]],
  ['Proxy-Authorization', 401, [`Proxy-Authorization: Bearer ${T}`]],
  ['X-Forwarded-Authorization', 401, [`X-Forwarded-Authorization: Bearer ${T}`]],
  ['a cookie named access_token', 401, [`Cookie: access_token=${T}`]],
  ['a cookie named Authorization', 401, [`Cookie: Authorization=Bearer ${T}`]],
  ['the word Bearer alone', 400, ['Authorization: Bearer']],
  ['the word Bearer and blanks', 400, ['Authorization: Bearer   ']],
  ['three parts', 400, [`Authorization: Bearer ${T} x`]],
  ['a comma after the token', 400, [`Authorization: Bearer ${T},`]],
  ['a list of tokens', 400, [`Authorization: Bearer ${T}, Bearer ${T}`]],
  ['a quoted token', 400, [`Authorization: Bearer "${T}"`]],
  ['a parameter in place of the token', 400, [`Authorization: Bearer token="${T}"`]],
  ['a tab after the scheme', 400, [`Authorization: Bearer\t${T}`]],
  ['a tab after the blank', 400, [`Authorization: Bearer \t${T}`]],
  ['a colon after the scheme', 400, [`Authorization: Bearer: ${T}`]],
  ['a comma after the scheme', 400, [`Authorization: Bearer, ${T}`]],
  ['padding inside the token', 400, ['Authorization: Bearer a=b']],
  ['nothing but padding', 400, ['Authorization: Bearer ==']],
  ['a byte 0xE9 after the token', 400, [`Authorization: Bearer ${T}\u00e9`]],
  ['a byte 0xA0 for the blank', 400, [`Authorization: Bearer\u00a0${T}`]],
  ['a percent escape', 400, ['Authorization: Bearer a%20b']],
  ['two headers, the good one first', 400, [`Authorization: Bearer ${T}`, 'Authorization: Bearer x']],
  ['two headers, the good one last', 400, ['Authorization: Bearer x', `Authorization: Bearer ${T}`]],
  ['the same header twice', 400, [`Authorization: Bearer ${T}`, `Authorization: Bearer ${T}`]],
  ['two spellings of the header', 400, [`Authorization: Bearer ${T}`, `aUTHORIZATION: Bearer ${T}`]],
  ['Bearer, then Basic', 400, [`Authorization: Bearer ${T}`, 'Authorization: Basic dTpw']],
  ['Basic, then Bearer', 400, ['Authorization: Basic dTpw', `Authorization: Bearer ${T}`]],
  ['an empty header, then Bearer', 400, ['Authorization:', `Authorization: Bearer ${T}`]],
  ['a continued line', 400, ['Authorization: Bearer', ` ${T}`]],
  ['a NUL', 400, [`Authorization: Bearer ${T}\0`]],
  ['12,000 blanks', 400, [`Authorization: Bearer a${' '.repeat(MANY)}b`]],
  ['12,000 dots and a comma', 400, [`Authorization: Bearer ${'.'.repeat(MANY)},`]],
  ['12,000 padding characters and one more', 400, [`Authorization: Bearer a${'='.repeat(MANY)}a`]],
  ['20 KiB', 431, [`Authorization: Bearer ${'a'.repeat(20 * 1024)}`]],
];

function answer(req: IncomingMessage, res: ServerResponse): void {
  try {
    const token = bearerOf(req);
    res.statusCode = token === undefined ? 401 : 200;
    res.end(token);
  } catch (error) {
    if (!(error instanceof AuthError)) throw error;
    res.writeHead(error.status, error.headers).end(error.code);
  }
}

const KINDS: readonly (readonly [string, () => RequestListener])[] = [
  ['Express 5', () => express().use(answer)],
  ['Express 4', () => express4().use(answer)],
  ['node:http', () => answer],
];

describe.each(KINDS)('bearerOf on %s', (_, app) => {
  let server: Awaited<ReturnType<typeof serve>>;
  beforeAll(async () => {
    server = await serve(app());
  });
  afterAll(() => server.close());

  const cases = CASES.map(([name, status, headers, token = '']) => ({ name, status, headers, token }));

  test.each(cases)('B01, B02: $name is answered $status', async ({ status, headers, token }) => {
    const got = await sendRaw(server, headers);
    expect(got.status).toBe(status);
    if (status === 200) expect(got.body).toBe(token);
  });

  test('B03: a token in the query is not read', async () => {
    expect((await sendRaw(server, [], `GET /?access_token=${T} HTTP/1.1`)).status).toBe(401);
  });

  test('B04: a token in the body is not read', async () => {
    const response = await fetch(server.url, { method: 'POST', body: new URLSearchParams({ access_token: T }) });
    expect(response.status).toBe(401);
  });

  test.each(['HEAD', 'OPTIONS', 'TRACE', 'DELETE', 'PROPFIND'])('B10: %s is read alike', async (method) => {
    expect((await sendRaw(server, [`Authorization: Bearer ${T}`], `${method} / HTTP/1.1`)).status).toBe(200);
    expect((await sendRaw(server, [`Authorization: Bearer ${T},`], `${method} / HTTP/1.1`)).status).toBe(400);
  });

  test('B06, B07: the refusal is a challenge that echoes nothing', async () => {
    const { head } = await sendRaw(server, ['Authorization: Bearer canary canary']);
    expect(head).toMatch(/^WWW-Authenticate: Bearer error="invalid_request", error_description="[ !#-[\]-~]+"\r$/im);
    expect(head).not.toContain('canary');
  });
});
