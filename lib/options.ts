/** `'250ms'`, `'30s'`, `'15m'`, `'12h'`, `'7d'`: a duration that cannot be mistaken for another unit. */
export type Duration = `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`;

const MILLISECONDS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

// Browsers cap a cookie's life at 400 days (RFC 6265bis, 5.5), and nothing of ours lasts longer.
const LONGEST = 400 * MILLISECONDS.d;

/** Bounds of a duration, as one would write them. */
interface Bounds {
  readonly least?: Duration;
  readonly most?: Duration;
}

/** Reads the options of one factory and complains in its name: what is wrong, and what to write instead. */
export interface OptionReader<Options> {
  /** A duration in milliseconds. */
  duration<Name extends keyof Options & string>(name: Name, fallback: Duration, bounds?: Bounds): number;
  /** A string that must not be empty. */
  text<Name extends keyof Options & string>(name: Name): string;
  /** A function, or nothing. */
  optionalFunction<Name extends keyof Options & string>(name: Name): Options[Name] | undefined;
  /** True or false. */
  flag<Name extends keyof Options & string>(name: Name, fallback: boolean): boolean;
  /** Throws a TypeError in the factory's name. */
  fail(complaint: string): never;
}

/**
 * Checks that `options` is an options object that holds known names only. Throws a TypeError that says what to do:
 * `jwtAuth: unknown option "audiance", did you mean "audience"?`
 */
export function readOptions<Options extends object>(
  factory: string,
  options: Options,
  known: readonly (keyof Options & string)[],
): OptionReader<Options> {
  const fail = (complaint: string): never => {
    throw new TypeError(`${factory}: ${complaint}`);
  };
  if (isRequest(options)) fail(`call it: app.use(${factory}({ … }))`);
  if (typeof options !== 'object' || options === null) fail('takes an object of options');
  for (const name of Object.keys(options)) {
    if (!known.includes(name as never)) fail(`unknown option "${name}"${suggestion(name, known)}`);
  }
  return {
    fail,
    duration: (name, fallback, bounds) =>
      milliseconds(options[name] ?? fallback, bounds, (complaint) => fail(`"${name}" ${complaint}`)),
    text(name) {
      const value = options[name];
      if (typeof value !== 'string' || value === '') fail(`"${name}" must be given, as a string`);
      return value as string;
    },
    flag(name, fallback) {
      const value: unknown = options[name] ?? fallback;
      if (typeof value !== 'boolean') fail(`"${name}" must be true or false`);
      return value as boolean;
    },
    optionalFunction(name) {
      const value = options[name];
      if (value !== undefined && typeof value !== 'function') fail(`"${name}" must be a function`);
      return value;
    },
  };
}

/** The milliseconds of a duration; what is none is told to `fail`. */
export function milliseconds(value: unknown, bounds: Bounds | undefined, fail: (complaint: string) => never): number {
  const amount = parseDuration(value);
  if (amount === undefined) fail(`must be a duration such as '250ms', '30s', '15m', '12h' or '7d'`);
  const { least = '1ms', most = '400d' } = bounds ?? {};
  if (amount < (parseDuration(least) as number)) fail(`must be at least '${least}'`);
  if (amount > Math.min(LONGEST, parseDuration(most) as number)) fail(`must be at most '${most}'`);
  return amount;
}

function parseDuration(value: unknown): number | undefined {
  const match = typeof value === 'string' ? /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(value) : null;
  if (match === null) return undefined;
  return Math.round(Number(match[1]) * MILLISECONDS[match[2] as keyof typeof MILLISECONDS]);
}

// `app.use(jwtAuth)` calls the factory with a request.
function isRequest(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'headers' in value && 'method' in value && 'url' in value;
}

/** `, did you mean "audience"?`, where something known is spelt nearly so. */
export function suggestion(name: string, known: readonly string[]): string {
  const near = known
    .map((candidate) => ({ candidate, distance: editDistance(name.toLowerCase(), candidate.toLowerCase()) }))
    .filter(({ candidate, distance }) => distance <= Math.max(1, candidate.length / 3))
    .sort((a, b) => a.distance - b.distance)[0];
  return near === undefined ? `; known are ${known.join(', ')}` : `, did you mean "${near.candidate}"?`;
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const swap = (previous[column - 1] as number) + (a[row - 1] === b[column - 1] ? 0 : 1);
      current.push(Math.min(swap, (previous[column] as number) + 1, (current[column - 1] as number) + 1));
    }
    previous = current;
  }
  return previous[b.length] as number;
}
