import { readOptions } from '../options.ts';
import type { Reading, TrustedIssuer } from '../token/keys.ts';
import { remoteKeys } from '../token/remote-keys.ts';
import { READING, trust } from './provider.ts';

export interface CognitoOptions extends Reading {
  /** `eu-central-1` */
  readonly region: string;
  /** `eu-central-1_AbCdEfGhI` */
  readonly userPoolId: string;
  /** The app clients whose tokens are taken. */
  readonly clientId: string | readonly string[];
}

/**
 * Access tokens of an Amazon Cognito user pool. Groups are roles.
 *
 * Facts: Amazon Cognito Developer Guide, "Understanding the access token" and "Verifying JSON web tokens".
 */
export function cognito(options: CognitoOptions): TrustedIssuer {
  const reader = readOptions('cognito', options, ['region', 'userPoolId', 'clientId', ...READING]);
  const region = reader.text('region');
  const pool = reader.text('userPoolId');
  if (!/^[a-z0-9-]+$/.test(region)) reader.fail(`"region" must be a region of AWS, such as 'eu-central-1'`);
  if (!/^[\w-]+$/.test(pool)) reader.fail(`"userPoolId" must be the pool's id, such as 'eu-central-1_AbCdEfGhI'`);
  if (options.clientId === undefined) reader.fail('"clientId" must be given: the app clients whose tokens are taken');
  const host = `cognito-idp.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`;
  const issuer = `https://${host}/${pool}`;
  const keys = remoteKeys(`${issuer}/.well-known/jwks.json`, { algorithms: ['RS256'] });
  return trust(
    'cognito',
    {
      issuer,
      keys,
      // The trap: an access token has no `aud`; and an ID token, which has, is told from it by `token_use` alone.
      audience: options.clientId,
      claims: { audience: 'client_id', scopes: 'scope', roles: 'cognito:groups' },
      accepts: (claims) => claims.token_use === 'access',
    },
    options,
  );
}
