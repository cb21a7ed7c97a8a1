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
  return [...args.slice(0, -1), withCookies(Array.isArray(headers) ? recordOf(headers) : headers, ours)];
}

function withCookies(headers: object, ours: readonly string[]): object {
  const entries = Object.entries(headers).map(([name, value]) => [
    name,
    name.toLowerCase() === 'set-cookie' ? [...ours, ...[value].flat()] : value,
  ]);
  return Object.fromEntries(entries);
}

// A flat list, names and values by turns. Of several lines of one name Node would send the last only.
function recordOf(list: readonly unknown[]): object {
  const headers = new Map<string, unknown[]>();
  for (let at = 0; at < list.length; at += 2) {
    const name = String(list[at]).toLowerCase();
    headers.set(name, [...(headers.get(name) ?? []), list[at + 1]]);
  }
  return Object.fromEntries([...headers].map(([name, values]) => [name, values.length === 1 ? values[0] : values]));
}
