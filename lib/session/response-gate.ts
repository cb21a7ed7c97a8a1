import type { ServerResponse } from 'node:http';
import { keepCookie } from './kept-cookie.ts';

/** What a response waits for. */
export interface Guarded {
  /** The cookie that no `writeHead` may take away. */
  readonly cookieName: string;
  /** Begins what must be done before the response may leave; undefined if there is nothing to do. Cookies are set at once. */
  commit(): Promise<void> | undefined;
  /** Answers instead: nothing of the response was sent, or it was broken off. */
  refuse(error: unknown): void;
}

const GUARDED = ['end', 'write', 'writeHead', 'flushHeaders'] as const;
type Method = (typeof GUARDED)[number];
type Call = (...args: unknown[]) => unknown;

const GATE = Symbol('response gate');
type GatedResponse = ServerResponse & { [GATE]?: ResponseGate };

// Node keeps the head here once it was made: while there is one, `headersSent` is true and no header can be changed.
type Head = { _header: string | null };
const PROMISED = 'promised';

// So much is taken from those who write before they are asked to wait.
const HELD_BYTES = 65_536;

/**
 * Holds a response back until what it promises is stored. Calls that would send something wait, in their order, for the
 * commit; if that fails, nothing of the response was sent, and something else may be answered.
 *
 * The methods become accessors, for the gate must stay outermost: a compressor mounted later replaces `end`, and would
 * otherwise write the head before the gate hears of it.
 */
export class ResponseGate {
  readonly #res: ServerResponse;
  readonly #guarded: Guarded;
  /** What stood before: CORS and security headers, without which a browser could not read a refusal. */
  readonly #before: ReturnType<ServerResponse['getHeaders']>;
  readonly #inner: Record<Method, Call>;
  readonly #outer: Partial<Record<Method, Call>> = {};
  #held: (() => void)[] | undefined;
  #heldBytes = 0;
  #begun = false;
  #failed = false;

  constructor(res: ServerResponse, guarded: Guarded) {
    this.#res = res;
    this.#guarded = guarded;
    this.#before = res.getHeaders();
    const { end, write, writeHead, flushHeaders } = res as unknown as Record<Method, Call>;
    this.#inner = { end, write, writeHead, flushHeaders };
    (res as GatedResponse)[GATE] = this;
    for (const [method, accessor] of ACCESSORS) Object.defineProperty(res, method, accessor);
  }

  /** A method as it is now: each reader gets it so, and those who wrap it stand in one chain. */
  outer(method: Method): Call {
    const inner = this.#inner[method];
    this.#outer[method] ??= (...args) => this.#call(method, inner, args);
    return this.#outer[method];
  }

  wrap(method: Method, inner: Call): void {
    this.#inner[method] = inner;
    delete this.#outer[method];
  }

  #call(method: Method, inner: Call, args: unknown[]): unknown {
    if (this.#held !== undefined) return this.#hold(method, inner, args);
    if (this.#failed) return this.#afterFailure(inner, args);
    // What was stored before the first byte need not be looked at again with every chunk.
    if (this.#begun && method !== 'end') return this.#send(method, inner, args);
    this.#begun = true;
    const work = this.#commit();
    if (work === undefined) return this.#send(method, inner, args);
    this.#holdUntil(work, () => this.#send(method, inner, args));
    return this.#answer(method, args);
  }

  #commit(): Promise<void> | undefined {
    try {
      return this.#guarded.commit();
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #send(method: Method, inner: Call, args: unknown[]): unknown {
    const { cookieName } = this.#guarded;
    return inner.apply(this.#res, method === 'writeHead' ? keepCookie(this.#res, cookieName, args) : args);
  }

  // To whoever wrote it, the response has left: a second answer fails as it would on any other.
  #holdUntil(work: Promise<void>, first: () => void): void {
    const { statusCode, statusMessage, headersSent } = this.#res;
    const head = this.#res as unknown as Head;
    this.#held = [];
    this.#heldBytes = 0;
    if (!headersSent) head._header = PROMISED;
    const lift = () => {
      if (headersSent) return;
      head._header = null;
      Object.assign(this.#res, { statusCode, statusMessage });
    };
    work.then(
      () => {
        lift();
        this.#release(first);
      },
      (error) => {
        lift();
        this.#fail(error);
      },
    );
  }

  #hold(method: Method, inner: Call, args: unknown[]): unknown {
    // As on a head that has left: the one throws, the other has nothing to do.
    if (method === 'writeHead') return inner.apply(this.#res, args);
    if (method !== 'flushHeaders') this.#held?.push(() => void this.#call(method, inner, args));
    return this.#answer(method, args);
  }

  #answer(method: Method, args: unknown[]): unknown {
    if (method !== 'write') return this.#res;
    this.#heldBytes += lengthOf(args[0]);
    return this.#heldBytes < HELD_BYTES;
  }

  #release(first: () => void): void {
    const calls = this.#held ?? [];
    this.#held = undefined;
    try {
      first();
      // One of these may have to wait again, and those after it with it.
      for (const call of calls) call();
    } catch (error) {
      this.#fail(error);
      return;
    }
    const asked = this.#heldBytes >= HELD_BYTES;
    if (asked && this.#held === undefined && !this.#res.writableNeedDrain) this.#res.emit('drain');
  }

  #fail(error: unknown): void {
    this.#held = undefined;
    this.#failed = true;
    // Too late for another answer: a broken one says that it failed.
    if (this.#res.headersSent) this.#res.destroy();
    else this.#reset(error);
    this.#guarded.refuse(error);
  }

  #reset(error: unknown): void {
    const res = this.#res;
    for (const name of res.getHeaderNames()) if (!(name in this.#before)) res.removeHeader(name);
    for (const [name, value] of Object.entries(this.#before)) if (value !== undefined) res.setHeader(name, value);
    // Whoever began the response may still end it: never as a success.
    Object.assign(res, { statusCode: (error as { status?: number }).status ?? 500, statusMessage: undefined });
  }

  // Whoever began the response may not know yet that another was sent in its place: no reason to end the process.
  #afterFailure(inner: Call, args: unknown[]): unknown {
    if (!this.#res.writableEnded && !this.#res.destroyed) return inner.apply(this.#res, args);
    const callback = args.find((argument) => typeof argument === 'function') as Call | undefined;
    if (callback !== undefined) process.nextTick(callback, new Error('another response was sent'));
    return this.#res;
  }
}

// The same for every response: an object with accessors of its own making each time would be slow to use.
const ACCESSORS = GUARDED.map(
  (method) =>
    [
      method,
      {
        configurable: true,
        enumerable: true,
        get(this: GatedResponse) {
          return this[GATE]?.outer(method);
        },
        set(this: GatedResponse, inner: Call) {
          this[GATE]?.wrap(method, inner);
        },
      },
    ] as const,
);

function lengthOf(chunk: unknown): number {
  return typeof chunk === 'string' ? chunk.length : ((chunk as Uint8Array | undefined)?.byteLength ?? 0);
}
