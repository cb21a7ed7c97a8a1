import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

/** The house, from the roof down. Between bars stand rooms; a room imports what lies below it, never its neighbours. */
const HOUSE = `
  index.ts
  session-auth.ts | jwt-auth.ts | hybrid-auth.ts hybrid/ | token-issuer.ts | stores.ts
  guards.ts | access-tokens.ts | mode-options.ts | routes/ | store/
  request/ | token/ | login/ | session/ | providers/
  auth.ts errors.ts options.ts secrets.ts guessable-secrets.ts disguised-keys.ts audit.ts eventually.ts store/ports.ts
`;

/** Neighbours that are known all the same. */
const KNOWS: Readonly<Record<string, readonly string[]>> = {
  'providers/': ['token/'],
  'session/': ['login/', 'request/'],
};

/** The adapters of a store know their contract and nothing else of the house. */
const KNOWS_THE_GROUND_ONLY = ['store/'];

/** Where each external package lives, so that replacing it is a change to one place. */
const HOMES: Readonly<Record<string, RegExp>> = {
  jsonwebtoken: /^token\/jws\.ts$/,
  'express-session': /^(session-auth\.ts|login\/session-data\.ts|session\/.*)$/,
  'connect-redis': /^store\/redis.*\.ts$/,
  redis: /^store\/redis.*\.ts$/,
  'cookie-parser': /^request\/cookie.*\.ts$/,
  express: /^routes\/login-routes\.ts$/,
};

/** Their types are named all over the public surface. */
const TYPES_ARE_FREE = ['express', 'express-session'];

const NAMES_THAT_SAY_NOTHING = /(^|[/-])(utils?|helpers?|managers?|services?)([-./]|$)/i;
const LONGEST = 400;

test('every file of lib stands in a layer and imports only downward; each external package has its one home', () => {
  expect(complaints(sourcesOf(fileURLToPath(new URL('../lib', import.meta.url))))).toEqual([]);
});

test.each([
  [
    'a neighbour',
    'token/claims.ts',
    `import { bearer } from '../request/bearer.ts';`,
    'may not import request/bearer.ts',
  ],
  ['a neighbour, for its types', 'login/x.ts', `import type { A } from '../token/a.ts';`, 'may not import token/a.ts'],
  [
    'another mode',
    'jwt-auth.ts',
    `import {\n  a,\n  b,\n} from './session-auth.ts';`,
    'may not import session-auth.ts',
  ],
  ['what is above', 'errors.ts', `export * from './guards.ts';`, 'may not import guards.ts'],
  ['what is above, later', 'errors.ts', `const a = await import('./guards.ts');`, 'may not import guards.ts'],
  ['more than its contract, in a store', 'store/redis.ts', `import '../login/a.ts';`, 'may not import login/a.ts'],
  ['a package away from its home', 'jwt-auth.ts', `import jwt from 'jsonwebtoken';`, 'may not import jsonwebtoken'],
  ['a part of such a package', 'guards.ts', `import x from 'redis/client';`, 'may not import redis'],
  [
    'express at run time, which an inline type still does,',
    'guards.ts',
    `import { type Router } from 'express';`,
    'may not import express',
  ],
  ['a package without a home', 'token/jws.ts', `import _ from 'lodash';`, 'may not import lodash'],
  ['a room nobody listed', 'guards.ts', `import { a } from './cellar/a.ts';`, 'may not import cellar/a.ts'],
])('importing %s is found', (_what, file, source, complaint) => {
  expect(complaints({ [file]: source })).toEqual([`${file} ${complaint}`]);
});

test.each([
  ['hybrid-auth.ts', `import { rotate } from './login/rotation.ts';`],
  ['providers/auth0.ts', `import { remoteKeys } from '../token/remote-keys.ts';`],
  ['session/attached.ts', `import { rows } from '../login/session-data.ts';\nimport session from 'express-session';`],
  [
    'store/memory.ts',
    `import type { LoginStore } from './ports.ts';\nimport { StoreUnavailable } from '../errors.ts';`,
  ],
  ['guards.ts', `import type { Request } from 'express';\nimport type { Store } from 'express-session';`],
  ['token/jws.ts', `import jwt from 'jsonwebtoken';\nimport { sign } from 'node:crypto';`],
])('%s may: %s', (file, source) => {
  expect(complaints({ [file]: source })).toEqual([]);
});

