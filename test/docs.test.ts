import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import express from 'express';
import {
  authErrorHandler,
  hybridAuth,
  jwtAuth,
  type LoginMode,
  type LoginModeOptions,
  localKeys,
  memoryStore,
  redisStore,
  requireAuth,
  sessionAuth,
  tokenIssuer,
} from 'portcullis';
import request from 'supertest';
import { describe, expect, test } from 'vitest';
import { startRedis } from './support/redis-server.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const README = readFileSync(join(ROOT, 'README.md'), 'utf8');

describe('the tables of options', () => {
  const keys = localKeys([{ kid: 'a', alg: 'HS256', key: randomBytes(32) }]);
  const strange = { zzzzzzzzzzzzzzzzzzzz: 1 } as never;

  /** What a factory says it knows, when it is given an option that is none. */
  function accepted(make: () => unknown): string[] {
    try {
      make();
    } catch (error) {
      const [, known] = /unknown option "z+"; known are (.+)$/.exec((error as Error).message) ?? [];
      if (known !== undefined) return known.split(', ').sort();
      throw error;
    }
    throw new Error('it took an option that is none');
  }

  const shared = 'sessionAuth and hybridAuth';
  test.each<[factory: string, tables: string[], make: () => unknown]>([
    ['sessionAuth', [shared, 'sessionAuth, besides'], () => sessionAuth(strange)],
    ['hybridAuth', [shared, 'hybridAuth, besides'], () => hybridAuth(strange)],
    ['cookie', ['cookie'], () => sessionAuth({ ...minimal(), cookie: strange })],
    ['jwtAuth', ['jwtAuth'], () => jwtAuth(strange)],
    ['claims', ['claims'], () => jwtAuth({ store: 'none', issuer: 'a', audience: 'b', keys, claims: strange })],
    ['redisStore', ['redisStore(client, …)'], () => redisStore({ sendCommand() {} } as never, strange)],
    ['localKeys', ['localKeys, each key'], () => localKeys([strange])],
    ['tokenIssuer', ['tokenIssuer'], () => tokenIssuer(strange)],
    ['requireAuth', ['requireAuth'], () => requireAuth(strange)],
    ['authErrorHandler', ['authErrorHandler'], () => authErrorHandler(strange)],
  ])('of %s lists exactly the options the code takes', (_factory, tables, make) => {
    expect(
      tables
        .flatMap(optionsIn)
        .map(({ name }) => name)
        .sort(),
    ).toEqual(accepted(make));
  });

  test('they name every default of a duration as the code has it', () => {
    const inCode = new Map<string, string>();
    for (const source of sources()) {
      for (const [, name = '', value = ''] of source.matchAll(/\.duration\('(\w+)', '(\w+)'/g)) inCode.set(name, value);
    }
    // These have none: the second argument stands for what was found to be given.
    for (const none of ['within', 'lifetime']) expect(inCode.delete(none)).toBe(true);
    const inReadme = [...README.matchAll(/^#### (.+)$/gm)]
      .flatMap(([, title = '']) => optionsIn(title))
      .filter(
        ({ name, type, fallback }) => type === 'duration' && fallback !== '' && !['idle', 'absolute'].includes(name),
      )
      .map(({ name, fallback }) => [name, /'(\w+)'/.exec(fallback)?.[1]]);
    expect(new Map(inReadme as [string, string][])).toEqual(inCode);
  });

  test.each([
    ['sessionAuth', '30m', '7d', sessionAuth],
    [
      'hybridAuth',
      '14d',
      '90d',
      (options: LoginModeOptions) =>
        hybridAuth({ ...options, keys, issuer: 'a', audience: 'b', transport: 'body', cookie: undefined as never }),
    ],
  ])('they name the lifetimes of %s as a login has them', async (factory, idle, absolute, make) => {
    const defaults = Object.fromEntries(optionsIn(shared).map(({ name, fallback }) => [name, fallback]));
    expect(defaults.idle).toContain(`\`'${idle}'\` (${factory})`);
    expect(defaults.absolute).toContain(`\`'${absolute}'\` (${factory})`);
    const redis = await startRedis();
    const client = await redis.client();
    const store = redisStore(client);
    const door: LoginMode<unknown> = make({ ...minimal(), store, cookie: { secure: false } });
    const app = express().post(
      '/login',
      async (req, res) => void res.json(await door.login(req, res, { subject: 'a' })),
    );
    await request(app).post('/login').expect(200);
    const [login] = await store.logins('a');
    const created = login?.createdAt.getTime() as number;
    expect(Number(login?.expiresAt) - created).toBe(milliseconds(idle));
    expect(Number(await client.hGet(`portcullis:login:{${login?.sid}}`, 'a')) - created).toBe(milliseconds(absolute));
    await store.close();
    await redis.stop();
  });

  function minimal() {
    return { store: memoryStore(), secret: randomBytes(32).toString('base64url') };
  }
});

test('the table of errors lists exactly the codes there are, as docs/errors.md does', () => {
  const source = readFileSync(join(ROOT, 'lib/errors.ts'), 'utf8');
  const [, union = ''] = /export type AuthErrorCode =([^;]+);/.exec(source) ?? [];
  const codes = [...union.matchAll(/'(\w+)'/g)].map(([, code]) => code).sort();
  expect(codes.length).toBeGreaterThan(5);
  const table = README.split('## Errors')[1]?.split('\n## ')[0] ?? '';
  expect([...table.matchAll(/^\| `(\w+)` \| \d/gm)].map(([, code]) => code).sort()).toEqual(codes);
  const guide = readFileSync(join(ROOT, 'docs/errors.md'), 'utf8');
  expect([...guide.matchAll(/^### `(\w+)` · \d{3}$/gm)].map(([, code]) => code).sort()).toEqual(codes);
});

test('the table of warnings lists exactly the codes that are given', () => {
  const given = (readdirSync(join(ROOT, 'lib'), { recursive: true }) as string[])
    .filter((name) => name.endsWith('.ts'))
    .flatMap((name) => readFileSync(join(ROOT, 'lib', name), 'utf8').match(/'PORTCULLIS_\w+'/g) ?? [])
    .map((quoted) => quoted.slice(1, -1));
  expect(given.length).toBeGreaterThan(3);
  const guide = readFileSync(join(ROOT, 'docs/errors.md'), 'utf8').split('\n## Warnings\n')[1] ?? '';
  expect([...guide.matchAll(/^\| `(PORTCULLIS_\w+)` \|/gm)].map(([, code]) => code).sort()).toEqual(given.sort());
});

test('the table of errors gives each its status', () => {
  const source = readFileSync(join(ROOT, 'lib/errors.ts'), 'utf8');
  const statuses = [...source.matchAll(/code: '(\w+)',\s+status: (\d+)/g)].map(([, code, status]) => [code, status]);
  const table = README.split('## Errors')[1]?.split('\n## ')[0] ?? '';
  const rows = [...table.matchAll(/^\| `(\w+)` \| (\d+)/gm)].map(([, code, status]) => [code, status]);
  expect(rows.sort()).toEqual(statuses.sort());
});

test('every link to a file of the project leads to one', () => {
  for (const file of ['README.md', ...readdirSync(join(ROOT, 'docs')).map((name) => `docs/${name}`)]) {
    const text = readFileSync(join(ROOT, file), 'utf8');
    for (const [, link = ''] of text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)) {
      const target = join(ROOT, file, '..', link);
      expect({ file, link, there: existsSync(target) }).toEqual({ file, link, there: true });
    }
  }
});

interface Row {
  readonly name: string;
  readonly type: string;
  readonly fallback: string;
}

/** The rows of the table under this heading. */
function optionsIn(title: string): Row[] {
  const section = README.split(`\n#### ${title}\n`)[1]?.split('\n#')[0] ?? '';
  const rows = [...section.matchAll(/^\| \**`(\w+)`\** \| (.*?) \| (.*?) ?\| .*\|$/gm)];
  expect({ title, rows: rows.length > 0 }).toEqual({ title, rows: true });
  return rows.map(([, name = '', type = '', fallback = '']) => ({ name, type, fallback }));
}

/** The files that settle the options of these tables. */
function sources(): string[] {
  const files = ['session-auth', 'hybrid-auth', 'jwt-auth', 'stores', 'token-issuer', 'guards'];
  return files.map((file) => readFileSync(join(ROOT, `lib/${file}.ts`), 'utf8'));
}

function milliseconds(duration: string): number {
  const unit = { m: 60_000, d: 86_400_000 }[duration.slice(-1)] as number;
  return Number.parseInt(duration, 10) * unit;
}
