import type { IncomingMessage, ServerResponse } from 'node:http';
import { InsecureCookie } from '../errors.ts';
import { isSecure } from './own-origin.ts';

/** What is said of a cookie whenever it is set or cleared. HttpOnly goes without saying. */
export interface CookieAttributes {
  readonly name: string;
  readonly secure: boolean;
  readonly sameSite: 'strict' | 'lax' | 'none';
  readonly path: string;
  readonly domain?: string;
  readonly partitioned: boolean;
}

/** One cookie of ours: reads it from requests, sets and clears it on responses. */
export interface Cookie extends CookieAttributes {
  /** What `cookieValues` finds under this name. */
  read(req: IncomingMessage): readonly string[];
  /**
   * Sets it, in place of an earlier one of its name on this response, and forbids caching. `maxAge` in milliseconds;
   * without it the cookie ends with the browser. Throws a RangeError where a browser would drop it.
   */
  set(res: ServerResponse, value: string, maxAge?: number): void;
  /** Ends it in the browser, and forbids caching. */
  clear(res: ServerResponse): void;
}

export function createCookie(attributes: CookieAttributes): Cookie {
  const { name } = attributes;
  const tail = attributesText(attributes);
  return {
    ...attributes,
    read: (req) => cookieValues(req, name),
    set(res, value, maxAge) {
      demandStorable(name, value);
      putCookie(res, name, `${name}=${value}${lifetimeText(maxAge)}${tail}`);
    },
    clear(res) {
      putCookie(res, name, `${name}=; Max-Age=0; Expires=${new Date(0).toUTCString()}${tail}`);
    },
  };
}

// Whoever can set cookies on a sibling host can add to ours, never so many that trying each costs much.
const MOST_VALUES = 4;

/**
 * The different values a request carries under exactly this name, in their order, the first four. They are the bytes
 * between `=` and `;`: no quotes, blanks or escapes are taken off (RFC 6265, 4.2.1).
 */
export function cookieValues(req: IncomingMessage, name: string): readonly string[] {
  const values: string[] = [];
  const header = req.headers.cookie ?? '';
  const beginning = `${name}=`;
  for (let start = 0; start < header.length && values.length < MOST_VALUES; ) {
    const semicolon = header.indexOf(';', start);
    const end = semicolon === -1 ? header.length : semicolon;
    if (header.startsWith(beginning, start)) {
      const value = header.slice(start + beginning.length, end);
      if (!values.includes(value)) values.push(value);
    }
    start = header[end + 1] === ' ' ? end + 2 : end + 1;
  }
  return values;
}

/** Throws InsecureCookie where a browser would drop this cookie without a word: it is Secure, the request is not. */
export function demandSecure(req: IncomingMessage, cookie: Pick<Cookie, 'name' | 'secure'>): void {
  if (cookie.secure && !isSecure(req)) throw new InsecureCookie(cookie.name);
}

function attributesText({ path, domain, secure, sameSite, partitioned }: CookieAttributes): string {
  return [
    `; Path=${path}`,
    domain === undefined ? '' : `; Domain=${domain}`,
    '; HttpOnly',
    secure ? '; Secure' : '',
    `; SameSite=${{ strict: 'Strict', lax: 'Lax', none: 'None' }[sameSite]}`,
    partitioned ? '; Partitioned' : '',
  ].join('');
}

// Max-Age for browsers, whose clocks may be wrong; Expires for what does not know it.
function lifetimeText(maxAge: number | undefined): string {
  if (maxAge === undefined) return '';
  const seconds = Math.ceil(maxAge / 1000);
  return `; Max-Age=${seconds}; Expires=${new Date(Date.now() + seconds * 1000).toUTCString()}`;
}

// Browsers drop a cookie whose name and value take more than 4096 bytes (RFC 6265bis, 5.6).
const MOST_BYTES = 4096;

function demandStorable(name: string, value: string): void {
  // cookie-octet of RFC 6265, 4.1.1: all of them ASCII, so that characters are bytes.
  if (!/^[!#-+\--:<-[\]-~]*$/.test(value))
    throw new RangeError(`the value of the cookie "${name}" holds a character no cookie may hold`);
  const bytes = name.length + value.length;
  if (bytes <= MOST_BYTES) return;
  throw new RangeError(
    `the cookie "${name}" would take ${bytes} bytes, and browsers drop any over ${MOST_BYTES}: put less in it`,
  );
}

function putCookie(res: ServerResponse, name: string, line: string): void {
  const lines = [res.getHeader('Set-Cookie') ?? []].flat().map(String);
  const others = lines.filter((other) => !other.startsWith(`${name}=`));
  res.setHeader('Set-Cookie', [...others, line]);
  forbidCaching(res);
}

const uncached = new WeakSet<ServerResponse>();

// What sets a login is for one reader only (OWASP ASVS 14.3.2), whatever the handler says of its answer afterwards.
function forbidCaching(res: ServerResponse): void {
  res.setHeader('Cache-Control', 'no-store');
  if (uncached.has(res)) return;
  uncached.add(res);
  const writeHead = res.writeHead as (...args: unknown[]) => ServerResponse;
  res.writeHead = (...args: unknown[]) => {
    if (!res.headersSent) res.setHeader('Cache-Control', 'no-store');
    return writeHead.apply(res, args.map(withoutCaching));
  };
}

// Headers given to `writeHead` take the place of those set before: an object, or a flat list of names and values.
function withoutCaching(argument: unknown): unknown {
  if (typeof argument !== 'object' || argument === null) return argument;
  const isCaching = (name: unknown) => String(name).toLowerCase() === 'cache-control';
  if (!Array.isArray(argument))
    return Object.fromEntries(Object.entries(argument).filter(([name]) => !isCaching(name)));
  return argument.filter((_, at) => !isCaching(argument[at - (at % 2)]));
}
