import type { ServerResponse } from 'node:http';

/**
 * The arguments of `writeHead`, so that they keep the cookie of this name that was set before: headers given there take
 * the place of those set with `setHeader`, and an application that sends a cookie of its own would lose ours.
 */
export function keepCookie(res: ServerResponse, name: string, args: unknown[]): unknown[] {
  const headers = args.at(-1);
  if (typeof headers !== 'object' || headers === null) return args;
  const lines = [res.getHeader('set-cookie') ?? []].flat().map(String);
  const ours = lines.filter((line) => line.startsWith(`${name}=`));
  if (ours.length === 0) return args;
  return [...args.slice(0, -1), Array.isArray(headers) ? keptInList(headers, ours) : keptIn(headers, ours)];
}

function keptIn(headers: object, ours: readonly string[]): object {
  const entries = Object.entries(headers).map(([name, value]) => [
    name,
    isSetCookie(name) ? [...ours, ...[value].flat()] : value,
  ]);
  return Object.fromEntries(entries);
}

// A flat list: names and values by turns.
function keptInList(headers: readonly unknown[], ours: readonly string[]): unknown[] {
  const others = headers.some((name, at) => at % 2 === 0 && isSetCookie(name));
  return others ? [...headers, ...ours.flatMap((line) => ['Set-Cookie', line])] : [...headers];
}

function isSetCookie(name: unknown): boolean {
  return String(name).toLowerCase() === 'set-cookie';
}
