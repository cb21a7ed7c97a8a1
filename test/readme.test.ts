import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { localKeys, tokenIssuer } from 'portcullis';
import request from 'supertest';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import WebSocket from 'ws';
import { freePort } from './support/free-port.ts';
import { endWithUs } from './support/last-will.ts';
import { type RedisServer, startRedis } from './support/redis-server.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const README = readFileSync(join(ROOT, 'README.md'), 'utf8');

const programs = new Map(
  [...README.matchAll(/^```(?:ts|js)\n\/\/ (\S+)\n([\s\S]*?)^```/gm)].map(([, name = '', text = '']) => [name, text]),
);

/** The programs that serve. */
const STARTED = [
  'session.ts',
  'jwt.ts',
  'hybrid.ts',
  'stacked.ts',
  'start.ts',
  'websocket.ts',
  'exchange.ts',
  'rotation.ts',
];

test('each program in the README has a name, and a test that runs it', () => {
  expect(README.match(/^```(?:ts|js|typescript|javascript)\b/gm)).toHaveLength(programs.size);
  expect([...programs.keys()].sort()).toEqual([...STARTED, 'ban.ts', 'store.ts'].sort());
});

test.each(['session.ts', 'jwt.ts', 'hybrid.ts'])('the quick start %s has at most 15 lines', (name) => {
  const lines = programs
    .get(name)
    ?.split('\n')
    .filter((line) => line.trim() !== '');
  expect(lines?.length).toBeLessThanOrEqual(15);
});

describe('the programs of the README, as they stand', () => {
  const STRANGER = { name: 'ann', password: 'wrong' };
  const ANN = { name: 'ann', password: 'right' };
  const USERS = `
    import type { Identity } from 'portcullis';
    export async function identityOf({ name, password }: { name: string; password: string }): Promise<Identity> {
      if (password !== 'right') throw Object.assign(new Error('no such user'), { status: 401 });
      return { subject: name, scopes: ['notes:read'] };
    }`;
  const pem = () => generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const secrets = {
    SECRET: randomBytes(32).toString('base64url'),
    OLD_SECRET: randomBytes(32).toString('base64url'),
    SIGNING_KEY: pem(),
    NEXT_KEY: pem(),
  };

  let redis: RedisServer;
  let folder: string;
  const running: ChildProcess[] = [];

  beforeAll(async () => {
    redis = await startRedis();
    // In the project, so that its packages are found.
    await mkdir(join(ROOT, 'build'), { recursive: true });
    folder = await mkdtemp(join(ROOT, 'build', 'readme-'));
    for (const [name, text] of [...programs, ['users.ts', USERS] as const]) await writeFile(join(folder, name), text);
    await writeFile(
      join(folder, 'tsconfig.json'),
      JSON.stringify({ extends: '../../test/tsconfig.json', include: ['*'] }),
    );
  });
  afterEach(async () => {
    for (const child of running.splice(0)) await end(child, 'SIGKILL');
  });
  afterAll(async () => {
    await rm(folder, { recursive: true });
    await redis.stop();
  });

  test('they compile', async () => {
    const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
    const complaints = await promisify(execFile)(process.execPath, [tsc, '-p', folder]).catch(({ stdout }) => stdout);
    expect(complaints).toMatchObject({ stdout: '' });
  });

  test('session.ts: log in, be known, log out', async () => {
    const { url } = await start('session.ts');
    await viaProxy(request(url).post('/login').send(STRANGER)).expect(401);
    const { headers } = await viaProxy(request(url).post('/login').send(ANN)).expect(200);
    const cookie = cookiesOf(headers);
    expect(cookie).toMatch(/^__Host-sid=/);
    const { body } = await request(url).get('/me').set('Cookie', cookie).expect(200);
    expect(body).toMatchObject({ mode: 'session', subject: 'ann' });
    await viaProxy(request(url).post('/logout').set('Cookie', cookie)).expect(204);
    await request(url).get('/me').set('Cookie', cookie).expect(401);
  });

  test('jwt.ts: a bearer is known, needs its scope, and can be taken back', async () => {
    const { url } = await start('jwt.ts');
    const token = bearer(['notes:read']);
    await request(url).get('/notes').expect(401);
    await request(url).get('/notes').set('Authorization', bearer([])).expect(403);
    await request(url).get('/notes').set('Authorization', token).expect(200);
    await request(url).post('/revoke').set('Authorization', token).expect(204);
    await request(url).get('/notes').set('Authorization', token).expect(401);
  });

  test('hybrid.ts: log in, refresh, log out', async () => {
    const { url } = await start('hybrid.ts');
    const { headers } = await viaProxy(request(url).post('/login').send(ANN)).expect(200);
    const cookies = cookiesOf(headers);
    expect((await request(url).get('/me').set('Cookie', cookies)).body).toMatchObject({
      mode: 'hybrid',
      subject: 'ann',
    });
    const refreshed = await viaProxy(request(url).post('/refresh').set('Cookie', cookies)).expect(200);
    const next = cookiesOf(refreshed.headers);
    expect(next).not.toBe(cookies);
    await viaProxy(request(url).post('/logout').set('Cookie', next)).expect(204);
    await request(url).get('/me').set('Cookie', next).expect(401);
  });

  test('stacked.ts: cookie or bearer, and one route for a session only', async () => {
    const { url } = await start('stacked.ts');
    const cookie = cookiesOf((await viaProxy(request(url).post('/login').send(ANN)).expect(200)).headers);
    await request(url).get('/me').expect(401);
    expect((await request(url).get('/me').set('Cookie', cookie)).body.mode).toBe('session');
    const both = request(url).get('/me').set('Cookie', cookie).set('Authorization', bearer([]));
    expect((await both).body.mode).toBe('jwt');
    await request(url).get('/me').set('Cookie', cookie).set('Authorization', 'Bearer x.y.z').expect(401);
    await request(url).get('/keys').set('Cookie', cookie).expect(200);
    await request(url).get('/keys').set('Authorization', bearer([])).expect(401);
  });

  test('start.ts: serves once revocations are known, and stops when asked to', async () => {
    const { url, child } = await start('start.ts');
    const { body } = await request(url).get('/health').expect(200);
    expect(body.fresh).toBe(true);
    expect(await end(child, 'SIGTERM')).toBe(0);
  });

  test('websocket.ts: opens for a session, and closes when it ends', async () => {
    const [{ url }, sessions] = await Promise.all([start('websocket.ts'), start('session.ts')]);
    const cookie = cookiesOf((await viaProxy(request(sessions.url).post('/login').send(ANN)).expect(200)).headers);
    const open = (headers: Record<string, string>) => new WebSocket(url.replace('http', 'ws'), { headers });
    await expect(once(open({}), 'open')).rejects.toThrow('401');
    await expect(once(open({ Cookie: cookie, Origin: 'https://evil.example' }), 'open')).rejects.toThrow('401');

    const socket = open({ Cookie: cookie, Origin: 'https://app.example' });
    await once(socket, 'open');
    const closed = once(socket, 'close');
    await viaProxy(request(sessions.url).post('/logout').set('Cookie', cookie)).expect(204);
    const [code] = await closed;
    expect(code).toBe(4401);
  });

  test('ban.ts: a process without HTTP ends all that a user has', async () => {
    const { url } = await start('session.ts');
    const [ann, bob] = await Promise.all(
      ['ann', 'bob'].map(async (name) => {
        const answer = await viaProxy(
          request(url)
            .post('/login')
            .send({ ...ANN, name }),
        ).expect(200);
        return cookiesOf(answer.headers);
      }),
    );
    const ban = run('ban.ts', ['ann']);
    const [code] = await once(ban, 'exit');
    expect(code).toBe(0);
    await request(url)
      .get('/me')
      .set('Cookie', ann as string)
      .expect(401);
    await request(url)
      .get('/me')
      .set('Cookie', bob as string)
      .expect(200);
  });

  test('exchange.ts: a session gives a token, which jwt.ts takes', async () => {
    const [{ url }, jwt] = await Promise.all([start('exchange.ts'), start('jwt.ts')]);
    const cookie = cookiesOf((await viaProxy(request(url).post('/login').send(ANN)).expect(200)).headers);
    await viaProxy(request(url).post('/token')).expect(401);
    const { body } = await viaProxy(request(url).post('/token').set('Cookie', cookie)).expect(200);
    const asked = request(jwt.url).get('/notes').set('Authorization', `Bearer ${body.access_token}`);
    expect((await asked.expect(200)).body).toMatchObject({ subject: 'ann', authenticatedAt: expect.any(String) });
  });

  test('rotation.ts: an old cookie is known, and signed anew; both keys are published', async () => {
    const before = await start('session.ts', { SECRET: secrets.OLD_SECRET });
    const old = cookiesOf((await viaProxy(request(before.url).post('/login').send(ANN)).expect(200)).headers);
    const { url } = await start('rotation.ts');
    const { body, headers } = await viaProxy(request(url).get('/').set('Cookie', old)).expect(200);
    expect(body).toEqual({ subject: 'ann' });
    const after = await start('session.ts');
    await request(after.url).get('/me').set('Cookie', old).expect(401);
    await request(after.url).get('/me').set('Cookie', cookiesOf(headers)).expect(200);
    const { body: jwks } = await request(url).get('/.well-known/jwks.json').expect(200);
    expect(jwks.keys.map(({ kid }: { kid: string }) => kid)).toEqual(['2026-01', '2026-02']);
  });

  function run(name: string, args: readonly string[] = [], env: Readonly<Record<string, string>> = {}): ChildProcess {
    const child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), join(folder, name), ...args], {
      env: {
        ...process.env,
        ...secrets,
        REDIS_URL: redis.url,
        TSX_TSCONFIG_PATH: join(ROOT, 'test/tsconfig.json'),
        ...env,
      },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    running.push(child);
    child.once('exit', endWithUs(child.pid as number));
    return child;
  }

  async function start(name: string, env: Readonly<Record<string, string>> = {}) {
    const port = await freePort();
    const child = run(name, [], { PORT: String(port), ...env });
    while (!(await listens(port))) {
      if (child.exitCode !== null) throw new Error(`${name} ended (${child.exitCode})`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return { child, url: `http://127.0.0.1:${port}` };
  }

  function bearer(scopes: readonly string[]): string {
    const keys = localKeys([{ kid: '2026-01', alg: 'EdDSA', key: secrets.SIGNING_KEY }]);
    const service = { issuer: 'https://id.example', audience: 'https://api.example' };
    return `Bearer ${tokenIssuer({ ...service, keys, lifetime: '5m' })({ subject: 'ann', scopes })}`;
  }
});

/** As a proxy that ends TLS passes a request on. */
function viaProxy(asked: request.Test): request.Test {
  return asked.set('X-Forwarded-Proto', 'https');
}

/** What a browser sends back of the cookies it was sent. */
function cookiesOf(headers: Readonly<Record<string, unknown>>): string {
  return [headers['set-cookie'] ?? []]
    .flat()
    .map((line) => String(line).split(';')[0])
    .join('; ');
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) {
    const exit = once(child, 'exit');
    child.kill(signal);
    await exit;
  }
  return child.exitCode;
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}
