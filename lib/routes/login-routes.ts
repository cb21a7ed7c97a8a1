import express, { type Request, type RequestHandler, type Response, type Router } from 'express';
import { tell } from '../audit.ts';
import { getAuth, type Middleware } from '../auth.ts';
import { InvalidRequest } from '../errors.ts';
import type { StoreParts } from '../login/auth-store.ts';
import { loginFrom } from '../login/login-view.ts';
import { authErrorHandler } from './error-handler.ts';

export interface LoginDoor {
  /** Refuses whom the mode does not know. */
  readonly recognise: Middleware;
  readonly parts: StoreParts;
  logout(req: Request, res: Response): Promise<void>;
  /** Only where there is something to refresh. */
  readonly refresh?: (req: Request, res: Response) => Promise<object>;
}

// A refresh token takes 120 bytes.
const BODY = { limit: '8kb' };

/**
 * `POST /logout`, `GET /logins`, `DELETE /logins/:sid` and, where there is one, `POST /refresh`. They parse their bodies
 * themselves, answer their own refusals as JSON (RFC 6749, section 5.2), and are never cached.
 */
export function loginRoutes({ recognise, parts, logout, refresh }: LoginDoor): Router {
  const router = express.Router();
  const body = [express.json(BODY), express.urlencoded({ ...BODY, extended: false })];
  const known = recognise as unknown as RequestHandler;

  router.use((_req, res, next) => {
    res.setHeader('Cache-Control', 'no-store');
    next();
  });

  if (refresh !== undefined) {
    router
      .route('/refresh')
      .post(
        body,
        answer(async (req, res) => void res.json(await refresh(req, res))),
      )
      .all(only('POST'));
  }

  router
    .route('/logout')
    .post(
      body,
      answer(async (req, res) => {
        await logout(req, res);
        res.status(204).end();
      }),
    )
    .all(only('POST'));

  router
    .route('/logins')
    .get(
      known,
      answer(async (req, res) => {
        const { subject, sid: own } = getAuth(req);
        const standing = (await parts.logins.store.list(subject)).filter(({ sid }) => !parts.logins.isRevoked(sid));
        res.json(standing.map((login) => ({ ...loginFrom(login), current: login.sid === own })));
      }),
    )
    .all(only('GET, HEAD'));

  router
    .route('/logins/:sid')
    .delete(
      known,
      answer(async (req, res) => {
        const { subject, sid: own } = getAuth(req);
        const sid = String(req.params['sid']);
        // One's own is a logout, which takes the cookies along.
        if (sid === own) await logout(req, res);
        else if (await parts.logins.end({ subject, sid })) tell(parts.audits, { type: 'revoked', subject, sid }, req);
        res.status(204).end();
      }),
    )
    .all(only('DELETE'));

  router.use(unreadableBody, authErrorHandler());
  return router;
}

/** Express 4 does not look after promises. */
function answer(handle: (req: Request, res: Response) => Promise<void>): RequestHandler {
  return (req, res, next) => {
    handle(req, res).catch(next);
  };
}

function only(methods: string): RequestHandler {
  return (_req, res) => {
    res.status(405).setHeader('Allow', methods);
    res.json({ error: 'invalid_request', error_description: `the method must be ${methods}` });
  };
}

// What the body parsers throw is the client's doing: not JSON, too long, another charset.
function unreadableBody(error: unknown, _req: Request, _res: Response, next: (error: unknown) => void): void {
  const { status, type } = error as { status?: number; type?: unknown };
  const theirs = typeof type === 'string' && status !== undefined && status >= 400 && status < 500;
  next(theirs ? new InvalidRequest('the body cannot be read') : error);
}
