import { type Duration, readOptions } from '../options.ts';
import { ALGORITHMS, algorithmNamed, isSymmetric } from './algorithms.ts';
import type { Alg, VerificationKeys } from './keys.ts';
import { PublishedKeys } from './published-keys.ts';
import { fetchDocument, placeOf, trustworthyUrl } from './remote-document.ts';

export interface RemoteKeysOptions {
  /** Which of its issuer's keys may be used. A key that names no algorithm serves the first of these that fits it. */
  readonly algorithms: readonly Exclude<Alg, `HS${string}`>[];
  /** How long keys are believed before their issuer is asked again; a shorter `Cache-Control: max-age` of his counts. @default '10m', at most '24h' */
  readonly maxAge?: Duration;
  /** How long one fetch may take. @default '5s', at most '30s' */
  readonly timeout?: Duration;
}

/** All that can be published: a secret cannot. */
export const PUBLIC_ALGORITHMS = (Object.keys(ALGORITHMS) as Alg[]).filter((alg) => !isSymmetric(alg));

/** Limits where nobody sets any, in milliseconds. */
export const REMOTE_DEFAULTS = { maxAge: 600_000, timeout: 5_000 } as const;

/**
 * Keys published by another issuer as a JWK Set (RFC 7517, section 5): fetched when needed, one fetch at a time, kept for
 * 24 hours beyond their age through the issuer's outage. Wrong options throw a TypeError; while a key is neither known nor
 * to be had, requests get 503.
 */
export function remoteKeys(url: string | URL, options: RemoteKeysOptions): VerificationKeys {
  const reader = readOptions('remoteKeys', options, ['algorithms', 'maxAge', 'timeout']);
  const place = trustworthyUrl(url, 'https://issuer.example/jwks.json');
  if (typeof place === 'string') return reader.fail(`the URL ${place}`);
  const algorithms = readAlgorithms(options.algorithms, reader.fail);
  const maxAge = reader.duration('maxAge', '10m', { least: '1s', most: '24h' });
  const timeout = reader.duration('timeout', '5s', { least: '10ms', most: '30s' });
  return new PublishedKeys({
    name: placeOf(place),
    algorithms,
    maxAge,
    async fetchEdition() {
      const { value, maxAge: said } = await fetchDocument(place, AbortSignal.timeout(timeout));
      return { jwks: value, algorithms, maxAge: said };
    },
  });
}

function readAlgorithms(given: readonly unknown[], fail: (complaint: string) => never): readonly Alg[] {
  const one = PUBLIC_ALGORITHMS.join(', ');
  if (!Array.isArray(given) || given.length === 0) fail(`"algorithms" must list at least one of ${one}`);
  return given.map((name) => {
    const alg = algorithmNamed(name);
    if (alg !== undefined && !isSymmetric(alg)) return alg;
    return fail(`"algorithms" holds ${JSON.stringify(name)}, which nobody can publish a key for; known are ${one}`);
  });
}
