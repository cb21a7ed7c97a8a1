import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import * as library from '../lib/index.ts';
import manifest from '../package.json' with { type: 'json' };

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const run = promisify(execFile);

/** A project that has installed the package, as it would be published. */
let project: string;
let packed: string[];

beforeAll(async () => {
  // Its real path: what is resolved in it must not lead back here.
  project = await realpath(await mkdtemp(join(tmpdir(), 'portcullis-package-')));
  packed = await unpackInto(join(project, 'node_modules/portcullis'));
  // The types' own dependencies too, for the test that follows no links.
  const types = (await readdir(join(ROOT, 'node_modules/@types'))).map((name) => `@types/${name}`);
  const { dependencies, peerDependencies } = manifest;
  for (const name of new Set([...Object.keys({ ...dependencies, ...peerDependencies }), ...types, 'undici-types']))
    await link(name);
}, 60_000);

afterAll(() => rm(project, { recursive: true, force: true }));

test('the package holds what is compiled, what is read, and nothing else', () => {
  const allowed = /^(dist\/.*\.(js|d\.ts)|docs\/.*|package\.json|README\.md|CHANGELOG\.md|LICENSE)$/;
  expect(packed.filter((file) => !allowed.test(file))).toEqual([]);
  expect(packed).toEqual(expect.arrayContaining(['dist/index.js', 'dist/index.d.ts', 'LICENSE', 'CHANGELOG.md']));
});

test.each([
  ['import', 'mjs', `import * as library from 'portcullis';`],
  ['require', 'cjs', `const library = require('portcullis');`],
])('%s gives what lib/index.ts exports', async (_how, extension, line) => {
  const file = join(project, `names.${extension}`);
  await writeFile(file, `${line}\nconsole.log(JSON.stringify(Object.keys(library)));\n`);
  const { stdout } = await run(process.execPath, ['--no-warnings', file], { cwd: project });
  expect(JSON.parse(stdout).filter(isNoMarker).sort()).toEqual(Object.keys(library).sort());
});

/** Node's `require` of a module, where it has a default export or was asked to, marks it so. */
const isNoMarker = (name: string) => name !== '__esModule' && name !== 'module.exports';

const CONSUMER = `
import express, { type RequestHandler } from 'express';
import { AuthError, type Auth, getAuth, type Middleware } from 'portcullis';

declare module 'portcullis' {
  interface Claims {
    tenant: string;
  }
}

declare const middleware: Middleware;
const handler: RequestHandler = (req, res) => {
  const auth: Auth | undefined = req.auth;
  const tenant: string = getAuth(req).claims.tenant;
  // @ts-expect-error: not before somebody is known
  req.auth.subject;
  res.json({ tenant, subject: auth?.subject });
};
const app = express().use(middleware).get('/:id', middleware, handler);
app.get('/:id', middleware, (req, res) => void res.send(req.params.id.toUpperCase()));
export const isRefusal = (error: unknown) => error instanceof AuthError && error.status === 401;
`;

test.each([
  ['an ES module', 'consumer.mts', { module: 'nodenext' }],
  ['an ES module, as Node 16 knew it', 'consumer.mts', { module: 'node16' }],
  ['a CommonJS module', 'consumer.cts', { module: 'nodenext' }],
  ['a CommonJS module for a bundler', 'consumer.ts', { module: 'commonjs', moduleResolution: 'bundler' }],
])('%s compiles against its declarations, library checks included', async (_what, file, options) => {
  expect(await complaints(file, options)).toBe('');
});

test('it compiles with the types of Express 4, where those are what the project has', async () => {
  await rm(join(project, 'node_modules/@types/express'));
  await link('@types/express', '@types/express4');
  try {
    // Paths as seen, not as linked: so express-session's own import of express finds those of the project too.
    expect(await complaints('consumer.mts', { module: 'nodenext', preserveSymlinks: true })).toBe('');
  } finally {
    await rm(join(project, 'node_modules/@types/express'));
    await link('@types/express');
  }
});

async function unpackInto(folder: string): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  // npm builds dist before it packs (`prepare`).
  await run('npm', ['pack', '--pack-destination', project], { cwd: ROOT });
  const tarball = (await readdir(project)).find((file) => file.endsWith('.tgz')) as string;
  await run('tar', ['-xzf', join(project, tarball), '-C', folder, '--strip-components=1']);
  const files = await readdir(folder, { recursive: true, withFileTypes: true });
  return files.filter((file) => file.isFile()).map((file) => join(file.parentPath, file.name).slice(folder.length + 1));
}

/** Puts a package of ours into the project, with no network. */
async function link(name: string, source = name): Promise<void> {
  const target = join(project, 'node_modules', name);
  await mkdir(dirname(target), { recursive: true });
  await symlink(join(ROOT, 'node_modules', source), target, 'dir');
}

/** What tsc has to say of the consumer. */
async function complaints(file: string, options: object): Promise<string> {
  const compilerOptions = {
    ...{ target: 'es2023', strict: true, exactOptionalPropertyTypes: true, types: ['node'] },
    ...{ noEmit: true, skipLibCheck: false, ...options },
  };
  await writeFile(join(project, file), CONSUMER);
  await writeFile(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: [file] }));
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
  return run(process.execPath, [tsc, '-p', project]).then(
    () => '',
    (error) => error.stdout,
  );
}
