import express from 'express';
import type { Session, SessionData } from 'express-session';
import { type Auth, type LoginMode, memoryStore, sessionAuth } from 'portcullis';
import { expect, expectTypeOf, test } from 'vitest';
import { browser } from '../support/browser.ts';
import { serve } from '../support/http-server.ts';

// As an application widens it.
declare module 'express-session' {
  interface SessionData {
    typedVisits: number;
  }
}

test("req.session has express-session's types and the application's own, behind our middleware; req.auth is ours", async () => {
  const auth = sessionAuth({
    store: memoryStore(),
    secret: 'for this test alone, and for no other one',
    required: false,
    cookie: { secure: false },
  });
  expectTypeOf(auth).toEqualTypeOf<LoginMode<Auth>>();
  const app = express();
  app.use(auth);
  // In front of a handler it leaves the types of params alone.
  app.get('/:name', auth, (req, res) => {
    expectTypeOf(req.session).toEqualTypeOf<Session & Partial<SessionData>>();
    expectTypeOf(req.session.typedVisits).toEqualTypeOf<number | undefined>();
    expectTypeOf(req.sessionID).toEqualTypeOf<string>();
    expectTypeOf(req.auth).toEqualTypeOf<Auth | undefined>();
    expectTypeOf(req.params.name).toEqualTypeOf<string>();
    req.session.typedVisits = (req.session.typedVisits ?? 0) + 1;
    // @ts-expect-error: it is of no other type.
    req.session.typedVisits satisfies string;
    res.json(req.session.typedVisits);
  });
  const server = await serve(app);
  const client = browser(server.url);
  expect([(await client.get('/a')).json, (await client.get('/a')).json]).toEqual([1, 2]);
  await server.close();
});
