import { readOptions } from '../options.ts';
import { algorithmNamed } from './algorithms.ts';
import type { Alg, Reading, TrustedIssuer } from './keys.ts';
import { type Edition, PublishedKeys } from './published-keys.ts';
import { fetchDocument, trustworthyUrl, UnexpectedStatus } from './remote-document.ts';
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
  const url = trustworthyUrl(issuer);
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

const { maxAge, timeout } = REMOTE_DEFAULTS;

/** All documents are read each time, within one timeout: with new keys may come another algorithm, or another place. */
function discoveredKeys(issuer: string, url: URL): PublishedKeys {
  async function fetchEdition(): Promise<Edition> {
    const signal = AbortSignal.timeout(timeout);
    const { jwksUrl, algorithms } = await readMetadata(issuer, url, signal);
    const { value, maxAge: said } = await fetchDocument(jwksUrl, signal);
    return { jwks: value, algorithms, maxAge: said };
  }
  return new PublishedKeys({ fetchEdition, algorithms: PUBLIC_ALGORITHMS, maxAge });
}

async function readMetadata(issuer: string, url: URL, signal: AbortSignal): Promise<Metadata> {
  const { jwks_uri, id_token_signing_alg_values_supported: offered, issuer: self } = await fetchMetadata(url, signal);
  // OpenID Connect Discovery 1.0, section 4.3; RFC 8414, section 3.3.
  if (self !== issuer) {
    const name = JSON.stringify(self);
    warnOnce(issuer, `discover: ${JSON.stringify(issuer)} calls itself ${name}: write exactly that, if you trust it`);
    throw new Error(`${url.href} calls itself ${name}`);
  }
  const jwksUrl = trustworthyUrl(jwks_uri);
  if (typeof jwksUrl === 'string') throw new Error(`the jwks_uri of ${issuer} ${jwksUrl}`);
  // Our loopback is not the issuer's, unless it is here itself.
  if (jwksUrl.protocol === 'http:' && url.protocol !== 'http:') {
    throw new Error(`the jwks_uri of ${issuer} must begin with https://, as the issuer does`);
  }
  const names = Array.isArray(offered) ? offered.map(algorithmNamed) : PUBLIC_ALGORITHMS;
  // In our own order: what an issuer lists first is no preference.
  const algorithms = PUBLIC_ALGORITHMS.filter((alg) => names.includes(alg));
  return { jwksUrl, algorithms };
}

async function fetchMetadata(url: URL, signal: AbortSignal): Promise<Readonly<Record<string, unknown>>> {
  const path = url.pathname.replace(/\/$/, '');
  try {
    return objectIn(await fetchDocument(new URL(`${url.origin}${path}/.well-known/openid-configuration`), signal));
  } catch (error) {
    if (!(error instanceof UnexpectedStatus) || error.status >= 500) throw error;
    // An OAuth server without OpenID Connect.
    return objectIn(
      await fetchDocument(new URL(`${url.origin}/.well-known/oauth-authorization-server${path}`), signal),
    );
  }
}

function objectIn({ value }: { readonly value: unknown }): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) throw new Error('the metadata is no JSON object');
  return value as Readonly<Record<string, unknown>>;
}

const warned = new Set<string>();

// Clients only see 503: whoever wrote the name must hear of it.
function warnOnce(issuer: string, message: string): void {
  if (warned.has(issuer)) return;
  warned.add(issuer);
  process.emitWarning(message, { code: 'PORTCULLIS_DISCOVERY' });
}
