import type { Claims } from '../auth.ts';
import { InvalidToken } from '../errors.ts';

const DEEPEST = 32;
const MOST_MEMBERS = 200;

// A byte order mark is kept, so that the JSON parser refuses it.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

// RFC 8259, section 7. Linear on text that has been parsed.
const STRINGS = /"(?:[^"\\]|\\.)*"/g;

/**
 * Reads one JSON object from bytes: strict UTF-8 and nothing around it (RFC 7515, section 5.2), no member twice at any
 * depth (RFC 7519, section 4), 32 levels and 200 members an object at most. What it gives is frozen throughout and has
 * no prototype: a member named `__proto__` is left out. Throws `InvalidToken`.
 */
export function parseObject(bytes: Uint8Array): Claims {
  const { text, value } = parse(bytes);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InvalidToken('malformed', 'not a JSON object');
  }
  const { kept, members } = settle(value);
  // The parser keeps one of each name: more colons than names are names given twice.
  if (countMembers(text) !== members) throw new InvalidToken('malformed', 'a member is given twice');
  return kept as Claims;
}

function parse(bytes: Uint8Array): { readonly text: string; readonly value: unknown } {
  try {
    const text = utf8.decode(bytes);
    return { text, value: JSON.parse(text) };
  } catch {
    throw new InvalidToken('malformed', 'not JSON in UTF-8');
  }
}

function countMembers(text: string): number {
  return text.replace(STRINGS, '').split(':').length - 1;
}

function settle(value: object): { readonly kept: unknown; readonly members: number } {
  let members = 0;
  function settled(part: unknown, depth: number): unknown {
    if (typeof part !== 'object' || part === null) return part;
    if (depth > DEEPEST) throw new InvalidToken('malformed', 'nested too deeply');
    if (Array.isArray(part)) return Object.freeze(part.map((item) => settled(item, depth + 1)));
    const entries = Object.entries(part);
    if (entries.length > MOST_MEMBERS) throw new InvalidToken('malformed', 'too many members');
    members += entries.length;
    const copy = Object.create(null) as Record<string, unknown>;
    for (const [name, member] of entries) {
      const inner = settled(member, depth + 1);
      // Whoever copies claims with Object.assign would set a prototype by it.
      if (name !== '__proto__') copy[name] = inner;
    }
    return Object.freeze(copy);
  }
  return { kept: settled(value, 1), members };
}
