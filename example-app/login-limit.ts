import type { RequestHandler } from 'express';
import { rateLimit } from 'express-rate-limit';

/**
 * Slows down who guesses passwords: so many wrong tries a minute from one address, over all doors together. It counts in
 * this process; several processes share a count through one of express-rate-limit's Redis stores.
 */
export function loginLimit(triesPerMinute: number): RequestHandler {
  return rateLimit({
    windowMs: 60_000,
    limit: triesPerMinute,
    // A login that succeeded is no guess.
    skipSuccessfulRequests: true,
    standardHeaders: 'draft-8',
    legacyHeaders: false,
    // Retry-After says how long, in seconds.
    handler: (_req, res) => {
      res.status(429).type('text').send('Too many wrong passwords from your address. Wait a minute, then try again.\n');
    },
  });
}
