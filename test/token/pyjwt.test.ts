import { spawn, spawnSync } from 'node:child_process';
import { createPublicKey } from 'node:crypto';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Alg } from '../../lib/token/keys.ts';
import { localKeys } from '../../lib/token/local-keys.ts';
import { tokenVerifier } from '../../lib/token/verifier.ts';
import { tokenIssuer } from '../../lib/token-issuer.ts';
import { ALGS, keyFor } from './key-material.ts';
import { goodClaims } from './key-server.ts';

// Debian's own, for which python3-jwt and python3-cryptography are installed.
const PYTHON = '/usr/bin/python3';
const found = spawnSync(PYTHON, ['-c', 'import jwt, cryptography; print(jwt.__version__)'], { encoding: 'utf8' });
const hasPyJwt = found.status === 0;
if (!hasPyJwt) console.log('no PyJWT here: apt-get install python3-jwt python3-cryptography; its tests are skipped');

const ISSUER = 'https://auth.example';
const AUDIENCE = 'https://api.example';

describe.skipIf(!hasPyJwt)('PyJWT', () => {
  let python: ReturnType<typeof spawn>;
  let answers: AsyncIterator<string>;

  beforeAll(() => {
    python = spawn(PYTHON, [fileURLToPath(new URL('pyjwt.py', import.meta.url))], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    answers = createInterface({ input: python.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
  });
  afterAll(() => void python.kill());

  async function ask(question: object): Promise<any> {
    python.stdin?.write(`${JSON.stringify(question)}\n`);
    const { answer, error } = JSON.parse((await answers.next()).value as string);
    if (error !== undefined) throw new Error(error);
    return answer;
  }

  const jwkOf = (alg: Alg, key: ReturnType<typeof keyFor>, half: 'private' | 'public') =>
    (alg.startsWith('HS') || half === 'private' ? key : createPublicKey(key)).export({ format: 'jwk' });

  test.each(ALGS)('verifies our tokens by %s, and refuses them when they are bent', async (alg) => {
    const key = keyFor(alg);
    const keys = localKeys([{ kid: 'k', alg, key }]);
    const issue = tokenIssuer({ keys, issuer: ISSUER, audience: AUDIENCE, lifetime: '5m' });
    const token = issue({ subject: 'ann', scopes: ['read'], claims: { name: 'Änn \u{1f600}' } });
    const question = { alg, jwk: jwkOf(alg, key, 'public'), token, audience: AUDIENCE, issuer: ISSUER };
    expect(await ask(question)).toMatchObject({ sub: 'ann', scope: 'read', name: 'Änn \u{1f600}', iss: ISSUER });
    const [head, , signature] = token.split('.');
    const other = issue({ subject: 'bob' }).split('.')[1];
    await expect(ask({ ...question, token: [head, other, signature].join('.') })).rejects.toThrow(/InvalidSignature/);
    await expect(ask({ ...question, audience: 'another' })).rejects.toThrow(/InvalidAudience/);
  });

  test.each(ALGS)('signs tokens by %s that we verify, and bends some that we refuse', async (alg) => {
    const key = keyFor(alg);
    const keys = localKeys([{ kid: 'k', alg, key }]);
    const verifier = tokenVerifier({ issuers: [{ issuer: ISSUER, audience: AUDIENCE, keys }], leeway: 0 });
    const claims = goodClaims({ iss: ISSUER, aud: AUDIENCE, scope: 'read', name: 'Änn \u{1f600}' });
    const token = await ask({ alg, jwk: jwkOf(alg, key, 'private'), claims, header: { kid: 'k' } });
    expect(verifier.verify(token)).toMatchObject({
      subject: 'ann',
      scopes: ['read'],
      claims: { name: 'Änn \u{1f600}' },
    });
    const stranger = keyFor(alg.startsWith('RS') || alg.startsWith('PS') ? 'ES256' : alg);
    if (stranger.asymmetricKeyType === key.asymmetricKeyType) {
      const forged = await ask({ alg, jwk: jwkOf(alg, stranger, 'private'), claims, header: { kid: 'k' } });
      expect(() => verifier.verify(forged)).toThrow(expect.objectContaining({ reason: 'bad_signature' }));
    }
  });
});
