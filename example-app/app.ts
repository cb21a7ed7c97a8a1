import express, { type Router } from 'express';
import { getAuth, hybridAuth } from 'portcullis';
import { accountErrors, accountPages } from './account.ts';
import { APP, type Doors, ISSUER } from './doors.ts';
import { html } from './html.ts';
import { identityOf } from './users.ts';

/** `/app`: the same pages with a short access token and a refresh token, both in cookies no script can read. */
export function app({ store, secret, secure, audit, users, limitLogins, proofWithin, keys }: Doors): Router {
  const hybrid = hybridAuth({
    ...{ store, secret, keys, issuer: ISSUER, audience: APP, transport: 'cookie' },
    cookie: { secure },
    audit,
    // What the user may do is asked again at every refresh; who is gone is logged out.
    renew({ subject }) {
      const user = users.find(subject);
      return user && identityOf(user);
    },
  });

  const pages = accountPages({
    ...{ door: hybrid, title: 'Hybrid, in a browser', users, store, limitLogins, proofWithin },
    extra: (req) => html`<p>This access token was issued at ${getAuth(req).issuedAt.toISOString()};
when four fifths of its life are over, the next page brings another.</p>`,
  });

  return (
    express
      .Router()
      // For scripts of these pages: POST auth/refresh, POST auth/logout, GET auth/logins, DELETE auth/logins/:sid.
      .use('/auth', hybrid.routes())
      .use(pages)
      .use(accountErrors())
  );
}
