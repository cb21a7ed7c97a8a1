import express, { type Router } from 'express';
import { authErrorHandler, getAuth, hybridAuth } from 'portcullis';
import { type Doors, ISSUER, MOBILE } from './doors.ts';
import { identityOf } from './users.ts';

/** `/mobile`: a client without cookies. It keeps both tokens itself, and trades the refresh token for a new pair. */
export function mobile({ store, secret, audit, users, limitLogins, keys }: Doors): Router {
  const hybrid = hybridAuth({
    ...{ store, secret, keys, issuer: ISSUER, audience: MOBILE, transport: 'body' },
    audit,
    renew({ subject }) {
      const user = users.find(subject);
      return user && identityOf(user);
    },
  });
  const router = express.Router();

  router.post('/login', limitLogins, express.json({ limit: '2kb' }), async (req, res) => {
    const { name, password } = req.body ?? {};
    const user = await users.check(name, password);
    if (user === undefined) {
      res.status(401).json({ error: 'invalid_grant', error_description: 'that name and password do not go together' });
      return;
    }
    res.json(await hybrid.login(req, res, identityOf(user)));
  });

  // POST refresh, POST logout, GET logins, DELETE logins/:sid. Before the door: an expired token may refresh.
  router.use(hybrid.routes());

  router.use(hybrid);

  router.get('/me', (req, res) => {
    res.json(getAuth(req));
  });

  router.post('/logout-everywhere', async (req, res) => {
    await store.revokeSubject(getAuth(req).subject);
    res.status(204).end();
  });

  router.use(authErrorHandler());
  return router;
}
