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
type Methods = Record<Method, Call>;

// Node keeps the head here once it was made: while there is one, `headersSent` is true and no header can be changed.
type Head = { _header: string | null };
const PROMISED = 'promised';

// Node makes a head nobody has written through this, and compressors have it made so.
type ImplicitHead = { _implicitHeader?: () => void };

// So much is taken from those who write before they are asked to wait.
const HELD_BYTES = 65_536;

/**
 * Holds a response back until what it promises is stored. Calls that would send something wait, in their order, for the
 * commit; if that fails, nothing of the response was sent, and something else may be answered.
 */
export class ResponseGate {
  readonly #res: ServerResponse;
  readonly #guarded: Guarded;
  /** What stood before: CORS and security headers, without which a browser could not read a refusal. */
  readonly #before: ReturnType<ServerResponse['getHeaders']>;
  readonly #base: Methods;
  #inner: Methods;
  #outer: Partial<Methods> = {};
  #held: (() => void)[] | undefined;
  #heldBytes = 0;
  #shut = false;
  #begun = false;
  #implicit = false;
  /** The commit of a head that could not wait. */
  #late: Promise<void> | undefined;
  #failed = false;

  constructor(res: ServerResponse, guarded: Guarded) {
    this.#res = res;
    this.#guarded = guarded;
    this.#before = res.getHeaders();
    const { end, write, writeHead, flushHeaders } = res as unknown as Methods;
    this.#base = { end, write, writeHead, flushHeaders };
    this.#inner = this.#base;
    // In `res.end(String(req.session.visits = 7))` the method is looked up before there is anything to wait for.
    Object.assign(res, {
      end: (...args: unknown[]) => this.#call('end', end, args),
      write: (...args: unknown[]) => this.#call('write', write, args),
    });
  }

  /**
   * There may be something to wait for from now on. The methods become accessors, for the gate must stay outermost: a
   * compressor mounted later replaces `end`, and would otherwise write the head before the gate hears of it.
   */
  shut(): void {
    if (this.#shut) return;
    this.#shut = true;
    const { end, write, writeHead, flushHeaders } = this.#res as unknown as Methods;
    this.#inner = { end, write, writeHead, flushHeaders };
    this.#noticeImplicitHead();
    for (const method of GUARDED) {
      Object.defineProperty(this.#res, method, {
        configurable: true,
        enumerable: true,
        get: () => this.#outerOf(method),
        set: (wrapper: Call) => this.#wrap(method, wrapper),
      });
    }
  }

  // A wrapper whose `end` was looked up before there was anything to wait for makes the head by itself, and goes on with
  // what it made of it. It cannot wait: only what it sends then can.
  #noticeImplicitHead(): void {
    const res = this.#res as unknown as ImplicitHead;
    const implicitHeader = res._implicitHeader;
    if (typeof implicitHeader !== 'function') return;
    res._implicitHeader = () => {
      this.#implicit = true;
      implicitHeader.call(res);
      this.#implicit = false;
    };
  }

  /** A method as it is now: each reader gets it so, and those who wrap it stand in one chain. */
  #outerOf(method: Method): Call {
    const inner = this.#inner[method];
    const failed = this.#failed;
    this.#outer[method] ??= (...args) => (failed ? inner.apply(this.#res, args) : this.#call(method, inner, args));
    return this.#outer[method];
  }

  #wrap(method: Method, inner: Call): void {
    this.#inner = { ...this.#inner, [method]: inner };
    delete this.#outer[method];
  }

  #call(method: Method, inner: Call, args: unknown[]): unknown {
    if (this.#held !== undefined) return this.#hold(method, inner, args);
    // A second `end` is ignored, as express-session does it: from Node's own the process would end.
    if (this.#failed || (method === 'end' && this.#res.writableEnded)) return this.#tooLate(args);
    // What was stored before the first byte need not be looked at again with every chunk.
    const work = this.#begun && method !== 'end' ? this.#late : this.#commit();
    this.#begun = true;
    this.#late = undefined;
    if (work === undefined) return this.#send(method, inner, args);
    if (method === 'writeHead' && this.#implicit) {
      this.#late = work;
      // Whoever sends next hears of it, which may be later.
      work.catch(() => undefined);
      return this.#send(method, inner, args);
    }
    this.#holdUntil(work, () => this.#send(method, inner, args));
    return this.#answer(method, args);
  }

  #commit(): Promise<void> | undefined {
    const late = this.#late;
    try {
      const work = this.#guarded.commit();
      return late === undefined || work === undefined
        ? (late ?? work)
        : Promise.all([late, work]).then(() => undefined);
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
    // Whatever wrapped them has seen another response begin, and may think it ended.
    this.#inner = this.#base;
    this.#outer = {};
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

  // Of a response that is over, or in whose place another is sent.
  #tooLate(args: unknown[]): unknown {
    const callback = args.find((argument) => typeof argument === 'function') as Call | undefined;
    if (callback !== undefined) process.nextTick(callback, new Error('the response is over'));
    return this.#res;
  }
}

function lengthOf(chunk: unknown): number {
  return typeof chunk === 'string' ? chunk.length : ((chunk as Uint8Array | undefined)?.byteLength ?? 0);
}
