import { request } from 'node:http';

/** What came back. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** The body as JSON; undefined where it is none. */
  readonly json: any;
  /** The lines of Set-Cookie. */
  readonly cookies: readonly string[];
}

export interface Sending {
  readonly headers?: Readonly<Record<string, string>>;
  /** A body: an object is sent as JSON, a string as it is. */
  readonly body?: object | string;
}

/** A client with a cookie jar, behind a proxy that ends TLS. Cookies expire in it as they do in a browser. */
export interface Browser {
  /** The cookies by name. */
  readonly jar: Map<string, string>;
  send(method: string, path: string, sending?: Sending): Promise<Answer>;
  get(path: string, sending?: Sending): Promise<Answer>;
  post(path: string, body?: object | string, headers?: Readonly<Record<string, string>>): Promise<Answer>;
  /** Another one that holds the same cookies now. */
  copy(): Browser;
}

export function browser(url: string, cookies: Iterable<readonly [string, string]> = []): Browser {
  const jar = new Map(cookies);
  const ends = new Map<string, number>();
  const self: Browser = {
    jar,
    async send(method, path, { headers = {}, body } = {}) {
      for (const [name, end] of ends) if (end <= Date.now()) jar.delete(name);
      const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
      const type = typeof body === 'object' ? { 'content-type': 'application/json' } : {};
      const answer = await send(method, new URL(path, url), {
        headers: { 'x-forwarded-proto': 'https', ...(cookie === '' ? {} : { cookie }), ...type, ...headers },
        body: typeof body === 'object' ? JSON.stringify(body) : body,
      });
      for (const line of answer.cookies) keep(line);
      return answer;
    },
    get: (path, sending) => self.send('GET', path, sending),
    post: (path, body, headers = {}) => self.send('POST', path, { headers, ...(body === undefined ? {} : { body }) }),
    copy: () => browser(url, jar),
  };

  function keep(line: string): void {
    const [pair = '', ...attributes] = line.split('; ');
    const [name = '', value = ''] = pair.split(/=(.*)/s);
    const maxAge = attributes.find((each) => each.startsWith('Max-Age='))?.slice(8);
    ends.delete(name);
    if (maxAge === '0') jar.delete(name);
    else jar.set(name, value);
    if (maxAge !== undefined) ends.set(name, Date.now() + Number(maxAge) * 1000);
  }
  return self;
}

function send(
  method: string,
  url: URL,
  { headers, body }: { readonly headers: Record<string, string>; readonly body: string | undefined },
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
    const sent = request(url, { method, headers: { ...headers, ...length }, agent: false }, (res) => {
      const chunks: Buffer[] = [];
      res.on('data', (chunk) => chunks.push(chunk));
      res.on('error', reject);
      res.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        resolve({
          status: res.statusCode ?? 0,
          headers: res.headers,
          text,
          json: jsonOf(text),
          cookies: res.headers['set-cookie'] ?? [],
        });
      });
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
