import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Reply, type Server, startServers } from './hybrid/servers.ts';

let all: Awaited<ReturnType<typeof startServers>>;
let servers: [Server, Server];
beforeAll(async () => {
  all = await startServers([0, 0]);
  servers = all.servers as [Server, Server];
});
afterAll(() => all.stop());

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const at = (n: number): Server => servers[n % 2] as Server;
const logIn = async (n: number, subject: string) => (await at(n).ask('POST', `/login/hybrid/${subject}`)).json;
const refresh = (n: number, refresh_token: string): Promise<Reply> =>
  at(n).ask('POST', '/auth/refresh', {}, { refresh_token });

/** What is alive of these tokens, once both processes have heard all there is to hear. */
async function alive(answers: readonly (Reply | undefined)[]): Promise<unknown[]> {
  const found: unknown[] = [];
  for (const answer of answers) {
    const { access_token, refresh_token } = answer?.json ?? {};
    if (access_token === undefined) continue;
    for (const n of [0, 1]) {
      if (!(await dies(n, access_token))) found.push(['access', n]);
      const { status } = await refresh(n, refresh_token);
      if (status !== 400) found.push(['refresh', n, status]);
    }
  }
  return found;
}

async function dies(n: number, access: string): Promise<boolean> {
  for (let tries = 0; tries < 50; tries++) {
    if ((await at(n).ask('GET', '/hybrid', bearer(access))).status === 401) return true;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return false;
}

test('A-H04, H02: fifty refreshes of one token at once, in two processes, give one and the same successor; 200 rounds', async () => {
  for (let round = 0; round < 200; round++) {
    const { refresh_token } = await logIn(round, `tabs-${round % 20}`);
    const answers = await Promise.all(Array.from({ length: 50 }, (_, n) => refresh(n, refresh_token)));
    expect([round, answers.filter(({ status }) => status !== 200)]).toEqual([round, []]);
    expect([round, new Set(answers.map(({ json }) => json.refresh_token)).size]).toEqual([round, 1]);
  }
  expect((await at(0).call('reuses')) + (await at(1).call('reuses'))).toBe(0);
}, 90_000);

test('A-H14, H12: a logout and a refresh at once leave nothing alive; 200 rounds', async () => {
  let [won, lost] = [0, 0];
  for (let round = 0; round < 200; round++) {
    const tokens = await logIn(round, 'racer');
    const logOut = () => at(round).ask('POST', '/auth/logout', {}, { refresh_token: tokens.refresh_token });
    const again = () => refresh(round + 1, tokens.refresh_token);
    // Whichever is sent first, either may come first.
    const sent = round % 4 < 2 ? [logOut(), again()] : [again(), logOut()];
    const answers = (await Promise.all(sent)) as [Reply, Reply];
    const [left, next] = round % 4 < 2 ? answers : (answers.reverse() as [Reply, Reply]);
    expect(left.status).toBe(204);
    if (next.status === 200) won += 1;
    else lost += 1;
    expect([200, 400]).toContain(next.status);
    expect([round, await alive([{ json: tokens } as Reply, next])]).toEqual([round, []]);
  }
  // Both orders were met, or this proves nothing.
  expect(Math.min(won, lost)).toBeGreaterThan(0);
}, 90_000);

test('A-H15, H17: revokeSubject against a refresh and a login at once: what began before is dead; 200 rounds', async () => {
  for (let round = 0; round < 200; round++) {
    const subject = `subject-${round}`;
    const tokens = await logIn(round, subject);
    const moment = () => sleep(Math.random() * 4);
    const [next, login] = await Promise.all([
      moment().then(() => refresh(round + 1, tokens.refresh_token)),
      moment().then(() => at(round + 1).ask('POST', `/login/hybrid/${subject}`)),
      moment().then(() => at(round).call('revokeSubject', subject)),
    ]);
    expect([round, await alive([{ json: tokens } as Reply, next])]).toEqual([round, []]);
    // The login came before or after; whichever, both halves of it agree, in both processes. The access token is asked
    // first: to refresh a login that is over ends it.
    expect([200, 401]).toContain(login.status);
    if (login.status !== 200) continue;
    const { access_token, refresh_token } = login.json;
    const found: number[] = [];
    for (const n of [0, 1]) found.push((await at(n).ask('GET', '/hybrid', bearer(access_token))).status);
    found.push((await refresh(round, refresh_token)).status);
    expect([[200, 200, 200].join(), [401, 401, 400].join()], `round ${round}`).toContain(found.join());
  }
}, 90_000);
