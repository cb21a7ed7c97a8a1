import type { IncomingMessage } from 'node:http';

/** What Express adds to a request; a plain Connect or node:http request has none of it. */
interface ExpressRequest {
  readonly secure?: unknown;
  readonly app?: { get?(setting: string): unknown };
}

/** Whether the request came over TLS: as Express sees it under `trust proxy`, else as the socket does. */
export function isSecure(req: IncomingMessage): boolean {
  const { secure } = req as ExpressRequest;
  return typeof secure === 'boolean' ? secure : 'encrypted' in req.socket && req.socket.encrypted === true;
}

/** The origin this request was sent to, as its browser wrote it; undefined where the Host header is none. */
export function ownOrigin(req: IncomingMessage): string | undefined {
  const host = forwardedHost(req) ?? req.headers.host;
  if (host === undefined) return undefined;
  return parseOrigin(`${isSecure(req) ? 'https' : 'http'}://${host}`);
}

/** The serialised origin (RFC 6454, 6.2) of `text`, which must hold nothing but scheme, host and port. */
export function parseOrigin(text: string): string | undefined {
  // ASCII only: the URL parser drops or maps other characters, and so makes one host of two spellings.
  if (!/^https?:\/\/[a-z0-9._:[\]-]+$/i.test(text) || !URL.canParse(text)) return undefined;
  return new URL(text).origin;
}

// Express 5's `req.host` is this, but Express 4's has lost the port: so the setting both of them ask is asked here.
function forwardedHost(req: IncomingMessage): string | undefined {
  const forwarded = req.headers['x-forwarded-host'];
  if (typeof forwarded !== 'string') return undefined;
  const trust = (req as ExpressRequest).app?.get?.('trust proxy fn');
  if (typeof trust !== 'function' || trust(req.socket.remoteAddress, 0) !== true) return undefined;
  return forwarded.split(',', 1)[0]?.trim() || undefined;
}
