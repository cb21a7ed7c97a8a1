import type { CookieOptions } from 'express';
import { readOptions } from '../options.ts';
import { type Cookie, type CookieAttributes, createCookie } from './cookies.ts';

export interface CookieSettings extends Pick<CookieOptions, 'domain' | 'path' | 'sameSite' | 'secure' | 'partitioned'> {
  /**
   * sessionAuth: the cookie's name; hybridAuth: the stem of its two names. A default name carries `__Host-` where the
   * settings allow it (Secure, Path=/, no Domain) and goes without where they do not; a name given with a prefix that
   * the settings break is refused when the middleware is made. @default 'sid'; 'access' and 'refresh'
   */
  readonly name?: string;
}

/** The cookie of a mode that has one. Throws a TypeError in the factory's name for settings that no browser would obey. */
export function settleCookie(factory: string, options: CookieSettings | undefined, defaultName: string): Cookie {
  return settle(factory, options, defaultName, (name) => name);
}

/** One of several cookies of a mode, told apart by `kind`: a given name is their stem (`shop` makes `shop-access`). */
export function settleCookieKind(factory: string, options: CookieSettings | undefined, kind: string): Cookie {
  return settle(factory, options, kind, (stem) => `${stem}-${kind}`);
}

type Fail = (complaint: string) => never;

function settle(
  factory: string,
  options: CookieSettings = {},
  defaultName: string,
  nameOf: (given: string) => string,
): Cookie {
  const { fail } = readOptions(`${factory}: cookie`, options, [
    'name',
    'domain',
    'path',
    'sameSite',
    'secure',
    'partitioned',
  ]);
  const { secure = true, partitioned = false, path = '/', domain } = options;
  if (typeof secure !== 'boolean') fail('"secure" must be true or false');
  if (typeof partitioned !== 'boolean') fail('"partitioned" must be true or false');
  checkScope(path, domain, fail);
  const bare = {
    secure,
    partitioned,
    path,
    sameSite: settleSameSite(options.sameSite, fail),
    ...(domain === undefined ? {} : { domain }),
  };
  const attributes = { ...bare, name: settleName(options.name, defaultName, nameOf, bare, fail) };
  checkSecure(attributes, fail);
  checkPrefix(attributes, fail);
  return createCookie(attributes);
}

function settleSameSite(sameSite: CookieOptions['sameSite'], fail: Fail): Cookie['sameSite'] {
  if (sameSite === undefined) return 'lax';
  if (sameSite === true) return 'strict';
  if (sameSite === 'strict' || sameSite === 'lax' || sameSite === 'none') return sameSite;
  // Without the attribute one browser takes the cookie for Lax and the next for None (OWASP ASVS 3.3.2).
  return fail(`"sameSite" must be 'strict', 'lax' or 'none'`);
}

// RFC 6265, 4.1.1: a name is a token of RFC 9110, 5.6.2.
const TOKEN = /^[!#$%&'*+.^_`|~0-9a-z-]+$/i;

function settleName(
  given: string | undefined,
  defaultName: string,
  nameOf: (given: string) => string,
  attributes: Omit<CookieAttributes, 'name'>,
  fail: Fail,
): string {
  if (given === undefined) return isHostOnly(attributes) ? `__Host-${defaultName}` : defaultName;
  if (typeof given !== 'string' || !TOKEN.test(given)) fail(`"name" must be letters, digits, and -_.!#$%&'*+^\`|~`);
  return nameOf(given);
}

// RFC 6265bis, 5.6: browsers ignore an attribute longer than this.
const MOST_ATTRIBUTE_BYTES = 1024;

function checkScope(path: string, domain: string | undefined, fail: Fail): void {
  if (typeof path !== 'string' || !/^\/[ -:<-~]*$/.test(path)) fail('"path" must begin with / and hold no ;');
  if (domain !== undefined && (typeof domain !== 'string' || !/^\.?[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$/i.test(domain))) {
    fail('"domain" must be a host name, such as "app.example"');
  }
  if (Math.max(path.length, domain?.length ?? 0) > MOST_ATTRIBUTE_BYTES) {
    fail(`"path" and "domain" must be at most ${MOST_ATTRIBUTE_BYTES} bytes long`);
  }
}

// Browsers drop these without a word (RFC 6265bis, 5.7; CHIPS).
function checkSecure({ secure, sameSite, partitioned }: CookieAttributes, fail: Fail): void {
  if (secure) return;
  if (sameSite === 'none') fail(`"sameSite" 'none' needs "secure" true`);
  if (partitioned) fail('"partitioned" needs "secure" true');
}

// RFC 6265bis, 5.7: a prefix counts in any case.
function checkPrefix(attributes: CookieAttributes, fail: Fail): void {
  const { name, secure } = attributes;
  if (/^__Host-/i.test(name) && !isHostOnly(attributes)) {
    fail(`the name "${name}" promises "secure" true, "path" '/' and no "domain"; keep to that, or take another name`);
  }
  if (/^__(?:Secure|Http)-/i.test(name) && !secure) {
    fail(`the name "${name}" promises "secure" true; keep to that, or take another name`);
  }
}

function isHostOnly({ secure, path, domain }: Omit<CookieAttributes, 'name'>): boolean {
  return secure && path === '/' && domain === undefined;
}
