import express, { type Router } from 'express';
import { authErrorHandler, getAuth, jwtAuth, requireScope } from 'portcullis';
import { API, type Doors, ISSUER, MOBILE, TOKEN_SECONDS } from './doors.ts';
import { identityOf } from './users.ts';

/** `/api`: bearer tokens, and nothing else. It takes its own, and those of `/mobile`. */
export function api({ store, audit, users, limitLogins, keys, issueToken }: Doors): Router {
  const notes: string[] = ['The bridge is up at night.'];
  const router = express.Router();
  const json = express.json({ limit: '2kb' });

  router.post('/token', limitLogins, json, async (req, res) => {
    const { name, password } = req.body ?? {};
    const user = await users.check(name, password);
    if (user === undefined) {
      res.status(401).json({ error: 'invalid_grant', error_description: 'that name and password do not go together' });
      return;
    }
    const token = issueToken({ ...identityOf(user), authenticatedAt: new Date() });
    res.set('Cache-Control', 'no-store');
    res.json({ token_type: 'Bearer', access_token: token, expires_in: TOKEN_SECONDS });
  });

  router.use(jwtAuth({ store, keys, issuer: ISSUER, audience: [API, MOBILE], audit }));

  router.get('/me', (req, res) => {
    res.json(getAuth(req));
  });

  router.get('/notes', requireScope('notes:read'), (_req, res) => {
    res.json(notes);
  });

  router.post('/notes', requireScope('notes:write'), json, (req, res) => {
    notes.push(String(req.body?.text ?? '').slice(0, 200));
    res.status(201).json(notes);
  });

  // Takes this very token back, in every process.
  router.delete('/token', async (req, res) => {
    await store.revokeToken(getAuth(req));
    res.status(204).end();
  });

  router.use(authErrorHandler());
  return router;
}
