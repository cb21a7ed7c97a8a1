import { createHmac } from 'node:crypto';
import { signedCookie } from 'cookie-parser';

/** Signs cookie values in the format of cookie-parser and express-session, which so read ours, and we theirs. */
export interface CookieSigner {
  /** `value`, 16 to 128 characters of base64url, signed with the first key and ready to be set. */
  sign(value: string): string;
  /** What `sign` was given, from a cookie as it came; undefined where no key signed it. `fresh`: the first one did. */
  unsign(raw: string): { readonly value: string; readonly fresh: boolean } | undefined;
}

// The HMAC is 32 bytes: 43 characters of base64, of which `encodeURIComponent` escapes two.
const SIGNED = /^s%3A([\w-]{16,128})\.((?:[A-Za-z0-9]|%2B|%2F){43})$/;

/** The first key signs, all verify. Throws a TypeError for a value of another alphabet or length. */
export function cookieSigner(keys: readonly string[]): CookieSigner {
  const [current] = keys;
  if (current === undefined) throw new TypeError('cookieSigner: at least one key is needed');
  return {
    sign(value) {
      const mac = createHmac('sha256', current).update(value).digest('base64').replace(/=+$/, '');
      const signed = encodeURIComponent(`s:${value}.${mac}`);
      if (!SIGNED.test(signed)) throw new TypeError('a signed cookie value is 16 to 128 characters of base64url');
      return signed;
    },
    unsign(raw) {
      const match = SIGNED.exec(raw);
      if (match === null) return undefined;
      const value = match[1] as string;
      // `signedCookie` returns what does not begin with `s:` as it is; this does.
      const signed = `s:${value}.${decodeURIComponent(match[2] as string)}`;
      // It compares hashes of both signatures: how long that takes says nothing of the right one.
      const index = keys.findIndex((key) => signedCookie(signed, key) === value);
      return index === -1 ? undefined : { value, fresh: index === 0 };
    },
  };
}
