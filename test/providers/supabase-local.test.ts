import { createSecretKey, randomBytes } from 'node:crypto';
import express from 'express';
import { jwtAuth, localKeys, memoryStore, sessionAuth, supabase } from 'portcullis';
import { describe, expect, onTestFinished, test } from 'vitest';
import { serve } from '../support/http-server.ts';
import { makeToken } from '../token/make-token.ts';

/** What `supabase start` signs with, on every machine. */
const secret = 'super-secret-jwt-token-with-at-least-32-characters-long';
const LOCAL = ['http://127.0.0.1:54321', 'http://localhost:54321/', 'http://[::1]:54321', 'https://127.0.0.1:54321'];
const ELSEWHERE = [
  'https://abcdefgh.supabase.co',
  'https://localhost.example',
  'https://127.0.0.1.example',
  'https://127.example',
  'https://db.example/localhost:54321/',
  'https://example/http://127.0.0.1/',
  'https://10.0.0.1',
];

/** What an API says to a token of a project, signed with this. */
async function statusOf(projectUrl: string, given: string, signing = given) {
  const app = express();
  app.use(jwtAuth({ issuers: [supabase({ projectUrl, secret: given })], store: 'none' }));
  app.get('/', (_req, res) => void res.json({}));
  const { url, close } = await serve(app);
  onTestFinished(() => close());
  const now = Math.floor(Date.now() / 1_000);
  const iss = `${projectUrl.replace(/\/$/, '')}/auth/v1`;
  const claims = { iss, aud: 'authenticated', sub: 'u1', role: 'authenticated', iat: now, exp: now + 60 };
  const token = makeToken('HS256', createSecretKey(signing, 'utf8'), { alg: 'HS256', typ: 'JWT' }, claims);
  return (await fetch(url, { headers: { Authorization: `Bearer ${token}` } })).status;
}

describe("K02: the secret of everybody's local Supabase", () => {
  test.each(LOCAL)('is taken where the project is at %s', async (projectUrl) => {
    expect(await statusOf(projectUrl, secret)).toBe(200);
    expect(await statusOf(projectUrl, secret, randomBytes(40).toString('base64'))).toBe(401);
  });

  test.each(ELSEWHERE)('is refused where the project is at %s, and why is said', (projectUrl) => {
    expect(() => supabase({ projectUrl, secret })).toThrow(TypeError);
    expect(() => supabase({ projectUrl, secret })).toThrow(
      /^supabase: "secret" is the one of every local Supabase.*loopback/,
    );
  });

  test('and no other that anybody can guess is taken there', () => {
    const projectUrl = 'http://127.0.0.1:54321';
    for (const other of [`${secret}!`, secret.toUpperCase(), 'a'.repeat(40), 'secret'.repeat(8)]) {
      expect(() => supabase({ projectUrl, secret: other }), other).toThrow(/^supabase: .*anybody can guess/);
    }
  });

  test('it is no secret of anything else', () => {
    expect(() => localKeys([{ kid: 'k', alg: 'HS256', key: secret }])).toThrow(/anybody can guess/);
    expect(() => sessionAuth({ store: memoryStore(), secret })).toThrow(/anybody can guess/);
  });
});
