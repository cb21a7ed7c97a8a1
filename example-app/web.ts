import express, { type Router } from 'express';
import { getAuth, sessionAuth } from 'portcullis';
import { accountErrors, accountPages } from './account.ts';
import type { Doors } from './doors.ts';
import { html } from './html.ts';

declare module 'express-session' {
  interface SessionData {
    visits?: number;
  }
}

/** `/web`: pages for a browser, with sessions. */
export function web({ store, secret, secure, audit, users, limitLogins, proofWithin, issueToken }: Doors): Router {
  const session = sessionAuth({ store, secret, cookie: { secure }, audit, maxLogins: 10 });

  const pages = accountPages({
    ...{ door: session, title: 'Sessions', users, store, limitLogins, proofWithin },
    extra(req) {
      // req.session is express-session's own: it is read when used, and stored before the page leaves.
      req.session.visits = (req.session.visits ?? 0) + 1;
      return html`<p>Visits in this session: ${req.session.visits}.</p>`;
    },
  });

  return (
    express
      .Router()
      .use(pages)
      // A session exchanged for a short token, for a service that knows no cookies: `/api` takes it.
      .post('/token', (req, res) => {
        const { subject, roles, scopes, authenticatedAt } = getAuth(req);
        const proved = authenticatedAt === undefined ? {} : { authenticatedAt };
        res.set('Cache-Control', 'no-store').json({ access_token: issueToken({ subject, roles, scopes, ...proved }) });
      })
      .use(accountErrors())
  );
}
