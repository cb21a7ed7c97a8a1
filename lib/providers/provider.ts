import type { Claims } from '../auth.ts';
import type { Reading, TrustedIssuer, VerificationKeys } from '../token/keys.ts';
import { issuerUrl } from '../token/remote-document.ts';
import { checkTrustedIssuer, OWN_RULE, type PresetIssuer } from '../token/trusted-issuer.ts';

/** What a preset knows of its provider, before its user adds to it. */
export interface Provider {
  readonly issuer: string;
  readonly audience: string | readonly string[];
  readonly keys: VerificationKeys;
  /** Where scopes, roles and the audience stand. */
  readonly claims?: TrustedIssuer['claims'];
  /** The provider's own trap, which no general rule catches. */
  readonly accepts?: (claims: Claims) => boolean;
  /** Where the credential is an ID token. */
  readonly idTokens?: boolean;
}

/** The options that every preset takes. */
export const READING = ['claims', 'accepts', 'types', 'idTokens'] as const satisfies readonly (keyof Reading)[];

/**
 * Lays what the user says over what the preset knows: `claims` one by one, `types` whole; both `accepts` must agree. The
 * provider's own is in `accepts`, for whoever takes the issuer's members one by one, and where no spread can replace it.
 */
export function trust(factory: string, { accepts: own, ...provider }: Provider, reading: Reading): TrustedIssuer {
  const { accepts, types, idTokens } = reading;
  const trusted: TrustedIssuer = {
    ...provider,
    claims: { ...provider.claims, ...reading.claims },
    ...(types === undefined ? {} : { types }),
    ...(accepts === undefined ? {} : { accepts }),
    ...(idTokens === undefined ? {} : { idTokens }),
  };
  checkTrustedIssuer(factory, trusted);
  if (own === undefined) return trusted;
  const preset: PresetIssuer = {
    ...trusted,
    // What the user's gives goes through as it is: whoever judges it warns of a promise.
    accepts: (claims) => own(claims) === true && (accepts === undefined || accepts(claims)),
    [OWN_RULE]: own,
  };
  return preset;
}

/** A host name alone, such as `tenant.eu.auth0.com`: what stands around it is the preset's affair. */
export function hostOf(name: string, value: unknown, fail: (complaint: string) => never): string {
  if (typeof value === 'string' && /^[a-z0-9-]+(?:\.[a-z0-9-]+)+(?::\d+)?$/i.test(value)) return value.toLowerCase();
  const empty = (value ?? '') === '';
  const complaint = empty ? 'and is empty: is its environment variable set?' : 'without https:// and path';
  return fail(`"${name}" must be the domain alone, such as 'tenant.example.com', ${complaint}`);
}

/** A URL without a slash at its end, as the preset goes on from it; `example` is one of this provider. */
export function baseOf(name: string, value: unknown, example: string, fail: (complaint: string) => never): string {
  const url = issuerUrl(value, example);
  if (typeof url === 'string') return fail(`"${name}" ${url}`);
  return url.href.replace(/[?#].*$/, '').replace(/\/+$/, '');
}
