import { expect, test } from 'vitest';
import type { TrustedIssuer } from '../../lib/token/keys.ts';
import { localKeys } from '../../lib/token/local-keys.ts';
import { checkTrustedIssuer } from '../../lib/token/trusted-issuer.ts';
import { keyFor } from './key-material.ts';

const good: TrustedIssuer = {
  issuer: 'https://i.example',
  audience: 'api',
  keys: localKeys([{ kid: 'a', alg: 'HS256', key: keyFor('HS256') }]),
};
const check = (members: object) => () => checkTrustedIssuer('jwtAuth', { ...good, ...members } as TrustedIssuer);

test.each([
  {},
  { audience: ['a', 'b'] },
  { types: ['at+jwt', 'JWT'] },
  { claims: {} },
  { claims: { scopes: 'scp', roles: ['realm_access', 'roles'], audience: 'client_id' } },
  { accepts: () => true },
  { idTokens: true },
  { keys: { find: () => undefined } },
])('good: %j', (members) => {
  expect(check(members)).not.toThrow();
});

test.each([
  [{ audiance: 'api' }, 'jwtAuth: unknown option "audiance", did you mean "audience"?'],
  [{ issuer: undefined }, 'jwtAuth: "issuer" must be given, as a string'],
  [{ issuer: '' }, '"issuer" must be given'],
  [{ issuer: 1 }, '"issuer" must be given'],
  [{ audience: undefined }, 'jwtAuth: "audience" must be given: who the tokens must be meant for'],
  [{ audience: '' }, '"audience" must be given'],
  [{ audience: [] }, '"audience" must be given'],
  [{ audience: ['api', ''] }, '"audience" must be given'],
  [{ audience: /api/ }, '"audience" must be given'],
  [{ keys: undefined }, 'jwtAuth: "keys" must be given: localKeys('],
  [{ keys: 'secret' }, '"keys" must be given'],
  [{ keys: {} }, '"keys" must be given'],
  [{ types: [] }, `"types" must be a list of typ headers, such as ['at+jwt']`],
  [{ types: 'at+jwt' }, '"types" must be a list'],
  [{ types: [''] }, '"types" must be a list'],
  [{ accepts: true }, '"accepts" must be a function'],
  [{ idTokens: 'yes' }, 'jwtAuth: "idTokens" must be true or false'],
  [{ claims: { role: 'x' } }, 'unknown option "role", did you mean "roles"?'],
  [{ claims: { roles: [] } }, '"roles" must be a claim'],
  [{ claims: { scopes: 5 } }, '"scopes" must be a claim'],
  [{ claims: { scopes: ['a', ''] } }, '"scopes" must be a claim'],
  [{ claims: { audience: '' } }, '"audience" must be given, as a string'],
  [{ claims: 'roles' }, 'takes an object'],
])('T02, T22: %j is refused', (members, complaint) => {
  expect(check(members)).toThrow(TypeError);
  expect(check(members)).toThrow(complaint);
});

test('what is no object at all is refused', () => {
  for (const value of [undefined, null, 'https://i.example']) {
    expect(() => checkTrustedIssuer('jwtAuth', value as never)).toThrow('jwtAuth: takes an object of options');
  }
});
