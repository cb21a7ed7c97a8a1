import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Middleware } from '../auth.ts';
import { isSigningKeys, type SigningKeys } from '../token/keys.ts';

/** Serves `keys.jwks()` with ETag and Cache-Control (RFC 7517, section 8.5); mount it at `/.well-known/jwks.json`. */
export function jwksHandler(keys: SigningKeys): Middleware {
  if (!isSigningKeys(keys)) {
    throw new TypeError(
      "jwksHandler: call it with localKeys([...]): app.use('/.well-known/jwks.json', jwksHandler(keys))",
    );
  }
  return function jwks(req, res) {
    if (req.method !== 'GET' && req.method !== 'HEAD') {
      res.writeHead(405, { Allow: 'GET, HEAD' }).end();
      return;
    }
    const body = JSON.stringify(keys.jwks());
    const etag = `"${createHash('sha256').update(body).digest('base64url')}"`;
    setHeaders(res, etag);
    if (isKnown(req, etag)) {
      res.writeHead(304).end();
      return;
    }
    res.writeHead(200, { 'Content-Type': 'application/jwk-set+json', 'Content-Length': Buffer.byteLength(body) });
    res.end(req.method === 'HEAD' ? undefined : body);
  };
}

// Five minutes: publish a new key that much before it signs, and every verifier will know it.
function setHeaders(res: ServerResponse, etag: string): void {
  res.setHeader('Cache-Control', 'public, max-age=300');
  res.setHeader('ETag', etag);
  res.setHeader('Access-Control-Allow-Origin', '*');
}

// RFC 9110, section 13.1.2: a list, compared weakly.
function isKnown(req: IncomingMessage, etag: string): boolean {
  const tags = (req.headers['if-none-match'] ?? '').split(',').map((tag) => tag.trim().replace(/^W\//, ''));
  return tags.includes(etag) || tags.includes('*');
}
