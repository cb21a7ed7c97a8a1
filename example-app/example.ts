import express, { type ErrorRequestHandler, type Express } from 'express';
import { type AuditEvent, type AuthStore, type Duration, jwksHandler, type SigningKeys, tokenIssuer } from 'portcullis';
import { api } from './api.ts';
import { app as browserApp } from './app.ts';
import { API, type Doors, ISSUER, TOKEN_SECONDS } from './doors.ts';
import { loginLimit } from './login-limit.ts';
import { mobile } from './mobile.ts';
import { startPage } from './start-page.ts';
import { Users } from './users.ts';
import { web } from './web.ts';

export interface ExampleSettings {
  readonly store: AuthStore;
  readonly keys: SigningKeys;
  readonly secret: string;
  /** Whether browsers reach it by https, through a proxy that ends TLS. @default false: plain http, on localhost only */
  readonly https?: boolean;
  /** What the start page says of where logins are kept. */
  readonly say?: string;
  readonly audit?: (event: AuditEvent) => void;
  /** Wrong passwords a minute, from one address. @default 10 */
  readonly triesPerMinute?: number;
  /** How long ago one may have given one's password, to change it. @default '5m' */
  readonly proofWithin?: Duration;
}

/** The example: one server, four doors, one store. */
export async function createExample(settings: ExampleSettings): Promise<Express> {
  const {
    store,
    keys,
    secret,
    https = false,
    say = '',
    audit = () => {},
    triesPerMinute = 10,
    proofWithin = '5m',
  } = settings;
  const doors: Doors = {
    ...{ store, keys, secret, audit, proofWithin },
    // A browser keeps a Secure cookie from https only. Never set this to false for a site that others can reach: the
    // cookie would cross the network in the clear.
    secure: https,
    users: await Users.samples(),
    limitLogins: loginLimit(triesPerMinute),
    issueToken: tokenIssuer({ store, keys, issuer: ISSUER, audience: API, lifetime: `${TOKEN_SECONDS}s` }),
  };

  const app = express();
  // Behind one proxy, its X-Forwarded-* headers say who calls, and that it was by https.
  if (https) app.set('trust proxy', 1);
  app.disable('x-powered-by');

  app.get('/', (req, res) => {
    res.send(startPage(say, req.socket.localPort));
  });
  app.get('/health', (_req, res) => {
    const health = store.health();
    res.status(health.fresh ? 200 : 503).json(health);
  });
  app.use('/.well-known/jwks.json', jwksHandler(keys));

  app.use('/web', web(doors));
  app.use('/api', api(doors));
  app.use('/app', browserApp(doors));
  app.use('/mobile', mobile(doors));

  app.use(lastResort);
  return app;
}

/** What no door answered: a body that cannot be read, or a mistake of ours, which is nobody else's business. */
const lastResort: ErrorRequestHandler = (error, _req, res, next) => {
  if (res.headersSent) return next(error);
  const status = error.status >= 400 && error.status < 500 ? error.status : 500;
  if (status === 500) console.error(error);
  res.status(status).json({ error: status === 500 ? 'server_error' : 'invalid_request' });
};
