import type { Request } from 'express';
import type { Middleware, Mode } from '../auth.ts';
import { Unauthenticated } from '../errors.ts';
import { readersOf } from '../login/credentials.ts';
import { readOptions } from '../options.ts';
import { formEndpoint, tokenIn } from './form-endpoint.ts';
import { type Introspection, introspectionOf, readFirst } from './introspection.ts';

export interface RevocationOptions {
  /** Whose credentials are known here: what `sessionAuth`, `jwtAuth` and `hybridAuth` gave, each with a store. */
  readonly modes: readonly Mode[];
  /**
   * Whether this caller may end this token, such as only its own client's; only `true` lets it, else it is 401. Asked for
   * a token that is not good too, with `undefined`: whom that does not let learns nothing of any token.
   * @default whoever holds a token may end it, as clients without a secret do
   */
  readonly authorize?: (req: Request, token: Introspection | undefined) => boolean | Promise<boolean>;
}

/**
 * Token revocation (RFC 7009): a POSTed form with `token`. A refresh token, spent or not, ends its login with all its
 * access tokens, a session id its session, an access token itself alone; a token that is not good is no error. It answers
 * 200 once that holds, and 503 if it could not be stored: then it is to be sent again.
 */
export function revocationHandler(options: RevocationOptions): Middleware {
  const reader = readOptions('revocationHandler', options, ['modes', 'authorize']);
  const readers = readersOf('revocationHandler', options.modes);
  const authorize = reader.optionalFunction('authorize');
  if (readers.some(({ revoke }) => revoke === undefined)) {
    reader.fail(`"modes" holds a jwtAuth with store: 'none', whose tokens nobody can take back: give it a store`);
  }
  return formEndpoint('revocation', async (form, req) => {
    const found = await readFirst(readers, tokenIn(form));
    const token = found && introspectionOf(found.credential);
    if (authorize !== undefined && (await authorize(req as Request, token)) !== true) throw new Unauthenticated();
    await found?.reader.revoke?.(found.credential);
    return undefined;
  });
}
