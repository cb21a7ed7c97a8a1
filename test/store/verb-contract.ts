import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Auth, AuthStore } from 'portcullis';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { partsOf } from '../../lib/login/auth-store.ts';
import { keepEvidence } from '../../lib/login/evidence.ts';
import { authFrom } from '../../lib/login/login-view.ts';
import { idOf } from '../../lib/login/revocation.ts';
import type { LoginRecord, NewLogin } from '../../lib/store/ports.ts';
import { newLogin } from './new-login.ts';

const ISSUER = 'https://issuer.example';

/** AuthStore: what a user of the suite asks of a store. */
export function verbContract(makeStore: () => Promise<AuthStore>): void {
  let store: AuthStore;
  beforeAll(async () => {
    store = await makeStore();
    await store.ready();
  });
  afterAll(() => store.close());

  async function open(facts: Partial<NewLogin> = {}): Promise<LoginRecord> {
    return partsOf('test', store).logins.open(newLogin(facts), undefined, {});
  }
  const isDead = (auth: Auth) => {
    const { logins, replica } = partsOf('test', store);
    const { sid, issuer, jti, subject, issuedAt } = auth;
    if (sid !== undefined) return logins.isRevoked(sid);
    return replica.revocations.reach({
      token: idOf.token(issuer, jti as string),
      key: idOf.key(issuer as string, 'k1'),
      subjects: [idOf.subject(issuer, subject), idOf.subject(undefined, subject)],
      issuedAt: issuedAt.getTime(),
      leeway: 0,
    });
  };

  test('logins are listed, the latest first, and nothing of them is a credential', async () => {
    const first = await open({ ip: '10.0.0.1', userAgent: 'phone' });
    await sleep(3);
    const { subject } = first;
    const second = await open({ subject, mode: 'hybrid' });
    expect(await store.logins(subject)).toEqual([
      expect.objectContaining({ sid: second.sid, mode: 'hybrid' }),
      {
        sid: first.sid,
        mode: 'session',
        subject,
        createdAt: new Date(first.createdAt),
        lastSeenAt: new Date(first.lastSeenAt),
        expiresAt: new Date(first.expiresAt),
        ip: '10.0.0.1',
        userAgent: 'phone',
      },
    ]);
  });

  test('revokeLogin ends one login and leaves the others', async () => {
    const [one, other] = [await open(), await open({})];
    await store.revokeLogin(one);
    expect(await store.logins(one.subject)).toEqual([]);
    expect(isDead(authFrom(one))).toBe(true);
    expect(await store.logins(other.subject)).toHaveLength(1);
    expect(isDead(authFrom(other))).toBe(false);
  });

  test("revokeLogin leaves another subject's login alone", async () => {
    const { sid, subject } = await open();
    await store.revokeLogin({ sid, subject: 'somebody else' });
    expect(await store.logins(subject)).toHaveLength(1);
  });

  test('revokeLogin of a login that is over is no error', async () => {
    const login = await open();
    await store.revokeLogin(login);
    await store.revokeLogin(login);
    await store.revokeLogin({ subject: login.subject, sid: 'never-was' });
  });

  test('D02: revokeToken takes back one token of one issuer', async () => {
    const [mine, theirs] = [jwt({ jti: 'same' }), jwt({ jti: 'same', issuer: 'https://other.example' })];
    await store.revokeToken(mine);
    expect([mine, theirs].map(isDead)).toEqual([true, false]);
  });

  test('D03: a token taken back in its last moment stays so for as long as a clock may be off', async () => {
    const late = jwt({ expiresAt: new Date(Date.now() - 30_000) });
    await store.revokeToken(late);
    expect(isDead(late)).toBe(true);
  });

  test('D04, N: revokeSubject ends all logins in all modes, and all tokens issued until now', async () => {
    const { subject, ...session } = await open();
    const family = await open({ subject, mode: 'hybrid' });
    const token = jwt({ subject });
    await store.revokeSubject(subject);
    expect(await store.logins(subject)).toEqual([]);
    expect([authFrom({ ...session, subject }), authFrom(family), token].map(isDead)).toEqual([true, true, true]);
    const later = await open({ subject });
    expect((await store.logins(subject)).map(({ sid }) => sid)).toEqual([later.sid]);
    expect(isDead(authFrom(later))).toBe(false);
    expect(isDead(jwt({ subject, issuedAt: new Date(partsOf('test', store).replica.clock.now()) }))).toBe(false);
  });

  test('S12: revokeSubject spares the login it is told to', async () => {
    const spared = await open();
    const other = await open({ subject: spared.subject });
    await store.revokeSubject(spared.subject, { except: spared.sid });
    expect((await store.logins(spared.subject)).map(({ sid }) => sid)).toEqual([spared.sid]);
    expect([spared, other].map((login) => isDead(authFrom(login)))).toEqual([false, true]);
  });

  test('revokeSubject by one issuer leaves the tokens of another alone', async () => {
    const mine = jwt();
    const theirs = jwt({ subject: mine.subject, issuer: 'https://other.example' });
    await store.revokeSubject(mine.subject, { issuer: ISSUER });
    expect([mine, theirs].map(isDead)).toEqual([true, false]);
  });

  test('A-H15: of logins opened while everything of the subject is ended, each lives or is dead, none is half of it', async () => {
    const { logins } = partsOf('test', store);
    for (let round = 0; round < 60; round++) {
      const facts = newLogin();
      const opening = sleep(round % 3).then(() => logins.open(facts, '{}', {}));
      const [opened] = await Promise.allSettled([
        opening,
        sleep(round % 4).then(() => store.revokeSubject(facts.subject)),
      ]);
      const listed = (await store.logins(facts.subject)).length === 1;
      const stands = async () => {
        const { login, row } = await logins.store.find(facts.sid);
        return [login !== undefined, row !== undefined];
      };
      await expect.poll(stands, { interval: 1 }).toEqual([listed, listed]);
      if (listed) expect([opened.status, logins.isRevoked(facts.sid)]).toEqual(['fulfilled', false]);
    }
  });

  test('S14: of fifty logins at once where three may be, three remain', async () => {
    const { subject } = newLogin();
    const { logins } = partsOf('test', store);
    await Promise.allSettled(
      Array.from({ length: 50 }, () => logins.open(newLogin({ subject }), undefined, { atMost: 3 })),
    );
    expect(await store.logins(subject)).toHaveLength(3);
  });

  test('revokeKey takes back what a key of an issuer signed, and nothing else', async () => {
    const issuer = `https://${randomUUID()}.example`;
    const [signed, other] = [jwt({ issuer }), jwt()];
    await store.revokeKey({ issuer, kid: 'k1' });
    expect([signed, other].map(isDead)).toEqual([true, false]);
    expect(partsOf('test', store).replica.revocations.keyRevoked(issuer, 'k1')).toBe(true);
    expect(partsOf('test', store).replica.revocations.keyRevoked(issuer, 'k2')).toBe(false);
  });

  test.concurrent.each([
    ['its login is ended', async () => authFrom(await open()), (auth: Auth) => store.revokeLogin(auth as never)],
    ['the token is taken back', async () => jwt(), (auth: Auth) => store.revokeToken(auth)],
    ['everything of its subject is', async () => jwt(), ({ subject }: Auth) => store.revokeSubject(subject)],
    ['all logins of its subject are', async () => authFrom(await open()), (a: Auth) => store.revokeSubject(a.subject)],
    [
      'the key that signed it is',
      async () => signedBy(jwt({ issuer: `https://${randomUUID()}.example` })),
      ({ issuer }: Auth) => store.revokeKey({ issuer: issuer as string, kid: 'k1' }),
    ],
    ['the token expires', async () => jwt({ expiresAt: new Date(Date.now() + 400) }), async () => {}],
    ['the session expires', async () => authFrom(await open({ idle: 400 })), async () => {}],
    [
      'the session comes to its absolute end',
      async () => authFrom(await open({ idle: 400, absolute: 500 })),
      async () => {},
    ],
  ])('onEnd is called once when %s', async (_when, make, end) => {
    const auth = await make();
    const hear = vi.fn();
    store.onEnd(auth, hear);
    await sleep(20);
    expect(hear).not.toHaveBeenCalled();
    await end(auth);
    await end(auth);
    await vi.waitUntil(() => hear.mock.calls.length > 0, 5_000);
    await sleep(100);
    expect(hear).toHaveBeenCalledOnce();
  });

  test.concurrent('onEnd is called for what is over already', async () => {
    const token = jwt();
    await store.revokeToken(token);
    const hear = vi.fn();
    store.onEnd(token, hear);
    await vi.waitUntil(() => hear.mock.calls.length > 0, 5_000);
    expect(hear).toHaveBeenCalledOnce();
  });

  test.concurrent('onEnd waits for a session that is used', async () => {
    const login = await open({ idle: 900 });
    const hear = vi.fn();
    store.onEnd(authFrom(login), hear);
    for (let use = 0; use < 5; use++) {
      await sleep(300);
      await partsOf('test', store).logins.store.find(login.sid, { after: 0, idle: 1 });
    }
    expect(hear).not.toHaveBeenCalled();
    await vi.waitUntil(() => hear.mock.calls.length > 0, 5_000);
    expect(hear).toHaveBeenCalledOnce();
  });

  test.concurrent('onEnd that was called off is not called', async () => {
    const token = jwt({ expiresAt: new Date(Date.now() + 100) });
    const hear = vi.fn();
    store.onEnd(token, hear)();
    await store.revokeToken(token);
    await sleep(150);
    expect(hear).not.toHaveBeenCalled();
  });

  test('a ready store is fresh, and counts what it knows', async () => {
    const before = store.health();
    expect(before.fresh).toBe(true);
    expect(before.staleness).toBeLessThan(5_000);
    await store.revokeToken(jwt());
    expect(store.health().revocations).toBe(before.revocations + 1);
  });

  test('what is asked wrongly is a TypeError that says what to do', async () => {
    await expect(store.logins('')).rejects.toThrow('logins: "subject" must be given, as a string');
    await expect(store.revokeSubject(undefined as never)).rejects.toThrow(TypeError);
    await expect(store.revokeToken({ expiresAt: new Date() })).rejects.toThrow('use revokeLogin');
    await expect(store.revokeToken({ issuer: 'i', jti: 'x', expiresAt: 5 as never })).rejects.toThrow('must be a Date');
    await expect(store.revokeLogin({ subject: 'a', sid: 5 as never })).rejects.toThrow(TypeError);
    await expect(store.revokeKey({ issuer: 'a', kid: '' })).rejects.toThrow(TypeError);
  });

  test('closed twice, a store is closed', async () => {
    const other = await makeStore();
    await other.close();
    await other.close();
  });
}

function jwt(facts: Partial<Auth> = {}): Auth {
  return {
    mode: 'jwt',
    subject: `user-${randomUUID()}`,
    issuer: ISSUER,
    jti: randomUUID(),
    scopes: [],
    roles: [],
    issuedAt: new Date(Date.now() - 10_000),
    expiresAt: new Date(Date.now() + 60_000),
    claims: {},
    ...facts,
  };
}

function signedBy(auth: Auth): Auth {
  keepEvidence(auth, { key: idOf.key(auth.issuer as string, 'k1'), issuedAt: auth.issuedAt.getTime(), leeway: 0 });
  return auth;
}
