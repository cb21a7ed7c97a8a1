import { setTimeout as wait } from 'node:timers/promises';
import request from 'supertest';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ANN, BOB, browser, logIn, type RunningExample, startExample } from './start-example.ts';

const WRONG = { name: ANN.name, password: 'open sesame, please' };

describe.each(['redis', 'memory'] as const)('over %s', (where) => {
  let example: RunningExample;
  beforeAll(async () => {
    example = await startExample(where);
  });
  afterAll(() => example.stop());

  const api = (path: string, token: string) =>
    request(example.url).get(`/api${path}`).set('Authorization', `Bearer ${token}`);
  const mobileLogin = async ({ name, password }: { name: string; password: string } = ANN) =>
    (await request(example.url).post('/mobile/login').send({ name, password }).expect(200)).body;

  test('the start page names the users, and everything it links to is there', async () => {
    const { text } = await request(example.url).get('/').expect(200);
    for (const { name, password } of [ANN, BOB]) {
      expect(text).toContain(name);
      expect(text).toContain(password);
    }
    const links = [...text.matchAll(/href="([^"]+)"/g)].map(([, link = '']) => link);
    expect(links).toEqual(['/web/', '/app/', '/health', '/.well-known/jwks.json']);
    const answers = await Promise.all(links.map((link) => request(example.url).get(link).set('Accept', 'text/html')));
    expect(answers.map(({ status, headers }) => headers.location ?? status)).toEqual([
      '/web/login',
      '/app/login',
      200,
      200,
    ]);
  });

  test('/health shows what the store says of itself', async () => {
    const { body } = await request(example.url).get('/health').expect(200);
    expect(body).toMatchObject({ fresh: true, revocations: expect.any(Number), staleness: expect.any(Number) });
  });

  describe.each(['/web', '/app'])('%s, in a browser', (door) => {
    test('from login to logout', async () => {
      const ann = browser(example.url);
      await ann.get(`${door}/`).expect(302).expect('Location', `${door}/login`);
      await ann.get(`${door}/login`).expect(200);
      await logIn(ann, door).expect(303).expect('Location', `${door}/`);
      const home = await ann.get(`${door}/`).expect(200);
      expect(home.text).toContain('You are <b>ann</b>');
      expect(home.text).toContain('(this one)');
      await ann.post(`${door}/logout`).expect(303).expect('Location', `${door}/login`);
      await ann.get(`${door}/`).expect(302);
    });

    test('a wrong password and an unknown name get the same answer, and no cookie', async () => {
      const known = await logIn(browser(example.url), door, WRONG).expect(401);
      const unknown = await logIn(browser(example.url), door, { ...WRONG, name: 'nobody' }).expect(401);
      expect(unknown.text).toBe(known.text);
      expect(known.headers['set-cookie']).toBeUndefined();
      expect(unknown.headers['set-cookie']).toBeUndefined();
    });

    test('one device ends another, and only one of the same user', async () => {
      const [laptop, phone, bob] = [browser(example.url), browser(example.url), browser(example.url)];
      await logIn(laptop, door).expect(303);
      await logIn(phone, door).set('User-Agent', 'phone').expect(303);
      await logIn(bob, door, BOB).expect(303);
      const [end = ''] = /logins\/[\w-]+\/end/.exec((await laptop.get(`${door}/`)).text.split('phone')[1] ?? '') ?? [];
      expect(end).not.toBe('');

      await bob.post(`${door}/${end}`).expect(303);
      await phone.get(`${door}/`).expect(200);
      await laptop.post(`${door}/${end}`).expect(303);
      await phone.get(`${door}/`).expect(302);
      await laptop.get(`${door}/`).expect(200);
    });

    test('ending this very login from the list is a logout', async () => {
      const ann = browser(example.url);
      await logIn(ann, door).expect(303);
      const own = /logins\/[\w-]+\/end/.exec((await ann.get(`${door}/`)).text.split('(this one)')[1] ?? '')?.[0];
      const { headers } = await ann.post(`${door}/${own}`).expect(303);
      expect([headers['set-cookie']].flat().every((line) => line?.includes('Max-Age=0'))).toBe(true);
      await ann.get(`${door}/`).expect(302);
    });

    test('the password changes after a fresh proof only, and the other logins end', async () => {
      const [here, there] = [browser(example.url), browser(example.url)];
      await logIn(here, door, BOB).expect(303);
      await logIn(there, door, BOB).expect(303);
      const pair = await mobileLogin(BOB);

      await here.post(`${door}/password`).type('form').send({ password: 'short' }).expect(400);
      await here.post(`${door}/password`).type('form').send({ password: 'bob drains the moat' }).expect(303);
      await here.get(`${door}/`).expect(200);
      await there.get(`${door}/`).expect(302);
      await api('/me', pair.access_token).expect(401);
      await logIn(there, door, BOB).expect(401);
      await logIn(there, door, { ...BOB, password: 'bob drains the moat' }).expect(303);
      await there.post(`${door}/password`).type('form').send({ password: BOB.password }).expect(303);
    });

    test('what another site makes the browser send is refused', async () => {
      const ann = browser(example.url);
      await logIn(ann, door).set('Sec-Fetch-Site', 'cross-site').expect(403);
      await logIn(ann, door).expect(303);
      for (const path of ['/logout', '/logout-everywhere', '/password']) {
        await ann.post(`${door}${path}`).set('Sec-Fetch-Site', 'cross-site').expect(403);
      }
      await ann.get(`${door}/`).expect(200);
    });

    test('only an administrator may log others out', async () => {
      const [ann, bob] = [browser(example.url), browser(example.url)];
      await logIn(ann, door).expect(303);
      await logIn(bob, door, BOB).expect(303);
      await bob.get(`${door}/admin`).expect(403);
      await bob.post(`${door}/admin/logout`).type('form').send({ subject: 'user-ann' }).expect(403);
      await ann.get(`${door}/admin`).expect(200);
      await ann.post(`${door}/admin/logout`).type('form').send({ subject: 'user-bob' }).expect(303);
      await bob.get(`${door}/`).expect(302);
      await ann.get(`${door}/`).expect(200);
    });

    test('what a browser calls itself stays text on the page', async () => {
      const ann = browser(example.url);
      await logIn(ann, door).set('User-Agent', `"><script>alert('x')</script>&`).expect(303);
      const { text } = await ann.get(`${door}/`).expect(200);
      expect(text).toContain('&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;');
      expect(text).not.toContain('<script');
    });

    test('a form that is none is the client’s mistake', async () => {
      await browser(example.url).post(`${door}/login`).type('form').send('name=a&name=b&password').expect(401);
      await browser(example.url)
        .post(`${door}/login`)
        .type('form')
        .send(`name=${'a'.repeat(3_000)}`)
        .expect(413);
      await browser(example.url).post(`${door}/login`).expect(401);
    });
  });

  test('/web counts visits in req.session, and a login keeps none of another user’s', async () => {
    const ann = browser(example.url);
    await logIn(ann, '/web').expect(303);
    await ann.get('/web/');
    expect((await ann.get('/web/')).text).toContain('Visits in this session: 2.');
    await logIn(ann, '/web', BOB).expect(303);
    expect((await ann.get('/web/')).text).toContain('Visits in this session: 1.');
  });

  test('/web exchanges a session for a token that /api takes, until everything is taken back', async () => {
    const ann = browser(example.url);
    await logIn(ann, '/web').expect(303);
    const { body } = await ann.post('/web/token').expect(200).expect('Cache-Control', 'no-store');
    const { body: me } = await api('/me', body.access_token).expect(200);
    expect(me).toMatchObject({ mode: 'jwt', subject: 'user-ann', roles: ['admin'] });
    expect(me.authenticatedAt).toBeDefined();
    await ann.post('/web/logout-everywhere').expect(303);
    await api('/me', body.access_token).expect(401);
  });

  test('/app has routes for the scripts of its pages', async () => {
    const ann = browser(example.url);
    await logIn(ann, '/app').expect(303);
    const { body: receipt } = await ann.post('/app/auth/refresh').expect(200);
    expect(receipt).toEqual({ token_type: 'Bearer', expires_in: 600, scope: ANN.scopes.join(' ') });
    const { body: logins } = await ann.get('/app/auth/logins').expect(200);
    expect(logins.filter(({ current }: { current: boolean }) => current)).toHaveLength(1);
    await ann.post('/app/auth/logout').expect(204);
    await ann.get('/app/auth/logins').expect(401);
  });

  test('/api issues tokens for passwords, asks for scopes, and takes one token back', async () => {
    await request(example.url).post('/api/token').send(WRONG).expect(401);
    const { body: ann } = await request(example.url).post('/api/token').send(ANN).expect(200);
    const { body: bob } = await request(example.url).post('/api/token').send(BOB).expect(200);
    await request(example.url).get('/api/notes').expect(401).expect('WWW-Authenticate', 'Bearer');
    await api('/notes', bob.access_token).expect(200);
    const note = { text: 'The moat is deep.' };
    const write = (token: string) =>
      request(example.url).post('/api/notes').set('Authorization', `Bearer ${token}`).send(note);
    const refusal = await write(bob.access_token).expect(403);
    expect(refusal.headers['www-authenticate']).toContain('scope="notes:write"');
    expect((await write(ann.access_token).expect(201)).body).toContain(note.text);

    await request(example.url).delete('/api/token').set('Authorization', `Bearer ${ann.access_token}`).expect(204);
    await api('/notes', ann.access_token).expect(401);
    await api('/notes', bob.access_token).expect(200);
  });

  test('/mobile: login, refresh, devices, logout; /api takes its access tokens as long as the login lasts', async () => {
    const pair = await mobileLogin();
    const me = (token: string) => request(example.url).get('/mobile/me').set('Authorization', `Bearer ${token}`);
    expect((await me(pair.access_token).expect(200)).body).toMatchObject({ mode: 'hybrid', subject: 'user-ann' });
    const { body: next } = await request(example.url)
      .post('/mobile/refresh')
      .send({ refresh_token: pair.refresh_token })
      .expect(200);
    expect(next.refresh_token).not.toBe(pair.refresh_token);
    await api('/me', next.access_token).expect(200);
    await request(example.url).post('/mobile/logout').send({ refresh_token: next.refresh_token }).expect(204);
    await api('/me', next.access_token).expect(401);
    await me(pair.access_token).expect(401);
    await request(example.url).post('/mobile/refresh').send({ refresh_token: next.refresh_token }).expect(400);
  });

  test('logging out everywhere at one door ends the logins at all of them', async () => {
    const [web, app] = [browser(example.url), browser(example.url)];
    await logIn(web, '/web').expect(303);
    await logIn(app, '/app').expect(303);
    const pair = await mobileLogin();
    const { body: token } = await request(example.url).post('/api/token').send(ANN).expect(200);

    await request(example.url)
      .post('/mobile/logout-everywhere')
      .set('Authorization', `Bearer ${pair.access_token}`)
      .expect(204);

    await web.get('/web/').expect(302);
    await app.get('/app/').expect(302);
    await api('/me', pair.access_token).expect(401);
    await api('/me', token.access_token).expect(401);
    await request(example.url).post('/mobile/refresh').send({ refresh_token: pair.refresh_token }).expect(400);
    expect(await example.store.logins('user-ann')).toEqual([]);
    await logIn(web, '/web').expect(303);
    await web.get('/web/').expect(200);
  });
});

