import express, { type Request, type RequestHandler, type Response, type Router } from 'express';
import {
  type AuthStore,
  authErrorHandler,
  type Duration,
  getAuth,
  type Login,
  type LoginMode,
  requireAuth,
  requireRole,
} from 'portcullis';
import { type Html, html, page } from './html.ts';
import { identityOf, SHORTEST_PASSWORD, type User, type Users } from './users.ts';

export interface AccountSettings {
  /** sessionAuth, or hybridAuth with cookies: the pages cannot tell. */
  readonly door: LoginMode<unknown>;
  readonly title: string;
  readonly users: Users;
  readonly store: AuthStore;
  readonly limitLogins: RequestHandler;
  /** How long ago one may have proved who one is, to change the password (OWASP ASVS 7.5.1). */
  readonly proofWithin: Duration;
  /** What only this door has to show. */
  readonly extra: (req: Request) => Html;
}

const form = express.urlencoded({ extended: false, limit: '2kb' });

/**
 * The pages of a browser's account: log in, see where one is logged in, log out here, of one device or everywhere, change
 * the password. Forms carry no token: the door itself refuses what another site's page sends.
 */
export function accountPages(settings: AccountSettings): Router {
  const { door, title, users, store, limitLogins, proofWithin, extra } = settings;
  const router = express.Router();

  router.get('/login', (req, res) => {
    res.send(loginPage(title, 'again' in req.query));
  });

  router.post('/login', limitLogins, form, async (req, res) => {
    const { name, password, remember, again } = fieldsOf(req);
    const user = await users.check(name, password);
    if (user === undefined) {
      res.status(401).send(loginPage(title, again !== undefined, 'That name and password do not go together.'));
      return;
    }
    // Also where somebody is logged in already: the old login ends, and the new one has just been proved (step-up).
    await door.login(req, res, identityOf(user), { remember: remember !== undefined });
    res.redirect(303, `${req.baseUrl}/${again === undefined ? '' : 'password'}`);
  });

  // Below here everybody is known: who is not goes to the login page.
  router.use(door);

  router.get('/', async (req, res) => {
    const { subject, sid } = getAuth(req);
    const logins = await store.logins(subject);
    res.send(homePage(title, req, users.find(subject), html`${extra(req)} ${deviceTable(logins, sid)}`));
  });

  router.post('/logout', async (req, res) => {
    await door.logout(req, res);
    res.redirect(303, `${req.baseUrl}/login`);
  });

  router.post('/logins/:sid/end', async (req, res) => {
    const { subject, sid: own } = getAuth(req);
    const sid = req.params.sid;
    // One's own is a logout, which takes the cookies along.
    if (sid === own) await door.logout(req, res);
    else await store.revokeLogin({ subject, sid });
    res.redirect(303, `${req.baseUrl}/`);
  });

  router.post('/logout-everywhere', async (req, res) => {
    await logOutEverywhere(req, res);
    res.redirect(303, `${req.baseUrl}/login`);
  });

  async function logOutEverywhere(req: Request, res: Response): Promise<void> {
    // In this order: while it has not worked, the button is still there to press again.
    await store.revokeSubject(getAuth(req).subject);
    await door.logout(req, res);
  }

  router
    .route('/password')
    .all(requireAuth({ within: proofWithin }) as RequestHandler)
    .get((_req, res) => {
      res.send(passwordPage(title));
    })
    .post(form, async (req, res) => {
      const { subject, sid } = getAuth(req);
      if (!(await users.changePassword(subject, fieldsOf(req).password))) {
        res.status(400).send(passwordPage(title, `A password has at least ${SHORTEST_PASSWORD} characters.`));
        return;
      }
      // Whoever knew the old password is out, whichever door they came through.
      await store.revokeSubject(subject, { except: sid });
      res.redirect(303, `${req.baseUrl}/`);
    });

  router.get('/admin', requireRole('admin'), (_req, res) => {
    res.send(adminPage(title, users.all()));
  });

  router.post('/admin/logout', requireRole('admin'), form, async (req, res) => {
    await store.revokeSubject(fieldsOf(req).subject ?? '');
    res.redirect(303, `${req.baseUrl}/admin`);
  });

  return router;
}

/** Sends a browser that must log in (again) to the login page; answers all other refusals as JSON. */
export function accountErrors(): express.ErrorRequestHandler {
  return authErrorHandler({
    loginUrl: (req, { code }) => {
      const again = code === 'insufficient_user_authentication';
      return `${req.baseUrl}/login${again ? '?again' : ''}`;
    },
  });
}

/** The strings of a form; a name given twice counts as not given. */
function fieldsOf(req: Request): Readonly<Record<string, string | undefined>> {
  const fields = Object.entries((req.body ?? {}) as Record<string, unknown>);
  return Object.fromEntries(fields.filter((field): field is [string, string] => typeof field[1] === 'string'));
}

function loginPage(title: string, again: boolean, complaint = ''): string {
  return page(
    title,
    html`<p><b>${complaint}</b></p>
${again ? html`<p>For this, please prove once more who you are.</p>` : ''}
<form method="post" action="login">
${again ? html`<input type="hidden" name="again" value="yes">` : ''}
<label>Name <input name="name" autocomplete="username" required></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<label><input name="remember" type="checkbox"> Stay logged in when the browser closes</label>
<button>Log in</button>
</form>
<p><a href="/">Who may log in?</a></p>`,
  );
}

function homePage(title: string, req: Request, user: User | undefined, body: Html): string {
  const { mode, roles, scopes, expiresAt, authenticatedAt } = getAuth(req);
  return page(
    title,
    html`<p>You are <b>${user?.name ?? 'somebody unknown'}</b>, recognised by <code>${mode}Auth</code>.
Roles: ${roles.join(', ') || 'none'}. Scopes: ${scopes.join(' ') || 'none'}.
Password last given ${authenticatedAt?.toISOString() ?? 'never'}; good until ${expiresAt.toISOString()}.</p>
${body}
<p>${button('logout', 'Log out here')} ${button('logout-everywhere', 'Log out everywhere')}</p>
<p><a href="password">Change the password</a> · <a href="admin">Administration</a> · <a href="/">Start page</a></p>`,
  );
}

function deviceTable(logins: readonly Login[], own: string | undefined): Html {
  const rows = logins.map(
    ({ sid, mode, lastSeenAt, ip, userAgent }) => html`<tr><td>${mode}${sid === own ? ' (this one)' : ''}
<td>${lastSeenAt.toISOString()}<td>${ip ?? ''}<td>${userAgent ?? ''}<td>${button(`logins/${sid}/end`, 'End')}`,
  );
  return html`<h2>Where you are logged in</h2>
<table><tr><th>mode<th>last seen<th>address<th>browser<th>
${rows}
</table>`;
}

function passwordPage(title: string, complaint = ''): string {
  return page(
    title,
    html`<p><b>${complaint}</b></p>
<form method="post" action="password">
<label>New password <input name="password" type="password" autocomplete="new-password" required></label>
<button>Change it, and log out everywhere else</button>
</form>
<p><a href="./">Back</a></p>`,
  );
}

function adminPage(title: string, users: readonly User[]): string {
  const rows = users.map(
    ({ subject, name }) => html`<tr><td>${name}<td><form method="post" action="admin/logout">
<button name="subject" value="${subject}">Log out everywhere</button></form>`,
  );
  return page(title, html`<table>${rows}</table><p><a href="./">Back</a></p>`);
}

function button(action: string, label: string): Html {
  return html`<form method="post" action="${action}"><button>${label}</button></form>`;
}
