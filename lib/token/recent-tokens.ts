/** Remembers something about the tokens met last, by their whole text: another spelling is another token. */
export interface RecentTokens<Memory> {
  get(token: string): Memory | undefined;
  set(token: string, memory: Memory): void;
  delete(token: string): void;
}

const MOST = 1_000;
// With the number above, a few megabytes at worst.
const LONGEST = 4_096;

/** Two halves: when the younger is full it becomes the older, whose unused entries leave with it. No sweep, no clock. */
export function recentTokens<Memory>(): RecentTokens<Memory> {
  let young = new Map<string, Memory>();
  let old = new Map<string, Memory>();

  function set(token: string, memory: Memory): void {
    if (token.length > LONGEST) return;
    if (young.size >= MOST / 2) {
      old = young;
      young = new Map();
    }
    young.set(token, memory);
  }

  return {
    get(token) {
      const memory = young.get(token);
      if (memory !== undefined) return memory;
      const older = old.get(token);
      if (older !== undefined) set(token, older);
      return older;
    },
    set,
    delete(token) {
      young.delete(token);
      old.delete(token);
    },
  };
}
