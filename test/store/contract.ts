import type { AuthStore } from 'portcullis';
import { describe } from 'vitest';
import { loginContract } from './login-contract.ts';
import { sessionContract } from './session-contract.ts';
import { verbContract } from './verb-contract.ts';

/** What every store has to keep to. `makeStore` gives a new, empty one; whoever made it closes it. */
export function storeContract(name: string, makeStore: () => Promise<AuthStore>): void {
  describe(`${name}: logins and rows`, () => loginContract(makeStore));
  describe(`${name}: what a store is asked`, () => verbContract(makeStore));
  describe(`${name}: under express-session`, () => sessionContract(makeStore));
}
