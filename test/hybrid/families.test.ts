import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import type { Browser } from '../support/browser.ts';
import { bearer, type HybridApp, type HybridAppOptions, hybridApp, logIn } from './app.ts';
import { everyStore } from './stores.ts';

const opened: HybridApp[] = [];
afterEach(async () => {
  for (const app of opened.splice(0)) {
    await app.server.close();
    await app.options.store.close();
  }
});

interface Tokens {
  readonly access_token: string;
  readonly refresh_token: string;
}

describe.each(everyStore())('a family of refresh tokens, in %s,', (_name, makeStore) => {
  const open = async (options: Partial<HybridAppOptions> = {}) => {
    const app = await hybridApp({ store: await makeStore(), transport: 'body', grace: '300ms', ...options });
    opened.push(app);
    return app;
  };
  const refresh = async (client: Browser, { refresh_token }: Tokens): Promise<Tokens> => {
    const { status, json } = await client.post('/auth/refresh', { refresh_token });
    expect([status, json.error]).toEqual([200, undefined]);
    return json;
  };
  const refused = async (client: Browser, { refresh_token }: Tokens) => {
    const { status, json } = await client.post('/auth/refresh', { refresh_token });
    expect([status, json.error]).toEqual([400, 'invalid_grant']);
  };
  /** Uses the access token, so that the store hears of it. */
  const use = async (client: Browser, { access_token }: Tokens) => {
    const { status } = await client.get('/me', bearer(access_token));
    await sleep(20);
    return status;
  };
  const overGrace = () => sleep(350);

  test('A-H02, H03: a token that comes twice within grace gives one and the same successor', async () => {
    const client = (await open()).browser();
    const first = await logIn(client);
    const [a, b] = [await refresh(client, first), await refresh(client, first)];
    expect(a.refresh_token).toBe(b.refresh_token);
    expect(a.refresh_token).not.toBe(first.refresh_token);
    expect(await use(client, a)).toBe(200);
    expect(await use(client, b)).toBe(200);
  });

  test('A-H03, H06: within grace the successor is not rotated either, and its parent still gives it', async () => {
    const client = (await open({ grace: '5s' })).browser();
    const first = await logIn(client);
    const second = await refresh(client, first);
    await use(client, second);
    expect((await refresh(client, second)).refresh_token).toBe(second.refresh_token);
    expect((await refresh(client, first)).refresh_token).toBe(second.refresh_token);
  });

  test('A-H06, H05: whoever hits grace gets tokens that go on working', async () => {
    const client = (await open()).browser();
    const first = await logIn(client);
    await refresh(client, first);
    const tab = await refresh(client, first);
    await overGrace();
    const next = await refresh(client, tab);
    expect(await use(client, next)).toBe(200);
  });

  test('A-H01, H01, H16: a spent token that comes back after grace ends the family, all its tokens at once, and is told', async () => {
    const app = await open();
    const client = app.browser();
    const first = await logIn(client);
    const second = await refresh(client, first);
    expect(await use(client, second)).toBe(200);
    await overGrace();
    await refused(client, first);
    expect(await use(client, second)).toBe(401);
    expect(await use(client, first)).toBe(401);
    await refused(client, second);
    await refused(client, first);
    expect(await app.options.store.logins('ann')).toEqual([]);
    const [event, ...more] = await app.heard('refresh_reused');
    expect(event).toMatchObject({
      mode: 'hybrid',
      subject: 'ann',
      sid: expect.any(String),
      ip: '127.0.0.1',
      at: expect.any(Date),
    });
    expect(more).toEqual([]);
  });

  test('A-H07, A-H08: thief first or victim first, the family ends once both have come', async () => {
    const app = await open();
    const client = app.browser();
    for (const order of ['thief first', 'victim first']) {
      const stolen = await logIn(client, { subject: order });
      const ones = await refresh(client, stolen);
      expect(await use(client, ones)).toBe(200);
      await overGrace();
      const again = await refresh(client, ones);
      expect(await use(client, again)).toBe(200);
      await overGrace();
      await refused(client, stolen);
      expect(await use(client, again)).toBe(401);
    }
    expect(await app.heard('refresh_reused')).toHaveLength(2);
  });

  test('H04, A-H10: whose response was lost may come again however late: a successor nobody used is replaced', async () => {
    const app = await open();
    const client = app.browser();
    const first = await logIn(client);
    const lost = await refresh(client, first);
    await overGrace();
    const second = await refresh(client, first);
    expect(second.refresh_token).not.toBe(lost.refresh_token);
    expect(await use(client, second)).toBe(200);
    await overGrace();
    const third = await refresh(client, second);
    expect(await use(client, third)).toBe(200);
    expect(await app.heard('refresh_reused')).toEqual([]);
  });

  test('H04: and the one that was lost is void from then on', async () => {
    const app = await open();
    const client = app.browser();
    const first = await logIn(client);
    const lost = await refresh(client, first);
    await overGrace();
    const second = await refresh(client, first);
    expect(await use(client, second)).toBe(200);
    await overGrace();
    await refused(client, lost);
    expect(await use(client, second)).toBe(401);
  });

  test('H06: a parent whose successor was seen in use is reuse after grace', async () => {
    const client = (await open()).browser();
    const first = await logIn(client);
    const second = await refresh(client, first);
    expect(await use(client, second)).toBe(200);
    await overGrace();
    const third = await refresh(client, second);
    expect(await use(client, third)).toBe(200);
    await overGrace();
    await refused(client, second);
    expect(await use(client, third)).toBe(401);
  });

  test('H19, A-H18: five hundred rotations of one family leave one login, and reuse of the first is still told', async () => {
    const app = await open({ grace: '0ms' });
    const client = app.browser();
    const first = await logIn(client);
    let tokens = first;
    for (let n = 0; n < 500; n++) tokens = await refresh(client, tokens);
    expect(await app.options.store.logins('ann')).toHaveLength(1);
    expect(tokens.refresh_token).toContain('.500.');
    await refused(client, first);
    expect(await app.heard('refresh_reused')).toHaveLength(1);
  });

  test('H20: one sees one’s logins and ends them one by one, and nobody else’s', async () => {
    const app = await open();
    const [phone, laptop, other] = [app.browser(), app.browser(), app.browser()];
    const tokens = [await logIn(phone)];
    await sleep(5);
    tokens.push(await logIn(laptop), await logIn(other, { subject: 'eve' }));
    const [mine, theirs, eves] = tokens.map(({ access_token }) => bearer(access_token)) as [any, any, any];
    const list = (await phone.get('/auth/logins', mine)).json;
    expect(list).toMatchObject([
      { current: false },
      { current: true, mode: 'hybrid', subject: 'ann', ip: '127.0.0.1' },
    ]);
    for (const login of list) {
      expect(Object.keys(login).sort()).toEqual(
        ['createdAt', 'current', 'expiresAt', 'ip', 'lastSeenAt', 'mode', 'sid', 'subject'].sort(),
      );
    }
    const [, { sid: phones }] = list;
    const [{ sid: laptops }] = list;
    expect((await other.send('DELETE', `/auth/logins/${phones}`, eves)).status).toBe(204);
    expect((await phone.get('/me', mine)).status).toBe(200);
    expect((await phone.send('DELETE', `/auth/logins/${laptops}`, mine)).status).toBe(204);
    expect((await laptop.get('/me', theirs)).status).toBe(401);
    expect((await phone.send('DELETE', '/auth/logins/unknown', mine)).status).toBe(204);
    expect(await app.heard('revoked', 'logout')).toMatchObject([{ type: 'revoked', sid: laptops }]);
    expect((await phone.send('DELETE', `/auth/logins/${phones}`, mine)).status).toBe(204);
    expect((await phone.get('/me', mine)).status).toBe(401);
    expect(await app.heard('logout')).toMatchObject([{ sid: phones }]);
    expect((await phone.get('/auth/logins')).status).toBe(401);
  });
});
