import type { Auth } from '../auth.ts';
import type { StoreParts } from './auth-store.ts';
import { evidenceOf } from './evidence.ts';

// A timer cannot run longer than 2^31 - 1 ms.
const LONGEST_TIMER = 2_147_483_647;

const ASK_AGAIN = 1_000;

// What has ended by our reckoning and not by the store's ends in a moment.
const LEAST_WAIT = 20;

/** Calls `hear` once, when what `auth` stands for ends: revoked by whatever, or expired. The result stops that. */
export function onEnd({ replica, logins }: StoreParts, auth: Auth, hear: () => void): () => void {
  const evidence = evidenceOf(auth);
  let timer: NodeJS.Timeout | undefined;
  let over = false;

  const stop = () => {
    over = true;
    clearTimeout(timer);
    unwatch();
  };
  // Later, so that what it throws meets nobody who only brought the news.
  const finish = () => {
    if (over) return;
    stop();
    setImmediate(hear);
  };
  // A token ends by this machine's clock, as it is verified; a session by the store's.
  const now = () => (auth.mode === 'session' ? replica.clock.now() : Date.now());
  const wait = (until: number) => {
    if (over) return;
    timer = setTimeout(() => void look(until), Math.min(Math.max(until - now(), 1), LONGEST_TIMER));
    timer.unref();
  };
  const look = async (until: number) => {
    if (until > now()) return wait(until);
    const { sid } = auth;
    if (auth.mode !== 'session' || sid === undefined) return finish();
    // A session in use lasts longer than it seemed when this began.
    try {
      const { login } = await logins.store.find(sid);
      if (login === undefined) finish();
      else wait(Math.max(login.expiresAt, now() + LEAST_WAIT));
    } catch {
      wait(now() + ASK_AGAIN);
    }
  };

  const unwatch = replica.revocations.watch(evidence, finish);
  if (replica.revocations.reach(evidence)) finish();
  else wait(auth.expiresAt.getTime());
  return stop;
}
