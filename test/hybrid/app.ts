import { createSecretKey, randomBytes } from 'node:crypto';
import express, { type Express, type Request } from 'express';
import express4 from 'express4';
import {
  type AuditEvent,
  authErrorHandler,
  getAuth,
  type HybridAuth,
  type HybridAuthOptions,
  hybridAuth,
  localKeys,
} from 'portcullis';
import { expect } from 'vitest';
import { type Browser, browser } from '../support/browser.ts';
import { type HttpServer, serve } from '../support/http-server.ts';

export const ISSUER = 'https://auth.example';
export const AUDIENCE = 'https://api.example';
export const SECRET = randomBytes(32).toString('base64url');
export const signingKey = (kid = 'k1') => ({
  kid,
  alg: 'HS256' as const,
  key: createSecretKey(randomBytes(32)),
});

/** An application in hybrid mode, and what it told. */
export interface HybridApp {
  readonly auth: HybridAuth;
  readonly app: Express;
  readonly options: HybridAuthOptions;
  readonly audit: AuditEvent[];
  readonly errors: unknown[];
  readonly server: HttpServer;
  browser(): Browser;
  /** The audit's events of these types, once it has heard them. */
  heard(...types: string[]): Promise<readonly AuditEvent[]>;
}

export type HybridAppOptions = Partial<HybridAuthOptions> &
  Pick<HybridAuthOptions, 'store'> & { readonly express?: 4 | 5; readonly before?: (app: Express) => void };

/** `POST /login { subject, … }`, `/auth` for the routes, `GET /me` and `POST /act` for those who are known. */
export async function hybridApp(options: HybridAppOptions): Promise<HybridApp> {
  const { express: version = 5, before, ...given } = options;
  const audit: AuditEvent[] = [];
  const errors: unknown[] = [];
  const settled: HybridAuthOptions = {
    keys: localKeys([signingKey()]),
    issuer: ISSUER,
    audience: AUDIENCE,
    secret: SECRET,
    transport: 'cookie',
    audit: (event) => void audit.push(event),
    ...given,
  };
  const auth = hybridAuth(settled);
  const make = (version === 4 ? express4 : express) as typeof express;
  const app = make();
  app.set('trust proxy', true);
  app.post('/login', make.json(), (req, res, next) => {
    const { remember, ...identity } = identityIn(req);
    auth
      .login(req, res, identity, remember === undefined ? {} : { remember })
      .then((receipt) => res.json(receipt), next);
  });
  app.use('/auth', auth.routes());
  before?.(app);
  app.use('/maybe', hybridAuth({ ...settled, required: false, audit: () => {} }), (req, res) => {
    res.json({ subject: (req as Request).auth?.subject ?? null });
  });
  app.use(auth);
  app.all(['/me', '/act'], (req, res) => void res.json(view(req)));
  app.use((error: unknown, _req: unknown, _res: unknown, next: (error: unknown) => void) => {
    errors.push(error);
    next(error);
  });
  app.use(authErrorHandler());
  const server = await serve(app);
  return {
    auth,
    app,
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
export async function logIn(client: Browser, identity: object = { subject: 'ann' }): Promise<any> {
  const { status, json } = await client.post('/login', identity);
  expect(status).toBe(200);
  return json;
}

/** The claims of an access token, unproved. */
export function claimsOf(token: string): Record<string, any> {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
}

export const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });

export const ACCESS = '__Host-access';
export const REFRESH = '__Host-refresh';

function identityIn(req: Request): { subject: string; remember?: boolean } {
  const { authenticatedAt, ...identity } = req.body ?? {};
  return { subject: 'ann', ...identity, ...(authenticatedAt ? { authenticatedAt: new Date(authenticatedAt) } : {}) };
}

function view(req: Request) {
  const { mode, subject, sid, jti, scopes, roles, authenticatedAt, issuedAt, expiresAt, issuer, claims } = getAuth(req);
  return { mode, subject, sid, jti, scopes, roles, authenticatedAt, issuedAt, expiresAt, issuer, claims };
}
