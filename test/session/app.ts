import { randomBytes } from 'node:crypto';
import express, { type Express, type Request } from 'express';
import express4 from 'express4';
import {
  type AuditEvent,
  type Auth,
  authErrorHandler,
  type LoginMode,
  type SessionAuthOptions,
  sessionAuth,
} from 'portcullis';
import { expect } from 'vitest';
import { type Answer, type Browser, browser } from '../support/browser.ts';
import { type HttpServer, serve } from '../support/http-server.ts';

export const SECRET = randomBytes(32).toString('base64url');
export const COOKIE = '__Host-sid';

/** An application in session mode, and what it told. */
export interface SessionApp {
  readonly auth: LoginMode<Auth>;
  readonly options: SessionAuthOptions;
  readonly audit: AuditEvent[];
  readonly errors: unknown[];
  readonly server: HttpServer;
  browser(): Browser;
  /** The audit's events of these types, once it has heard them. */
  heard(...types: string[]): Promise<readonly AuditEvent[]>;
}

export type SessionAppOptions = Partial<SessionAuthOptions> &
  Pick<SessionAuthOptions, 'store'> & {
    readonly express?: 4 | 5;
    /** What stands in front of the mode. */
    readonly before?: (app: Express, auth: LoginMode<Auth>) => void;
    readonly routes?: (app: Express, auth: LoginMode<Auth>) => void;
    /** What stands in front of the error handler that answers. */
    readonly errorHandler?: Parameters<Express['use']>[0];
  };

/** The data of an application: whatever a test likes. */
export type AnyData = Record<string, unknown> & { cookie?: unknown };
export const dataOf = (req: unknown) => (req as { session: AnyData }).session;

/**
 * `POST /login { subject, … }`, `/auth` for the routes, and, visitors included: `GET /me`, `/data` for what the session
 * holds, `/set?name=value` to change it.
 */
export async function sessionApp(options: SessionAppOptions): Promise<SessionApp> {
  const { express: version = 5, before, routes, errorHandler, ...given } = options;
  const audit: AuditEvent[] = [];
  const errors: unknown[] = [];
  const settled: SessionAuthOptions = {
    secret: SECRET,
    required: false,
    audit: (event) => void audit.push(event),
    ...given,
  };
  const auth = sessionAuth(settled);
  const make = (version === 4 ? express4 : express) as typeof express;
  const app = make();
  app.set('trust proxy', true);
  before?.(app, auth);
  app.use('/auth', auth.routes());
  app.use(auth);
  app.post('/login', make.json(), (req, res, next) => {
    const { remember, ...identity } = { subject: 'ann', ...req.body };
    auth.login(req, res, identity, { remember }).then((made) => res.json({ sid: made.sid }), next);
  });
  app.get('/me', (req, res) => void res.json({ subject: (req as Request).auth?.subject ?? null, auth: req.auth }));
  app.all('/data', (req, res) => void res.json(visible(req)));
  app.all('/set', (req, res) => {
    Object.assign(dataOf(req), req.query);
    res.json(visible(req));
  });
  routes?.(app, auth);
  app.use((error: unknown, _req: unknown, _res: unknown, next: (error: unknown) => void) => {
    errors.push(error);
    next(error);
  });
  if (errorHandler !== undefined) app.use(errorHandler);
  app.use(authErrorHandler());
  // Express's own prints what it answers.
  app.use((error: { status?: number }, _req: Request, res: express.Response, next: (error: unknown) => void) => {
    if (res.headersSent) next(error);
    else res.status(error.status ?? 500).json({ error: 'unexpected' });
  });
  app.set('env', 'test');
  const server = await serve(app);
  return {
    auth,
    options: settled,
    audit,
    errors,
    server,
    browser: () => browser(server.url),
    async heard(...types) {
      // The audit is told after the request's own work.
      await new Promise((resolve) => setTimeout(resolve, 5));
      return audit.filter(({ type }) => types.includes(type));
    },
  };
}

/** Logs in, and demands that it worked. */
export async function logIn(client: Browser, identity: object = { subject: 'ann' }): Promise<Answer> {
  const answer = await client.post('/login', identity);
  expect(answer.status).toBe(200);
  return answer;
}

/** Whom the server takes this client for. */
export async function subjectOf(client: Browser): Promise<string | null> {
  const { status, json } = await client.get('/me');
  expect(status).toBe(200);
  return json.subject;
}

function visible(req: Request): object {
  const { cookie: _, ...data } = { ...dataOf(req) };
  return data;
}
