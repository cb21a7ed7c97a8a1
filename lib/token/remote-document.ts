/** A JSON document as its server gave it. */
export interface RemoteDocument {
  readonly value: unknown;
  /** For how long its server lets it be kept, in milliseconds, a minute where not at all; undefined where it does not say. */
  readonly maxAge: number | undefined;
}

/** The server was there, and answered with another status than 200. */
export class UnexpectedStatus extends Error {
  readonly status: number;

  constructor(url: URL, status: number) {
    super(`${placeOf(url)} answered ${status}`);
    this.name = 'UnexpectedStatus';
    this.status = status;
  }
}

// Of a document that its server would not have kept at all: asking anew for each token helps nobody.
const UNKEPT_LIFE = 60_000;

const MOST_BYTES = 65_536;
const MOST_REDIRECTS = 3;
const LOOPBACK = /^(?:(?:.+\.)?localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

/** The URL, if keys may come from there: https, or plain http on loopback. Otherwise a complaint for a developer, with an `example`. */
export function trustworthyUrl(url: unknown, example: string): URL | string {
  const text = url instanceof URL ? url.href : (url ?? '');
  if (text === '') return `must be a URL such as ${example}, and is empty: is its environment variable set?`;
  if (typeof text !== 'string' || !URL.canParse(text)) return `must be a URL such as ${example}`;
  const parsed = new URL(text);
  const local = parsed.protocol === 'http:' && isLoopback(parsed);
  if (parsed.protocol !== 'https:' && !local) return 'must begin with https:// (http is for loopback only)';
  if (parsed.username !== '' || parsed.password !== '') return 'must not hold a user name or password';
  return parsed;
}

/** The same for the URL that an issuer is called by: what it publishes stands below it. */
export function issuerUrl(url: unknown, example: string): URL | string {
  const trusted = trustworthyUrl(url, example);
  if (typeof trusted === 'string' || !/\/\.well-known(?:\/|$)/.test(trusted.pathname)) return trusted;
  return `must end before /.well-known, such as ${example}`;
}

/** Whether it leads to this very machine. */
export function isLoopback({ hostname }: URL): boolean {
  return LOOPBACK.test(hostname);
}

/** The URL without its query, which may hold what is not for logs. */
export function placeOf(url: URL): string {
  return url.origin + url.pathname;
}

/**
 * Fetches a JSON document of 64 KiB at most, until `signal` calls it off. Redirects are followed at the same origin only:
 * where keys come from is not for others to say.
 */
export async function fetchDocument(url: URL, signal: AbortSignal): Promise<RemoteDocument> {
  let place = url;
  for (let redirects = 0; redirects <= MOST_REDIRECTS; redirects++) {
    const response = await fetch(place, {
      redirect: 'manual',
      signal,
      headers: { Accept: 'application/json, */*;q=0.1' },
    });
    const next = redirectTo(response, place);
    if (next === undefined) return await readDocument(response, place);
    await response.body?.cancel();
    if (next.origin !== url.origin) throw new Error(`${placeOf(url)} redirects to another origin, ${next.origin}`);
    place = next;
  }
  throw new Error(`${placeOf(url)} redirects too often`);
}

function redirectTo({ status, headers }: Response, place: URL): URL | undefined {
  const location = headers.get('location');
  return [301, 302, 303, 307, 308].includes(status) && location !== null ? new URL(location, place) : undefined;
}

async function readDocument(response: Response, url: URL): Promise<RemoteDocument> {
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new UnexpectedStatus(url, response.status);
  }
  return { value: parse(await readText(response, url), url), maxAge: maxAgeOf(response.headers) };
}

function parse(text: string, url: URL): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Error(`${placeOf(url)} answered with no JSON`, { cause });
  }
}

async function readText({ body }: Response, url: URL): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  // Leaving the loop by an error cancels the rest.
  for await (const chunk of body ?? []) {
    size += chunk.length;
    if (size > MOST_BYTES) throw new Error(`${placeOf(url)} answered with more than ${MOST_BYTES} bytes`);
    chunks.push(chunk);
  }
  return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks));
}

/** RFC 9111, sections 4.2.1, 5.1 and 5.2.2. */
function maxAgeOf(headers: Headers): number | undefined {
  const directives = (headers.get('cache-control') ?? '').toLowerCase();
  if (/(?:^|[\s,])no-(?:store|cache)(?![\w-])/.test(directives)) return UNKEPT_LIFE;
  const seconds = /(?:^|[\s,])max-age="?(\d{1,9})/.exec(directives)?.[1];
  if (seconds === undefined) return undefined;
  const age = /^\d{1,9}$/.exec(headers.get('age') ?? '')?.[0] ?? '0';
  return Math.max(Number(seconds) - Number(age), 0) * 1_000;
}
