import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Server, startServers } from './hybrid/servers.ts';

let all: Awaited<ReturnType<typeof startServers>>;
let fast: Server;
let slow: Server;
beforeAll(async () => {
  // Three seconds before and behind, so that `iat` says nothing of the order of things.
  all = await startServers([3_000, -3_000]);
  [fast, slow] = all.servers as [Server, Server];
});
afterAll(() => all.stop());

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const statusAt = async (server: Server, path: string, headers: Record<string, string>) =>
  (await server.ask('GET', path, headers)).status;

/** A credential of each kind, and where it is shown. */
const kinds: Record<
  string,
  (server: Server, subject: string) => Promise<{ path: string; headers: Record<string, string> }>
> = {
  hybrid: async (server, subject) => {
    const { json } = await server.ask('POST', `/login/hybrid/${subject}`);
    return { path: '/hybrid', headers: bearer(json.access_token) };
  },
  'hybrid at jwtAuth': async (server, subject) => {
    const { json } = await server.ask('POST', `/login/hybrid/${subject}`);
    return { path: '/jwt', headers: bearer(json.access_token) };
  },
  session: async (server, subject) => {
    const { cookie } = await server.ask('POST', `/login/session/${subject}`);
    return { path: '/session', headers: { cookie } };
  },
  issued: async (server, subject) => ({ path: '/hybrid', headers: bearer(await server.call('issue', subject)) }),
  'issued at jwtAuth': async (server, subject) => ({
    path: '/jwt',
    headers: bearer(await server.call('issue', subject)),
  }),
};

test('the two processes disagree about the time by six seconds', async () => {
  expect((await fast.call('now')) - (await slow.call('now'))).toBeGreaterThan(5_000);
});

describe.each(Object.keys(kinds))('A-J10, D04: revokeSubject and %s', (kind) => {
  const open = kinds[kind] as (typeof kinds)[string];

  test('ends what was before it and nothing that begins after it, whichever process says so, forty times', async () => {
    const wrong: unknown[] = [];
    for (let round = 0; round < 40; round++) {
      const subject = `${kind.replaceAll(' ', '-')}-${round}`;
      const [one, other] = round % 2 === 0 ? [fast, slow] : [slow, fast];
      const before = [await open(one, subject), await open(other, subject)];
      await one.call('revokeSubject', subject);
      const after = [await open(other, subject), await open(one, subject)];
      // Everywhere once it resolves: here at once, there as soon as the bell is heard.
      await heard(other, before[0] as any);
      for (const server of [one, other]) {
        for (const { path, headers } of before) {
          const status = await statusAt(server, path, headers);
          if (status !== 401) wrong.push([round, 'before', status]);
        }
        for (const { path, headers } of after) {
          const status = await statusAt(server, path, headers);
          if (status !== 200) wrong.push([round, 'after', status]);
        }
      }
    }
    expect(wrong).toEqual([]);
  }, 60_000);
});

test('all but `except` end, in every mode, and its tokens go on', async () => {
  const spared = (await fast.ask('POST', '/login/hybrid/eve')).json;
  const { sid } = (await fast.ask('GET', '/hybrid', bearer(spared.access_token))).json;
  const doomed = [
    await kinds.hybrid?.(slow, 'eve'),
    await kinds.session?.(fast, 'eve'),
    await kinds.issued?.(slow, 'eve'),
  ];
  await slow.call('revokeSubject', 'eve', { except: sid });
  await heard(fast, doomed[0] as any);
  for (const server of [fast, slow]) {
    for (const each of doomed) expect(await statusAt(server, each?.path ?? '', each?.headers ?? {})).toBe(401);
    for (const path of ['/hybrid', '/jwt']) expect(await statusAt(server, path, bearer(spared.access_token))).toBe(200);
  }
  expect((await slow.ask('POST', '/auth/refresh', {}, { refresh_token: spared.refresh_token })).status).toBe(200);
});

test('D01: what one process takes back, the other refuses: a token, a login, everything of a key', async () => {
  const tokens = (await fast.ask('POST', '/login/hybrid/zoe')).json;
  const headers = bearer(tokens.access_token);
  expect(await statusAt(slow, '/hybrid', headers)).toBe(200);
  const { jti, issuer, expiresAt, sid } = (await fast.ask('GET', '/hybrid', headers)).json;
  await fast.call('revokeToken', { jti, issuer, expiresAt });
  await heard(slow, { path: '/hybrid', headers });
  expect(await statusAt(slow, '/jwt', headers)).toBe(401);

  const next = (await slow.ask('POST', '/auth/refresh', {}, { refresh_token: tokens.refresh_token })).json;
  expect(await statusAt(fast, '/hybrid', bearer(next.access_token))).toBe(200);
  await slow.call('revokeLogin', { subject: 'zoe', sid });
  await heard(fast, { path: '/hybrid', headers: bearer(next.access_token) });
  expect((await fast.ask('POST', '/auth/refresh', {}, { refresh_token: next.refresh_token })).json.error).toBe(
    'invalid_grant',
  );

  const service = bearer(await fast.call('issue', 'service'));
  expect(await statusAt(slow, '/jwt', service)).toBe(200);
  await fast.call('revokeKey', 'k');
  await heard(slow, { path: '/jwt', headers: service });
  await expect(slow.call('issue', 'service')).rejects.toThrow('was revoked');
});

/** Waits until a process has heard that this credential is dead; a second is a hundred times what that takes. */
async function heard(
  server: Server,
  { path, headers }: { path: string; headers: Record<string, string> },
): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    if ((await statusAt(server, path, headers)) === 401) return;
    await sleep(10);
  }
  throw new Error('it was never heard');
}