test('a file in no layer, with a name that says nothing, or too long, is found', () => {
  expect(complaints({ 'cellar/a.ts': '' })).toEqual(['cellar/a.ts stands in no layer']);
  expect(complaints({ 'token/claim-utils.ts': '' })).toEqual(['token/claim-utils.ts has a name that says nothing']);
  expect(complaints({ 'token/a.ts': '\n'.repeat(400) })).toEqual(['token/a.ts has 401 lines, at most 400']);
});

type Sources = Readonly<Record<string, string>>;
type Import = { readonly from: string; readonly typesOnly: boolean };

const floors = HOUSE.trim()
  .split('\n')
  .map((floor) => floor.split('|').map((room) => room.trim().split(' ')));

function complaints(sources: Sources): string[] {
  return Object.entries(sources).flatMap(([file, source]) => {
    const lines = source.split('\n').length;
    return [
      ...(placeOf(file) === undefined ? [`${file} stands in no layer`] : forbiddenImports(file, source)),
      ...(NAMES_THAT_SAY_NOTHING.test(file) ? [`${file} has a name that says nothing`] : []),
      ...(lines > LONGEST ? [`${file} has ${lines} lines, at most ${LONGEST}`] : []),
    ];
  });
}

function forbiddenImports(file: string, source: string): string[] {
  return importsOf(source).flatMap((each) => {
    if (each.from.startsWith('node:')) return [];
    const relative = each.from.startsWith('.');
    const target = relative ? normalize(join(dirname(file), each.from)) : packageOf(each.from);
    const allowed = relative ? mayKnow(file, target) : mayUse(file, target, each.typesOnly);
    return allowed ? [] : [`${file} may not import ${target}`];
  });
}

function mayKnow(file: string, target: string): boolean {
  const from = placeOf(file);
  const to = placeOf(target);
  if (from === undefined || to === undefined) return false;
  if (from.room === to.room) return true;
  if (KNOWS_THE_GROUND_ONLY.some((room) => from.room.includes(room))) return to.floor === floors.length - 1;
  const known = from.room.flatMap((name) => KNOWS[name] ?? []);
  return from.floor < to.floor || to.room.some((name) => known.includes(name));
}

function mayUse(file: string, name: string, typesOnly: boolean): boolean {
  return (typesOnly && TYPES_ARE_FREE.includes(name)) || HOMES[name]?.test(file) === true;
}

/** A file listed by its own name stands there, though its folder stand elsewhere. */
function placeOf(file: string): { floor: number; room: readonly string[] } | undefined {
  for (const name of [file, `${file.split('/')[0]}/`]) {
    const floor = floors.findIndex((rooms) => rooms.flat().includes(name));
    const room = floors[floor]?.find((names) => names.includes(name));
    if (room !== undefined) return { floor, room };
  }
  return undefined;
}

/** Only `import type` leaves nothing behind: of `import { type A }` an import without names remains. */
function importsOf(source: string): Import[] {
  const statements = source.matchAll(/^\s*(?:import|export)\b([^'";]*?\bfrom\s+|\s+)['"]([^'"]+)['"]/gm);
  const calls = source.matchAll(/\bimport\(\s*['"]([^'"]+)['"]\s*\)/g);
  return [
    ...[...statements].map(([, what = '', from = '']) => ({ from, typesOnly: /^\s+type\b/.test(what) })),
    ...[...calls].map(([, from = '']) => ({ from, typesOnly: false })),
  ];
}

function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

function sourcesOf(folder: string): Sources {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  return Object.fromEntries(files.map((file) => [file, readFileSync(join(folder, file), 'utf8')]));
}
