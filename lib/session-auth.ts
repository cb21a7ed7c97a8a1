import type { IncomingMessage } from 'node:http';
import type { Auth, LoginMode } from './auth.ts';
import { type CredentialReader, keepReaders, loginReader } from './login/credentials.ts';
import { touchAfter } from './login/lifetimes.ts';
import { sidOf } from './login/login-secret.ts';
import { type LoginModeOptions, settleLoginMode } from './mode-options.ts';
import type { Duration } from './options.ts';
import { authenticate, type Door, type Reply } from './request/authenticate.ts';
import { settleCookie } from './request/cookie-settings.ts';
import { cookieSigner } from './request/cookie-signature.ts';
import { crossSitePolicy } from './request/cross-site.ts';
import { loginRoutes } from './routes/login-routes.ts';
import { purposeKey } from './secrets.ts';
import { SessionCallers } from './session/session-callers.ts';
import { SessionLogins } from './session/session-logins.ts';
import type { SessionSettings } from './session/session-settings.ts';
import { checkIdentity } from './token/identity.ts';

export interface SessionAuthOptions extends LoginModeOptions {
  /** How long a login opened with `remember: true` lasts, idle or not; its cookie outlives the browser, others do not. @default '30d' */
  readonly remember?: Duration;
}

/** Cookie sessions: an opaque id in the cookie, the rest in Redis. Goes where `express-session` stood; `req.session` is express-session's, for data of your own. */
export function sessionAuth(options: SessionAuthOptions): LoginMode<Auth> {
  const { required, ...settings } = settle(options);
  const { audit, parts } = settings;
  const callers = new SessionCallers(settings);
  const logins = new SessionLogins(settings, callers);
  const door: Door = {
    required,
    audit,
    ambient: (req: IncomingMessage, reply: Reply | undefined) => callers.recognise(req, reply),
  };
  const verbs: Pick<LoginMode<Auth>, 'login' | 'logout' | 'routes'> = {
    async login(req, res, identity, { remember = false } = {}) {
      checkIdentity('login', identity);
      return logins.login(req, res, identity, remember === true);
    },
    logout: (req, res) => logins.logout(req, res),
    routes: () =>
      loginRoutes({ recognise: authenticate({ ...door, required: true }), parts, audit, logout: verbs.logout }),
  };
  return keepReaders(Object.assign(authenticate(door), verbs), [sessionIdReader(settings)]);
}

/** A service passes the cookie on as it came, or as its parser read it. */
function sessionIdReader({ parts, idle, signer }: SessionSettings): CredentialReader {
  return loginReader({
    kind: 'session',
    parts,
    touch: { after: touchAfter(idle), idle },
    handleIn(text) {
      // Half a surrogate pair has no encoding, and is no part of an id.
      if (/\p{Cs}/u.test(text)) return undefined;
      const id = signer.unsign(text.startsWith('s:') ? encodeURIComponent(text) : text);
      return id && { sid: sidOf(id.value) };
    },
  });
}

function settle(options: SessionAuthOptions): SessionSettings & { readonly required: boolean } {
  const { reader, settings } = settleLoginMode('sessionAuth', options, ['remember'], { idle: '30m', absolute: '7d' });
  const cookie = settleCookie('sessionAuth', options.cookie, 'sid');
  const keys = settings.secrets.map((secret) => purposeKey(secret, 'session', cookie.name).toString('base64url'));
  const remember = reader.duration('remember', '30d');
  settings.parts.replica.expectLifetime(Math.max(settings.absolute, remember));
  return {
    ...settings,
    remember,
    cookie,
    signer: cookieSigner(keys),
    crossSite: crossSitePolicy('sessionAuth', options.trustedOrigins, cookie.sameSite),
  };
}
