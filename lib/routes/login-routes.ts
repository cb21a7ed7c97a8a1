import express, {
  type ErrorRequestHandler,
  type Request,
  type RequestHandler,
  type Response,
  type Router,
} from 'express';
import { type Audit, tell } from '../audit.ts';
import { type Auth, getAuth, type Mode, recognitionOf, tellRefusal } from '../auth.ts';
import { AuthError, InvalidRequest, Unauthenticated } from '../errors.ts';
import type { StoreParts } from '../login/auth-store.ts';
import { loginFrom } from '../login/login-view.ts';
import { authErrorHandler } from './error-handler.ts';

export interface LoginDoor {
  /** Refuses whom the mode does not know. */
  readonly recognise: Mode;
  readonly parts: StoreParts;
  /** Hears of what is refused here. */
  readonly audit?: Audit | undefined;
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
export function loginRoutes({ recognise, parts, audit, logout, refresh }: LoginDoor): Router {
  const router = express.Router();
  const body = [express.json(BODY), express.urlencoded({ ...BODY, extended: false })];
  const known = recognise as unknown as RequestHandler;
  const mode = refresh === undefined ? 'session' : 'hybrid';
  const standing = async (subject: string) =>
    (await parts.logins.store.list(subject)).filter((login) => !parts.logins.isOver(login));

  const refreshed = answer(async (req, res) => void res.json(await refresh?.(req, res)));
  const loggedOut = answer(async (req, res) => {
    await logout(req, res);
    res.status(204).end();
  });
  const listed = answer(async (req, res) => {
    const { subject, sid: own } = await ownerIn(req, recognise);
    const logins = await standing(subject);
    res.json(logins.map((login) => ({ ...loginFrom(login), current: login.sid === own })));
  });
  const ended = answer(async (req, res) => {
    const { subject, sid: own, mode: door } = await ownerIn(req, recognise);
    const sid = String(req.params['sid']);
    // One's own is a logout, which takes the cookies along.
    if (sid === own && door === mode) await logout(req, res);
    else if (await parts.logins.end({ subject, sid })) tell(parts.audits, { type: 'revoked', subject, sid }, req);
    res.status(204).end();
  });

  // Headers are set by each route: whatever else passes through here, on its way to the application, is left alone.
  if (refresh !== undefined) router.route('/refresh').all(uncached).post(body, refreshed).all(only('POST'));
  router.route('/logout').all(uncached).post(body, loggedOut).all(only('POST'));
  router.route('/logins').all(uncached).get(known, listed).all(only('GET, HEAD'));
  router.route('/logins/:sid').all(uncached).delete(known, ended).all(only('DELETE'));
  router.use(unreadable, heard(audit), authErrorHandler());
  return router;
}

/** The caller, whose subject is one of ours: another issuer's `ann`, let in by a `jwtAuth` in front, is not our ann. */
async function ownerIn(req: Request, mode: Mode): Promise<Auth> {
  const auth = getAuth(req);
  if (auth.mode !== 'jwt') return auth;
  const own = await mode.authenticate(req);
  if (own === undefined) throw new Unauthenticated();
  return own;
}

function uncached(_req: Request, res: Response, next: () => void): void {
  res.setHeader('Cache-Control', 'no-store');
  next();
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

// What the body parsers and the router throw of this kind is the client's doing: not JSON, too long, a broken escape.
function unreadable(error: unknown, _req: Request, _res: Response, next: (error: unknown) => void): void {
  const { status } = error as { status?: number };
  const theirs = !(error instanceof AuthError) && status !== undefined && status >= 400 && status < 500;
  next(theirs ? new InvalidRequest('the request cannot be read') : error);
}

function heard(audit: Audit | undefined): ErrorRequestHandler {
  return (error: unknown, req, _res, next) => {
    const audits = new Set([...recognitionOf(req).audits, ...(audit === undefined ? [] : [audit])]);
    if (error instanceof AuthError) tellRefusal(error, audits, req);
    next(error);
  };
}
