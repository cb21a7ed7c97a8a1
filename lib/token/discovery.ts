import { isDeepStrictEqual } from 'node:util';
import { readOptions } from '../options.ts';
import { algorithmNamed } from './algorithms.ts';
import type { Alg, Reading, TrustedIssuer } from './keys.ts';
import { type Edition, PublishedKeys } from './published-keys.ts';
import { fetchDocument, issuerUrl, type RemoteDocument, trustworthyUrl, UnexpectedStatus } from './remote-document.ts';
import { PUBLIC_ALGORITHMS, REMOTE_DEFAULTS } from './remote-keys.ts';
import { checkTrustedIssuer } from './trusted-issuer.ts';

export interface DiscoverOptions extends Reading {
  readonly audience: string | readonly string[];
}

/**
 * Finds an issuer's keys and algorithms by OpenID Connect Discovery 1.0, section 4, or else by RFC 8414, section 3, when
 * first needed: a service starts while its issuer is down, and answers 503 until it is there. `issuer` must be, to the
 * letter, the name by which the issuer calls itself. Wrong options throw a TypeError.
 */
export function discover(issuer: string, options: DiscoverOptions): TrustedIssuer {
  const reader = readOptions('discover', options, ['audience', 'claims', 'accepts', 'types', 'idTokens']);
  const url = issuerUrl(issuer, 'https://issuer.example');
  if (typeof url === 'string') return reader.fail(`the issuer ${url}`);
  // OpenID Connect Discovery 1.0, section 2: no query and no fragment.
  if (/[?#]/.test(issuer)) return reader.fail('the issuer must not hold a query or a fragment');
  const { audience, claims, accepts, types, idTokens } = options;
  const trusted: TrustedIssuer = {
    issuer,
    audience,
    keys: discoveredKeys(issuer, url),
    ...(claims === undefined ? {} : { claims }),
    ...(accepts === undefined ? {} : { accepts }),
    ...(types === undefined ? {} : { types }),
    ...(idTokens === undefined ? {} : { idTokens }),
  };
  checkTrustedIssuer('discover', trusted);
  return trusted;
}

/** What an issuer says of itself, as far as it matters here. */
interface Metadata {
  readonly jwksUrl: URL;
  readonly algorithms: readonly Alg[];
}

/** What an issuer published when it was last asked for all of it. */
interface Publication {
  readonly metadata: Metadata;
  readonly keys: RemoteDocument;
  /** When all of it is to be read anew, by the monotonic clock. */
  readonly until: number;
}

const METADATA_LIFE = 60_000;

const { maxAge, timeout } = REMOTE_DEFAULTS;

/** Each fetch has one timeout, however many documents it takes. */
function discoveredKeys(issuer: string, url: URL): PublishedKeys {
  let known: Publication | undefined;
  async function fetchEdition(): Promise<Edition> {
    const signal = AbortSignal.timeout(timeout);
    const before = known;
    // Forgotten where the keys cannot be had.
    known = undefined;
    known = (await reread(before, signal)) ?? (await read(issuer, url, signal));
    const { keys, metadata } = known;
    return { jwks: keys.value, algorithms: metadata.algorithms, maxAge: keys.maxAge };
  }
  return new PublishedKeys({ name: issuer, fetchEdition, algorithms: PUBLIC_ALGORITHMS, maxAge });
}

async function read(issuer: string, url: URL, signal: AbortSignal): Promise<Publication> {
  const until = performance.now() + METADATA_LIFE;
  const metadata = await readMetadata(issuer, url, signal);
  return { metadata, keys: await fetchDocument(metadata.jwksUrl, signal), until };
}

/** Asks for the keys alone, where that is enough: with other keys may come another algorithm, or another place. */
async function reread(before: Publication | undefined, signal: AbortSignal): Promise<Publication | undefined> {
  if (before === undefined || performance.now() >= before.until) return undefined;
  const keys = await fetchDocument(before.metadata.jwksUrl, signal);
  return isDeepStrictEqual(keys.value, before.keys.value) ? { ...before, keys } : undefined;
}

async function readMetadata(issuer: string, url: URL, signal: AbortSignal): Promise<Metadata> {
  const { jwks_uri, id_token_signing_alg_values_supported: offered, issuer: self } = await fetchMetadata(url, signal);
  // OpenID Connect Discovery 1.0, sections 3 and 4.3; RFC 8414, sections 2 and 3.3.
  for (const [name, value] of Object.entries({ issuer: self, jwks_uri })) {
    if (typeof value !== 'string' || value === '') throw new Error(`its metadata name no "${name}"`);
  }
  if (self !== issuer) {
    throw new Error(`it calls itself ${JSON.stringify(self)}: write exactly that, if you trust it`);
  }
  return { jwksUrl: keysPlace(jwks_uri, url), algorithms: algorithmsOf(offered) };
}

function keysPlace(jwksUri: unknown, issuer: URL): URL {
  const place = trustworthyUrl(jwksUri, 'https://issuer.example/jwks.json');
  if (typeof place === 'string') throw new Error(`its "jwks_uri" ${place}`);
  // Our loopback is not the issuer's, unless it is here itself.
  if (place.protocol === 'http:' && issuer.protocol !== 'http:') {
    throw new Error('its "jwks_uri" must begin with https://, as the issuer does');
  }
  return place;
}

function algorithmsOf(offered: unknown): readonly Alg[] {
  const names = Array.isArray(offered) ? offered.map(algorithmNamed) : PUBLIC_ALGORITHMS;
  // In our own order: what an issuer lists first is no preference.
  const algorithms = PUBLIC_ALGORITHMS.filter((alg) => names.includes(alg));
  if (algorithms.length === 0) throw new Error(`it signs by none of ${PUBLIC_ALGORITHMS.join(', ')}`);
  return algorithms;
}

async function fetchMetadata(url: URL, signal: AbortSignal): Promise<Readonly<Record<string, unknown>>> {
  const path = url.pathname.replace(/\/$/, '');
  try {
    return objectIn(await fetchDocument(new URL(`${url.origin}${path}/.well-known/openid-configuration`), signal));
  } catch (error) {
    if (!(error instanceof UnexpectedStatus) || error.status >= 500) throw error;
    return fetchOAuthMetadata(new URL(`${url.origin}/.well-known/oauth-authorization-server${path}`), signal, error);
  }
}

/** Of an OAuth server without OpenID Connect, whose metadata are where `elsewhere` says they are not. */
async function fetchOAuthMetadata(
  url: URL,
  signal: AbortSignal,
  elsewhere: UnexpectedStatus,
): ReturnType<typeof fetchMetadata> {
  try {
    return objectIn(await fetchDocument(url, signal));
  } catch (error) {
    if (error instanceof UnexpectedStatus) error.message = `${elsewhere.message}, ${error.message}`;
    throw error;
  }
}

function objectIn({ value }: { readonly value: unknown }): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) throw new Error('the metadata is no JSON object');
  return value as Readonly<Record<string, unknown>>;
}
