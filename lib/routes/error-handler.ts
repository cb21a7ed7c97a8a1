import type { ErrorRequestHandler, Request, Response } from 'express';
import { AuthError } from '../errors.ts';
import { readOptions } from '../options.ts';

export interface AuthErrorHandlerOptions {
  /** Where a browser goes that asks for a page and must log in: a path, or what makes one of the request. */
  readonly loginUrl?: string | ((req: Request, error: AuthError) => string);
}

/** Answers an AuthError as JSON (`{ error, error_description }`), or sends a browser to `loginUrl`; passes every other error on. */
export function authErrorHandler(options: AuthErrorHandlerOptions = {}): ErrorRequestHandler {
  const reader = readOptions('authErrorHandler', options, ['loginUrl']);
  const { loginUrl } = options;
  if (loginUrl !== undefined && typeof loginUrl !== 'function' && (typeof loginUrl !== 'string' || loginUrl === '')) {
    reader.fail(`"loginUrl" must be a URL such as '/login', or a function that makes one`);
  }
  return function authErrorHandler(error: unknown, req, res, next) {
    // After the head has left, Express can only cut the connection.
    if (!(error instanceof AuthError) || res.headersSent) return next(error);
    res.setHeader('Cache-Control', 'no-store');
    if (loginUrl !== undefined && error.status === 401 && wantsPage(req)) {
      res.redirect(302, typeof loginUrl === 'function' ? loginUrl(req, error) : loginUrl);
      return;
    }
    answer(res, error);
  };
}

function answer(res: Response, { status, headers, code, message }: AuthError): void {
  res.status(status).set(headers).json({ error: code, error_description: message });
}

/** A browser that navigates: it can follow a redirect, where a script would take the login page for data. */
function wantsPage(req: Request): boolean {
  const safe = req.method === 'GET' || req.method === 'HEAD';
  return safe && req.headers.accept !== undefined && req.accepts(['json', 'html']) === 'html';
}
