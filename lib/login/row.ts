import { InvalidRequest } from '../errors.ts';

// A session row is a JSON object as text, as connect-redis writes it. Fields are told apart by their text, never as objects.

/** The cookie of a row, as express-session writes one that ends with the browser. */
export const PLAIN_COOKIE = { originalMaxAge: null, expires: null, httpOnly: true, path: '/' } as const;

// A row is read with every request: what is larger belongs in a database (OWASP ASVS 2.2.1 asks for a limit).
const LARGEST = 65_536;

/** Throws InvalidRequest for a row that would be too large. */
export function checkSize(row: string): void {
  if (Buffer.byteLength(row) > LARGEST) throw new InvalidRequest(`the session would take more than ${LARGEST} bytes`);
}

/** A row of these fields; throws InvalidRequest where they are too large. */
export function newRow(fields: ReadonlyMap<string, string>): string {
  const row = rowOf(new Map([['cookie', JSON.stringify(PLAIN_COOKIE)], ...fields]));
  checkSize(row);
  return row;
}

/** The fields of a row as JSON texts; undefined for what is no row of a session. */
export function fieldsOf(row: string): Map<string, string> | undefined {
  try {
    const value: unknown = JSON.parse(row);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    return new Map(Object.entries(value).map(([name, field]) => [name, JSON.stringify(field)]));
  } catch {
    return undefined;
  }
}

export function rowOf(fields: ReadonlyMap<string, string>): string {
  return `{${[...fields].map(([name, field]) => `${JSON.stringify(name)}:${field}`).join(',')}}`;
}

/** What one request made of a row, laid over what stands there now. */
export interface Merge {
  readonly row: string;
  /** Fields that both it and somebody else changed: its own are in the row. */
  readonly conflicts: readonly string[];
}

/**
 * Applies to `standing` the top-level fields that changed from `before` to `after`, so that two requests that change
 * different fields both win. The cookie is always the later one's.
 */
export function mergeRow(before: string, after: string, standing: string): Merge {
  if (standing === before) return { row: after, conflicts: [] };
  const [old, mine, theirs] = [fieldsOf(before), fieldsOf(after), fieldsOf(standing)];
  if (old === undefined || mine === undefined || theirs === undefined) return { row: after, conflicts: [] };
  const merged = new Map(theirs);
  const conflicts: string[] = [];
  for (const name of new Set([...old.keys(), ...mine.keys()])) {
    const field = mine.get(name);
    if (field === old.get(name)) continue;
    if (name !== 'cookie' && theirs.get(name) !== old.get(name) && theirs.get(name) !== field) conflicts.push(name);
    if (field === undefined) merged.delete(name);
    else merged.set(name, field);
  }
  return { row: rowOf(merged), conflicts };
}
