import { randomBytes } from 'node:crypto';
import { hash, verify } from '@node-rs/argon2';
import type { Identity } from 'portcullis';

/** A user, as the application knows them. The subject never changes, a name may. */
export interface User {
  readonly subject: string;
  readonly name: string;
  readonly roles: readonly string[];
  readonly scopes: readonly string[];
}

/** Who anybody may log in as, to try things out. */
export const SAMPLES = [
  { name: 'ann', password: 'ann lowers the bridge', roles: ['admin'], scopes: ['notes:read', 'notes:write'] },
  { name: 'bob', password: 'bob guards the moat', roles: [], scopes: ['notes:read'] },
] as const;

/** What a password must have: OWASP ASVS 6.2.1 asks for eight characters, and recommends fifteen. */
export const SHORTEST_PASSWORD = 12;
const LONGEST_PASSWORD = 200;

/** The users, with passwords hashed by argon2id. They live in this process: a changed password is forgotten with it. */
export class Users {
  readonly #users = new Map<string, User>();
  readonly #hashes = new Map<string, string>();
  /** Hashed like the others, so that an unknown name takes as long as a wrong password. */
  #nobody = '';

  /** The sample users, whose subjects are the same in every process. */
  static async samples(): Promise<Users> {
    const users = new Users();
    users.#nobody = await hash(randomBytes(16));
    for (const { name, password, roles, scopes } of SAMPLES) {
      const user = { subject: `user-${name}`, name, roles, scopes };
      users.#users.set(user.subject, user);
      users.#hashes.set(user.subject, await hash(password));
    }
    return users;
  }

  all(): readonly User[] {
    return [...this.#users.values()];
  }

  find(subject: string): User | undefined {
    return this.#users.get(subject);
  }

  /** The user of this name and password; undefined, after the same time, whichever of the two is wrong. */
  async check(name: unknown, password: unknown): Promise<User | undefined> {
    const user = this.all().find((candidate) => candidate.name === name);
    const expected = user === undefined ? this.#nobody : (this.#hashes.get(user.subject) as string);
    const given = typeof password === 'string' ? password.slice(0, LONGEST_PASSWORD) : '';
    const right = await verify(expected, given);
    return right ? user : undefined;
  }

  /** False if the password is too short or too long to be one. */
  async changePassword(subject: string, password: unknown): Promise<boolean> {
    if (typeof password !== 'string') return false;
    if (password.length < SHORTEST_PASSWORD || password.length > LONGEST_PASSWORD) return false;
    this.#hashes.set(subject, await hash(password));
    return true;
  }
}

/** Who a login is for: what the user may do goes into the session record or the access token. */
export function identityOf({ subject, name, roles, scopes }: User): Identity {
  return { subject, roles, scopes, claims: { name } };
}
