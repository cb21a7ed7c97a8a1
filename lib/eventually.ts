/** A value, or a promise of one: what is mostly at hand is not waited for, since a tick is not free. */
export type Eventually<Value> = Value | Promise<Value>;

/** Goes on with a value, at once where it is at hand. Whatever can be waited for is, be it a promise of another realm's making. */
export function after<A, B>(value: Eventually<A>, next: (value: A) => Eventually<B>): Eventually<B> {
  return isPromise(value) ? Promise.resolve(value).then(next) : next(value);
}

export function isPromise<Value>(value: Eventually<Value>): value is Promise<Value> {
  return typeof (value as Partial<Promise<Value>> | undefined | null)?.then === 'function';
}
