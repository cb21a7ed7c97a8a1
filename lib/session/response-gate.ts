import type { ServerResponse } from 'node:http';

/** Begins what must be done before a response may leave; undefined if there is nothing to do. */
export type Commit = () => Promise<void> | undefined;

const GUARDED = ['end', 'write', 'writeHead', 'flushHeaders'] as const;
type Method = (typeof GUARDED)[number];
type Call = (...args: unknown[]) => unknown;

/**
 * Holds a response back until what it promises is stored. Calls that would send something wait, in their order, for the
 * commit; if that fails, nothing of the response was sent, and `refuse` may answer instead.
 *
 * The methods become accessors, for the gate must stay outermost: a compressor mounted later replaces `end`, and would
 * otherwise write the head before the gate hears of it.
 */
export class ResponseGate {
  readonly #res: ServerResponse;
  readonly #commit: Commit;
  readonly #refuse: (error: unknown) => void;
  #waiting: (() => void)[] | undefined;
  #begun = false;
  #abandoned = false;

  constructor(res: ServerResponse, commit: Commit, refuse: (error: unknown) => void) {
    this.#res = res;
    this.#commit = commit;
    this.#refuse = refuse;
    for (const method of GUARDED) this.#guard(method);
  }

  #guard(method: Method): void {
    let inner = this.#res[method] as Call;
    Object.defineProperty(this.#res, method, {
      configurable: true,
      enumerable: true,
      // Each reader gets the method as it is now, so that those who wrap it stand in one chain.
      get: () => {
        const below = inner;
        return (...args: unknown[]) => this.#call(method, below, args);
      },
      set: (outer: Call) => {
        inner = outer;
      },
    });
  }

  #call(method: Method, below: Call, args: unknown[]): unknown {
    const send = () => below.apply(this.#res, args);
    if (this.#waiting !== undefined) {
      this.#waiting.push(() => this.#call(method, below, args));
      return this.#held(method);
    }
    // What was stored before the first byte need not be looked at again with every chunk.
    if (this.#abandoned || (method !== 'end' && this.#begun)) return send();
    this.#begun = true;
    const work = this.#commit();
    if (work === undefined) return send();
    this.#waiting = [];
    work.then(
      () => this.#release(send),
      (error) => this.#fail(error),
    );
    return this.#held(method);
  }

  #held(method: Method): unknown {
    return method === 'write' ? false : this.#res;
  }

  #release(send: () => void): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    send();
    // One of these may have to wait again, and those after it with it.
    for (const call of waiting) call();
    if (this.#waiting === undefined && !this.#res.writableNeedDrain) this.#res.emit('drain');
  }

  #fail(error: unknown): void {
    this.#waiting = undefined;
    this.#abandoned = true;
    if (this.#res.headersSent) {
      // Too late for another answer: a broken one says that it failed.
      this.#res.destroy(error as Error);
      return;
    }
    for (const name of this.#res.getHeaderNames()) this.#res.removeHeader(name);
    this.#res.statusCode = 200;
    this.#refuse(error);
  }
}
