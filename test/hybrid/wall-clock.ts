// Import this before anything else: in this process, the wall clock is CLOCK_SHIFT milliseconds off from then on.
const shift = Number(process.env.CLOCK_SHIFT ?? 0);
const RealDate = Date;

if (shift !== 0) {
  globalThis.Date = class extends RealDate {
    constructor(...args: any[]) {
      if (args.length === 0) super(RealDate.now() + shift);
      else super(...(args as [any]));
    }

    static override now(): number {
      return RealDate.now() + shift;
    }
  } as DateConstructor;
}
