import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createPublicKey, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { localKeys, tokenIssuer } from 'portcullis';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { freePort } from './support/free-port.ts';
import { endWithUs } from './support/last-will.ts';
import { keyFor, pem } from './token/key-material.ts';
import { goodClaims, issuerKey, startKeyServer } from './token/key-server.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const GUIDE = readFileSync(join(ROOT, 'docs/issuers.md'), 'utf8');
const programs = new Map(
  [...GUIDE.matchAll(/^```ts\n\/\/ (\S+)\n([\s\S]*?)^```/gm)].map(([, name = '', text = '']) => [name, text]),
);
const AUDIENCE = 'https://api.shop.example';
const ISSUER = 'https://auth.shop.example';

describe('the programs of docs/issuers.md, as they stand', () => {
  let folder: string;
  beforeAll(async () => {
    // In the project, so that its packages are found.
    await mkdir(join(ROOT, 'build'), { recursive: true });
    folder = await mkdtemp(join(ROOT, 'build', 'issuers-'));
    for (const [name, text] of programs) await writeFile(join(folder, name), text);
    const tsconfig = { extends: '../../test/tsconfig.json', include: ['*'] };
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(tsconfig));
  });
  afterAll(() => rm(folder, { recursive: true }));

  test('each has a name, and a test below', () => {
    expect(GUIDE.match(/^```/gm)).toHaveLength(2 * programs.size);
    const tested = ['presets.ts', 'discovery.ts', 'remote-keys.ts', 'verify-only.ts', 'introspection.ts'];
    expect([...programs.keys()]).toEqual(tested);
  });

  test('they compile', async () => {
    const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
    const complaints = await promisify(execFile)(process.execPath, [tsc, '-p', folder]).catch(({ stdout }) => stdout);
    expect(complaints).toMatchObject({ stdout: '' });
  });

  test('presets.ts starts, asks nobody, and refuses strangers', async () => {
    const url = await start('presets.ts', { SUPABASE_JWT_SECRET: randomBytes(40).toString('base64') });
    expect(await status(url, '/me')).toBe(401);
    expect(await status(url, '/me', issuerKey('x').sign(goodClaims({ iss: 'https://other.example' })))).toBe(401);
  });

  test('discovery.ts finds the keys of an issuer that comes up later', async () => {
    const a = issuerKey('a');
    const keyServer = await startKeyServer(a);
    onTestFinished(() => keyServer.close());
    keyServer.fault = (_req, res) => void res.writeHead(502).end();
    const url = await start('discovery.ts', { ISSUER: keyServer.url });
    const token = a.sign(goodClaims({ iss: keyServer.url, aud: AUDIENCE }));
    expect(await status(url, '/me', token)).toBe(503);
    keyServer.documents.set('/.well-known/openid-configuration', {
      issuer: keyServer.url,
      jwks_uri: `${keyServer.url}/keys`,
    });
    keyServer.fault = undefined;
    while ((await status(url, '/me', token)) !== 200) await sleep(50);
  });

  test('remote-keys.ts takes the tokens of the keys there', async () => {
    const a = issuerKey('a');
    const keyServer = await startKeyServer(a);
    onTestFinished(() => keyServer.close());
    const url = await start('remote-keys.ts', { JWKS_URL: keyServer.url });
    expect(await status(url, '/me', a.sign(goodClaims({ iss: ISSUER, aud: AUDIENCE })))).toBe(200);
    expect(await status(url, '/me', issuerKey('b').sign(goodClaims({ iss: ISSUER, aud: AUDIENCE })))).toBe(401);
  });

  test('verify-only.ts verifies by a public key', async () => {
    const key = keyFor('EdDSA');
    const url = await start('verify-only.ts', { PUBLIC_KEY: pem(createPublicKey(key)) });
    expect(await status(url, '/me', issuerOf(key)({ subject: 'ann' }))).toBe(200);
    expect(await status(url, '/me', issuerOf(keyFor('EdDSA'))({ subject: 'ann' }))).toBe(401);
  });

  test('introspection.ts tells who may ask, and takes back', async () => {
    const key = keyFor('EdDSA');
    const url = await start('introspection.ts', { SIGNING_KEY: pem(key), SECRET: randomBytes(32).toString('hex') });
    const login = (await (await fetch(`${url}/login`, { method: 'POST' })).json()) as Record<string, string>;
    const service = issuerOf(key)({ subject: 'orders', scopes: ['introspect'] });
    const ask = (token = '', bearer = service) =>
      fetch(`${url}/introspect`, {
        method: 'POST',
        headers: { Authorization: `Bearer ${bearer}` },
        body: new URLSearchParams({ token }),
      });
    expect(await (await ask(login.access_token)).json()).toMatchObject({
      active: true,
      kind: 'access_token',
      sub: 'ann',
    });
    expect(await (await ask(login.refresh_token)).json()).toMatchObject({ active: true, kind: 'refresh_token' });
    expect((await ask(login.access_token, login.access_token)).status).toBe(401);
    const body = new URLSearchParams({ token: login.refresh_token as string });
    expect((await fetch(`${url}/revoke`, { method: 'POST', body })).status).toBe(200);
    expect(await (await ask(login.access_token)).json()).toEqual({ active: false });
  });

  function issuerOf(key: ReturnType<typeof keyFor>) {
    const keys = localKeys([{ kid: 'k1', alg: 'EdDSA', key }]);
    return tokenIssuer({ keys, issuer: ISSUER, audience: AUDIENCE, lifetime: '1m' });
  }

  /** Runs a program as its reader would, on a free port, until the test is over. */
  async function start(name: string, env: Readonly<Record<string, string>>): Promise<string> {
    const port = await freePort();
    const child: ChildProcess = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), join(folder, name)], {
      env: { ...process.env, TSX_TSCONFIG_PATH: join(ROOT, 'test/tsconfig.json'), PORT: String(port), ...env },
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    const callOff = endWithUs(child.pid as number);
    onTestFinished(async () => {
      callOff();
      if (child.exitCode !== null) return;
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    });
    const url = `http://127.0.0.1:${port}`;
    while ((await fetch(url).catch(() => undefined)) === undefined) {
      if (child.exitCode !== null) throw new Error(`${name} ended (${child.exitCode})`);
      await sleep(50);
    }
    return url;
  }
});

async function status(url: string, path: string, token?: string): Promise<number> {
  const headers: Record<string, string> = token === undefined ? {} : { Authorization: `Bearer ${token}` };
  return (await fetch(url + path, { headers })).status;
}
