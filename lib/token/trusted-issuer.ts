import type { Claims } from '../auth.ts';
import { readOptions } from '../options.ts';
import type { TrustedIssuer } from './keys.ts';

/** The names of a trusted issuer's options, for factories that take them among their own. */
export const TRUSTED_ISSUER_OPTIONS = [
  'issuer',
  'audience',
  'keys',
  'types',
  'claims',
  'accepts',
  'idTokens',
] as const satisfies readonly (keyof TrustedIssuer)[];

/**
 * Where a preset keeps its provider's own rule besides `accepts`: what is written beside a spread preset replaces members
 * of that name, but not this. By its registered name it is known to every copy of this package.
 */
export const OWN_RULE = Symbol.for('portcullis.ownRule');

/** A trusted issuer as a preset makes it. */
export interface PresetIssuer extends TrustedIssuer {
  readonly [OWN_RULE]?: (claims: Claims) => boolean;
}

/** The trusted issuer among a factory's options, not yet checked; what is undefined counts as not given. */
export function trustedIssuerIn(options: Partial<PresetIssuer>): PresetIssuer {
  const names: readonly (keyof PresetIssuer)[] = [...TRUSTED_ISSUER_OPTIONS, OWN_RULE];
  const given = names.filter((name) => options[name] !== undefined);
  return Object.fromEntries(given.map((name) => [name, options[name]])) as unknown as PresetIssuer;
}

/** Throws a TypeError in the factory's name that says what to write instead. */
export function checkTrustedIssuer(factory: string, issuer: TrustedIssuer): void {
  const options = readOptions(factory, issuer, TRUSTED_ISSUER_OPTIONS);
  options.text('issuer');
  if (!isNames(issuer.audience))
    options.fail('"audience" must be given: who the tokens must be meant for, a string or several');
  if (typeof (issuer.keys as Partial<TrustedIssuer['keys']> | undefined)?.find !== 'function') {
    options.fail('"keys" must be given: localKeys([{ kid, alg, key }]) or remoteKeys(url, { algorithms })');
  }
  if (issuer.types !== undefined && (typeof issuer.types === 'string' || !isNames(issuer.types))) {
    options.fail(`"types" must be a list of typ headers, such as ['at+jwt']`);
  }
  options.optionalFunction('accepts');
  options.flag('idTokens', false);
  if (issuer.claims !== undefined) checkClaims(factory, issuer.claims);
}

function checkClaims(factory: string, claims: NonNullable<TrustedIssuer['claims']>): void {
  const options = readOptions(`${factory}: "claims"`, claims, ['scopes', 'roles', 'audience']);
  for (const name of ['scopes', 'roles'] as const) {
    if (claims[name] !== undefined && !isNames(claims[name])) {
      options.fail(`"${name}" must be a claim's name, or the path to it as an array of names`);
    }
  }
  if (claims.audience !== undefined) options.text('audience');
}

function isNames(value: unknown): boolean {
  const names: unknown = typeof value === 'string' ? [value] : value;
  return Array.isArray(names) && names.length > 0 && names.every((name) => typeof name === 'string' && name !== '');
}
