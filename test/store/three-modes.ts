import express from 'express';
import {
  type AuthStore,
  authErrorHandler,
  hybridAuth,
  jwtAuth,
  localKeys,
  redisStore,
  sessionAuth,
  tokenIssuer,
} from 'portcullis';
import { type HttpServer, serve } from '../support/http-server.ts';

const secret = 'a secret of the test, long enough for all';

export const ISSUER = 'https://auth.example';

/** One process of an application that uses all three modes over one store. */
export interface App {
  readonly store: AuthStore;
  readonly issue: (identity: { subject: string }) => string;
  readonly kid: string;
  ask(method: 'GET' | 'POST', path: string, headers?: Record<string, string>, body?: object): Promise<Reply>;
  stop(): Promise<void>;
}

export interface Reply {
  readonly status: number;
  readonly retryAfter: string | null;
  readonly json: any;
  readonly cookie: string;
}

export async function startApp(
  client: object,
  { kid = 'k', ...options }: Parameters<typeof redisStore>[1] & { kid?: string } = {},
): Promise<App> {
  const store = redisStore(client as never, { timeout: '1s', ...options });
  const keys = localKeys([{ kid, alg: 'HS256', key: secret }]);
  const ours = { issuer: ISSUER, audience: 'https://api.example', keys };
  const hybrid = hybridAuth({ store, secret: `${secret}, and more`, ...ours, transport: 'body' });
  const session = sessionAuth({ store, secret: `${secret}, and more`, cookie: { secure: false } });
  const server = await serve(appOf(hybrid, session, jwtAuth({ store, ...ours })));
  return {
    store,
    issue: tokenIssuer({ ...ours, lifetime: '5m', store }),
    kid,
    ask: (...what) => ask(server, ...what),
    async stop() {
      await server.close();
      await store.close();
    },
  };
}

function appOf(
  hybrid: ReturnType<typeof hybridAuth>,
  session: ReturnType<typeof sessionAuth>,
  jwt: ReturnType<typeof jwtAuth>,
) {
  const app = express();
  app.post('/login/hybrid/:subject', (req, res, next) => {
    hybrid.login(req, res, { subject: req.params.subject }).then((receipt) => res.json(receipt), next);
  });
  app.post('/login/session/:subject', (req, res, next) => {
    session.login(req, res, { subject: req.params.subject }).then((auth) => res.json(auth), next);
  });
  app.use('/auth/hybrid', hybrid.routes());
  app.use('/auth/session', session.routes());
  app.get('/hybrid', hybrid, (req, res) => void res.json(req.auth));
  app.get('/jwt', jwt, (req, res) => void res.json(req.auth));
  app.get('/session', session, (req, res) => void res.json(req.auth));
  app.use(authErrorHandler());
  return app;
}

async function ask(
  { url }: HttpServer,
  method: string,
  path: string,
  headers: Record<string, string> = {},
  body?: object,
): Promise<Reply> {
  const json = body === undefined ? {} : { body: JSON.stringify(body) };
  const type = body === undefined ? {} : { 'content-type': 'application/json' };
  const answer = await fetch(new URL(path, url), { method, headers: { ...headers, ...type }, ...json });
  const text = await answer.text();
  return {
    status: answer.status,
    retryAfter: answer.headers.get('retry-after'),
    json: text.startsWith('{') || text.startsWith('[') ? JSON.parse(text) : undefined,
    cookie: answer.headers
      .getSetCookie()
      .map((line) => line.split(';')[0])
      .join('; '),
  };
}

/** A login of one user, in every mode. */
export interface User {
  readonly subject: string;
  readonly cookie: { cookie: string };
  readonly sid: string;
  /** The access token of hybrid mode. */
  readonly bearer: { authorization: string };
  readonly hybridSid: string;
  refreshToken: string;
  /** A token of `tokenIssuer`. */
  readonly issued: { authorization: string };
}

export const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

/** Logs somebody in, in session and hybrid mode, and issues a token to them. */
export async function logIn(app: App, subject: string): Promise<User> {
  const session = await app.ask('POST', `/login/session/${subject}`);
  const hybrid = await app.ask('POST', `/login/hybrid/${subject}`);
  if (session.status !== 200 || hybrid.status !== 200) throw new Error(`no login: ${session.status} ${hybrid.status}`);
  const known = await app.ask('GET', '/hybrid', bearer(hybrid.json.access_token));
  return {
    subject,
    cookie: { cookie: session.cookie },
    sid: session.json.sid,
    bearer: bearer(hybrid.json.access_token),
    hybridSid: known.json.sid,
    refreshToken: hybrid.json.refresh_token,
    issued: bearer(app.issue({ subject })),
  };
}

/** Where each credential of a user is shown, and which it is. */
export const waysOf = ({ cookie, bearer: hybrid, issued }: User) =>
  [
    ['/session', cookie],
    ['/hybrid', hybrid],
    ['/jwt', hybrid],
    ['/jwt', issued],
  ] as [path: string, headers: Record<string, string>][];

/** What each credential of a user is answered. */
export const statusesOf = (app: App, user: User): Promise<number[]> =>
  Promise.all(waysOf(user).map(async ([path, headers]) => (await app.ask('GET', path, headers)).status));

/** Trades the refresh token of a user for the next. */
export async function refresh(app: App, user: User): Promise<Reply> {
  const answer = await app.ask('POST', '/auth/hybrid/refresh', {}, { refresh_token: user.refreshToken });
  if (answer.status === 200) user.refreshToken = answer.json.refresh_token;
  return answer;
}

/** Takes back the very token of these headers, by what stands in it. */
export async function revokeTokenOf(app: App, { authorization }: { authorization: string }): Promise<void> {
  const payload = Buffer.from(authorization.split('.')[1] ?? '', 'base64url').toString();
  const { iss, jti, exp } = JSON.parse(payload) as { iss: string; jti: string; exp: number };
  await app.store.revokeToken({ issuer: iss, jti, expiresAt: new Date(exp * 1000) });
}