test('after too many wrong passwords even the right one is refused for a while, with a reason', async () => {
  const example = await startExample('memory', { triesPerMinute: 3 });
  const guess = () => request(example.url).post('/mobile/login').send(WRONG);
  for (let tries = 0; tries < 3; tries++) await guess().expect(401);
  const { text, headers } = await logIn(browser(example.url), '/web').expect(429);
  expect(text).toContain('Too many wrong passwords');
  expect(Number(headers['retry-after'])).toBeGreaterThan(0);
  await example.stop();
});

test('logging in rightly uses up no tries', async () => {
  const example = await startExample('memory', { triesPerMinute: 2 });
  for (let tries = 0; tries < 4; tries++) await logIn(browser(example.url), '/web').expect(303);
  await example.stop();
});

test.each(['/web', '/app'])('%s asks for the password once more when it was given too long ago', async (door) => {
  const example = await startExample('memory', { proofWithin: '2s' });
  const ann = browser(example.url);
  const bySession = (await logIn(ann, door).expect(303)).headers['set-cookie'];
  await wait(2_100);
  await ann.get(`${door}/password`).expect(302).expect('Location', `${door}/login?again`);
  await ann.post(`${door}/password`).type('form').send({ password: 'ann raises the bridge' }).expect(401);
  expect((await ann.get(`${door}/login?again`)).text).toContain('once more');
  const again = ann
    .post(`${door}/login`)
    .type('form')
    .send({ ...ANN, again: 'yes' });
  await again.expect(303).expect('Location', `${door}/password`);
  await ann.post(`${door}/password`).type('form').send({ password: 'ann raises the bridge' }).expect(303);
  expect(await example.store.logins('user-ann')).toHaveLength(1);
  await request(example.url).get(`${door}/`).set('Cookie', [bySession].flat().join('; ')).expect(401);
  await example.stop();
});

test('behind a proxy that ends TLS, cookies are Secure and for this host only', async () => {
  const example = await startExample('memory', { https: true });
  const viaProxy = logIn(browser(example.url), '/app').set('X-Forwarded-Proto', 'https');
  const { headers } = await viaProxy.expect(303);
  const lines = [headers['set-cookie']].flat();
  expect(lines).toHaveLength(2);
  for (const line of lines) expect(line).toMatch(/^__Host-(access|refresh)=.*; Secure/);
  await example.stop();
});

test('the audit hears of logins, refusals and revocations at every door', async () => {
  const example = await startExample('memory');
  const ann = browser(example.url);
  await ann.get('/web/').expect(302);
  await logIn(ann, '/web').expect(303);
  await logIn(ann, '/app').expect(303);
  await ann.post('/app/logout').expect(303);
  await ann.post('/web/logout-everywhere').expect(303);
  await expect
    .poll(() => example.events.map(({ type }) => type))
    .toEqual(['refused', 'login', 'login', 'logout', 'revoked', 'logout']);
  await example.stop();
});
