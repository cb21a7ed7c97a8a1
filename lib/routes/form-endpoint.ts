import type { IncomingMessage, ServerResponse } from 'node:http';
import { isUint8Array } from 'node:util/types';
import { type Middleware, recognitionOf, tellRefusal } from '../auth.ts';
import { AuthError, InvalidRequest } from '../errors.ts';

/** What a form says: every name once. */
export type Form = ReadonlyMap<string, string>;

// A token takes 8 KiB at most, and some of its characters may come escaped.
const MOST_BYTES = 16_384;

/**
 * An endpoint that takes a form by POST and answers JSON, never cached; without a value it answers 200 and nothing. It
 * parses its form itself, unless somebody did before, and answers its own refusals (RFC 6749, section 5.2).
 */
export function formEndpoint(
  name: string,
  answer: (form: Form, req: IncomingMessage) => Promise<object | undefined>,
): Middleware {
  const endpoint: Middleware = (req, res, next) => {
    res.setHeader('Cache-Control', 'no-store');
    if (req.method !== 'POST') {
      res.setHeader('Allow', 'POST');
      return send(res, 405, { error: 'invalid_request', error_description: 'the method must be POST' });
    }
    readForm(req)
      .then((form) => answer(form, req))
      .then((value) => send(res, 200, value))
      .catch((error: unknown) => {
        if (!(error instanceof AuthError)) return next(error);
        tellRefusal(error, recognitionOf(req).audits, req);
        for (const [header, value] of Object.entries(error.headers)) res.setHeader(header, value);
        send(res, error.status, { error: error.code, error_description: error.message });
      });
  };
  return Object.defineProperty(endpoint, 'name', { value: name });
}

/** The token that a form is about (RFC 7662, section 2.1; RFC 7009, section 2.1). Its `token_type_hint` is only a hint, and not needed. */
export function tokenIn(form: Form): string {
  const token = form.get('token');
  if (!token) throw new InvalidRequest('the form must hold a token');
  return token;
}

function send(res: ServerResponse, status: number, value: object | undefined): void {
  res.statusCode = status;
  if (value === undefined) return void res.end();
  res.setHeader('Content-Type', 'application/json; charset=utf-8');
  res.end(JSON.stringify(value));
}

async function readForm(req: IncomingMessage): Promise<Form> {
  const [type = ''] = (req.headers['content-type'] ?? '').split(';');
  if (type.trim().toLowerCase() !== 'application/x-www-form-urlencoded') {
    throw new InvalidRequest('the body must be a form, application/x-www-form-urlencoded');
  }
  const body = bodyIn(req) ?? (await readText(req));
  const pairs = typeof body === 'string' ? [...new URLSearchParams(body)] : Object.entries(body);
  const form = new Map<string, string>();
  for (const [name, value] of pairs) {
    // RFC 6749, section 3.2: no parameter twice. A parser makes a list of such.
    if (form.has(name) || typeof value !== 'string') throw new InvalidRequest('a parameter is given twice');
    form.set(name, value);
  }
  return form;
}

/** What a parser in front made of the body, if one did: an object, or all of it as text. */
function bodyIn(req: IncomingMessage & { readonly body?: unknown }): object | string | undefined {
  const { body } = req;
  if (typeof body === 'string' || isUint8Array(body)) return textIn(Buffer.from(body as string), req);
  if (typeof body !== 'object' || body === null) return undefined;
  return Object.keys(body).length === 0 && isUnread(req) ? undefined : body;
}

function textIn(bytes: Buffer, req: IncomingMessage): string | undefined {
  if (bytes.length > MOST_BYTES) throw unreadable();
  return bytes.length === 0 && isUnread(req) ? undefined : bytes.toString('utf8');
}

// Express 4's parsers leave an empty body also where they pass one by.
function isUnread(req: IncomingMessage): boolean {
  return !req.readableDidRead && !req.readableEnded;
}

function unreadable(): InvalidRequest {
  return new InvalidRequest('the body cannot be read');
}

function readText(req: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const fail = () => reject(unreadable());
    // Somebody read it, and kept what it said.
    if (req.readableEnded) fail();
    req.on('data', (chunk: Buffer) => {
      size += chunk.length;
      // What is too much flows by, so that the answer can be heard.
      if (size > MOST_BYTES) fail();
      else chunks.push(chunk);
    });
    req.once('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
    req.once('error', fail);
    req.once('close', fail);
  });
}
