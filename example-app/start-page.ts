import { html, page } from './html.ts';
import { SAMPLES } from './users.ts';

/** What there is to see here, and who may log in. */
export function startPage(say: string, port: number | undefined): string {
  const users = SAMPLES.map(
    ({ name, password, roles, scopes }) =>
      html`<tr><td>${name}<td><code>${password}</code><td>${roles.join(', ') || 'none'}<td>${scopes.join(' ')}`,
  );
  return page(
    'portcullis, an example',
    html`<p>${say}</p>
<ul>
<li><a href="/web/">/web</a>: pages for a browser, with sessions
<li><a href="/app/">/app</a>: the same pages, with access and refresh token in cookies
<li>/mobile: access and refresh token for a client without cookies
<li>/api: bearer tokens
<li><a href="/health">/health</a>, <a href="/.well-known/jwks.json">/.well-known/jwks.json</a>
</ul>
<p>Log in by two doors, or two browsers, and end the one from the other.</p>
<table><tr><th>name<th>password<th>roles<th>scopes
${users}
</table>
<h2>From a terminal</h2>
<pre>${shellScript(port)}</pre>`,
  );
}

const [ann] = SAMPLES;

const shellScript = (port = 3000) => `at=http://localhost:${port}
body='{"name":"${ann.name}","password":"${ann.password}"}'

# /mobile: log in, look around, refresh, log out everywhere
pair=$(curl -s $at/mobile/login -H 'Content-Type: application/json' -d "$body"); echo "$pair"
access=$(echo "$pair" | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')
refresh=$(echo "$pair" | sed 's/.*"refresh_token":"\\([^"]*\\)".*/\\1/')
curl -s $at/mobile/logins -H "Authorization: Bearer $access"
curl -s $at/api/notes -H "Authorization: Bearer $access"
curl -s $at/mobile/refresh -d "refresh_token=$refresh"
curl -s -X POST $at/mobile/logout-everywhere -H "Authorization: Bearer $access"
curl -s $at/api/notes -H "Authorization: Bearer $access"   # refused: it was taken back`;
