import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import type { LoginStore, Rotation } from '../../lib/store/ports.ts';
import { newLogin } from '../store/new-login.ts';
import { randomFrom } from '../support/random.ts';

type Expected = 'same' | 'new' | 'declined' | 'reused' | 'ended';

// What the clock of a store may round away.
const ROUNDING = 3;

/** One family as the rules of the design have it, by what was seen of it from outside. */
class Family {
  tip = 0;
  parent = -1;
  seen = true;
  ended = false;
  /** Between which two instants the tip was made. */
  #madeAt = { earliest: Number.NEGATIVE_INFINITY, latest: Number.NEGATIVE_INFINITY };

  /** Whether the tip is younger than `grace` all through this span; undefined where that cannot be told from outside. */
  isYoung(grace: number, from: number, until: number): boolean | undefined {
    if (until - this.#madeAt.earliest < grace - ROUNDING) return true;
    return from - this.#madeAt.latest > grace + ROUNDING ? false : undefined;
  }

  /** What has to come of presenting this generation once. */
  present(generation: number, soft: boolean, young: boolean, from: number, until: number): Expected {
    if (this.ended) return 'ended';
    const rotate = (tip: number): Expected => {
      Object.assign(this, { tip, parent: generation, seen: false });
      this.#madeAt = { earliest: from, latest: until };
      return 'new';
    };
    if (generation === this.tip) return young && generation !== 0 ? 'same' : rotate(generation + 1);
    if (generation === this.parent && young) return 'same';
    if (soft) return 'declined';
    if (generation > this.tip) return rotate(generation + 1);
    if (generation === this.parent && !this.seen) return rotate(this.tip + 1);
    this.ended = true;
    return 'reused';
  }
}

/**
 * Plays one history against a real store: a victim with tabs, a thief, lost answers, requests that come late, rotations
 * that Redis lost. False if this machine was too slow for anybody to say what had to come of it.
 */
export async function playHistory(logins: LoginStore, seed: number, grace: number): Promise<boolean> {
  const random = randomFrom(seed);
  const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(random() * items.length)] as Item;
  const login = newLogin({ mode: 'hybrid', idle: 600_000 });
  await logins.open(login);
  const family = new Family();
  const victim = [0];
  const thief = [0];
  const late: number[] = [];
  const told = [`seed ${seed}`];

  for (let step = 0; step < 16; step++) {
    if (random() < 0.3) {
      await sleep(grace + 10);
      told.push('grace passes');
    }
    if (random() < 0.2) {
      const generation = pick([...victim, ...thief]);
      await logins.seen({ ...login, generation: generation });
      if (generation === family.tip) family.seen = true;
      told.push(`${generation} is seen in use`);
    }
    if (random() < 0.05) {
      victim.push(family.tip + 1);
      told.push(`Redis loses the rotation to ${family.tip + 1}`);
    }
    const holder = random() < 0.7 ? victim : thief;
    const generation = late.length > 0 && random() < 0.3 ? (late.shift() as number) : pick(holder.slice(-2));
    if (random() < 0.15) {
      late.push(generation);
      continue;
    }
    const soft = random() < 0.3;
    const tabs = random() < 0.3 ? 4 : 1;
    const from = performance.now();
    const answers = await Promise.all(
      Array.from({ length: tabs }, () => logins.rotate({ sid: login.sid, generation, grace, soft })),
    );
    const until = performance.now();
    told.push(`${generation}${soft ? ', softly,' : ''} by ${tabs}: ${answers.map(nameOf).join(', ')}`);
    const expected: string[] = [];
    for (let tab = 0; tab < tabs; tab++) {
      const young = family.isYoung(grace, from, until);
      if (young === undefined) return false;
      const outcome = family.present(generation, soft, young, from, until);
      expected.push(outcome === 'same' || outcome === 'new' ? `${outcome} ${family.tip}` : outcome);
    }
    expect(answers.map(nameOf).sort(), told.join('\n')).toEqual(expected.sort());
    // Many an answer is lost on its way.
    if (answers[0]?.outcome === 'valid' && random() < 0.6) holder.push(answers[0].generation);
  }
  return true;
}

/**
 * A client alone, whose answers get lost, whose Redis forgets rotations, and which comes back whenever it likes: it is
 * never logged out.
 */
export async function playHonestHistory(logins: LoginStore, seed: number, grace: number): Promise<void> {
  const random = randomFrom(seed);
  const login = newLogin({ mode: 'hybrid', idle: 600_000 });
  await logins.open(login);
  let held = 0;
  let newest = 0;
  const told = [`seed ${seed}`];
  for (let step = 0; step < 14; step++) {
    if (random() < 0.35) await sleep(grace + 10);
    // A rotation came through, and Redis lost it: the client is ahead of its record.
    if (random() < 0.1) held = ++newest;
    const tabs = random() < 0.3 ? 5 : 1;
    const soft = random() < 0.3;
    const startedAt = performance.now();
    const answers = await Promise.all(
      Array.from({ length: tabs }, () => logins.rotate({ sid: login.sid, generation: held, grace, soft })),
    );
    const slow = performance.now() - startedAt > grace / 2;
    told.push(`${held}${soft ? ', softly,' : ''} by ${tabs}: ${answers.map(nameOf).join(', ')}`);
    const given = answers.flatMap((answer) => (answer.outcome === 'valid' ? [answer.generation] : []));
    const refused = answers.filter(({ outcome }) => outcome !== 'valid' && !(soft && outcome === 'declined'));
    expect(refused, told.join('\n')).toEqual([]);
    // Where this machine stood still, tabs that came at once may have been further apart than grace.
    if (!slow) expect(new Set(given).size, told.join('\n')).toBeLessThanOrEqual(1);
    if (given.length === 0) continue;
    newest = Math.max(newest, ...given);
    if (random() < 0.4) continue;
    held = Math.max(...given);
    if (random() < 0.7) await logins.seen({ ...login, generation: held });
  }
  const last = await logins.rotate({ sid: login.sid, generation: held, grace, soft: false });
  expect(last.outcome, told.join('\n')).toBe('valid');
}

function nameOf(rotation: Rotation): string {
  if (rotation.outcome !== 'valid') return rotation.outcome;
  return `${rotation.renewed ? 'new' : 'same'} ${rotation.generation}`;
}
