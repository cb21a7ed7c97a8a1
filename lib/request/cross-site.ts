import type { IncomingMessage } from 'node:http';
import { CrossSiteRequest } from '../errors.ts';
import type { Cookie } from './cookies.ts';
import { ownOrigin, parseOrigin } from './own-origin.ts';

/** Tells requests of our own pages from those another site made a browser send (OWASP ASVS 3.5.1). */
export interface CrossSitePolicy {
  /**
   * Throws CrossSiteRequest unless Sec-Fetch-Site is same-origin or none, or Origin is our own or a trusted one. Without
   * Sec-Fetch-Site, Origin decides, then Referer; with none of the three it is no browser's request, and passes where
   * the cookie is SameSite Lax or Strict. Asked for unsafe methods, and for a WebSocket upgrade.
   */
  check(req: IncomingMessage): void;
}

/** `sameSite` is that of the cookie a browser may have added by itself; undefined where there is none. */
export function crossSitePolicy(
  factory: string,
  trustedOrigins: readonly string[] | undefined,
  sameSite: Cookie['sameSite'] | undefined,
): CrossSitePolicy {
  const trusted = settleOrigins(factory, trustedOrigins ?? []);
  const isOurs = (origin: string | undefined, req: IncomingMessage): boolean =>
    origin !== undefined && (trusted.has(origin) || origin === ownOrigin(req));

  return {
    check(req) {
      const site = siteOf(req);
      if (site === 'same-origin' || site === 'none') return;
      const { origin, referer } = req.headers;
      if (origin !== undefined) {
        if (isOurs(originOf(origin), req)) return;
      } else if (site === undefined) {
        if (referer === undefined ? sameSite !== 'none' : isOurs(refererOrigin(referer), req)) return;
      }
      throw new CrossSiteRequest();
    },
  };
}

const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);

/**
 * Whether a request may change something (RFC 9110, 9.2.1). Where method-override has rewritten the method, the one sent
 * and the one handled must both be safe: a POST made a GET is still a form's, and a GET made a DELETE still deletes.
 */
export function isUnsafe(req: IncomingMessage & { readonly originalMethod?: string }): boolean {
  const { method = '', originalMethod = method } = req;
  return !SAFE_METHODS.has(method) || !SAFE_METHODS.has(originalMethod);
}

const SITES: ReadonlySet<unknown> = new Set(['same-origin', 'none', 'same-site', 'cross-site']);

// A value that no browser sends, or two headers, which Node joins by a comma, say nothing.
function siteOf(req: IncomingMessage): string | undefined {
  const site = req.headers['sec-fetch-site'];
  return SITES.has(site) ? (site as string) : undefined;
}

// A browser writes an origin in one way; only its case is forgiven.
function originOf(header: string): string | undefined {
  const origin = parseOrigin(header);
  return origin === header.toLowerCase() ? origin : undefined;
}

function refererOrigin(referer: string): string | undefined {
  const [start] = /^https?:\/\/[^/?#]*/i.exec(referer) ?? [];
  return start === undefined ? undefined : originOf(start);
}

function settleOrigins(factory: string, origins: readonly string[]): ReadonlySet<string> {
  if (!Array.isArray(origins)) throw new TypeError(`${factory}: "trustedOrigins" must be a list of origins`);
  for (const origin of origins) {
    if (typeof origin === 'string' && parseOrigin(origin) === origin) continue;
    throw new TypeError(
      `${factory}: "trustedOrigins" holds ${JSON.stringify(origin)}, which is no origin; write ${likelyOrigin(origin)}`,
    );
  }
  return new Set(origins);
}

function likelyOrigin(value: unknown): string {
  const url = typeof value === 'string' && URL.canParse(value) ? new URL(value) : undefined;
  const isWeb = url?.protocol === 'https:' || url?.protocol === 'http:';
  return `"${isWeb && !url.host.includes('*') ? url.origin : 'https://app.example'}"`;
}

/** Whether the request asks for a WebSocket: a GET that a page of any site may send, and that then acts with our cookies. */
export function isUpgrade(req: IncomingMessage): boolean {
  return req.headers.upgrade !== undefined;
}
