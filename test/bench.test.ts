import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const RUN = fileURLToPath(new URL('../bench/revocation/run.ts', import.meta.url));

test('the revocation bench works: whatever it revokes is refused by every process, and asks nothing per request', {
  timeout: 120_000,
}, async () => {
  const out = await mkdtemp(join(tmpdir(), 'portcullis-bench-'));
  try {
    const bench = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), RUN, '--quick', '--out', out], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let complaints = '';
    bench.stderr.on('data', (text) => (complaints += text));
    const [code] = await once(bench, 'exit');
    expect({ code, complaints }).toMatchObject({ code: 0 });
    const { latency, commands, catchUp, held, cutOffs } = JSON.parse(await readFile(join(out, 'results.json'), 'utf8'));
    expect(latency.jwt).toMatchObject({ missed: 0, fromCall: { count: 100 }, afterOneSecond: { 401: 200 } });
    for (const { requests, perRequest } of [commands.jwt, commands.hybrid]) {
      expect(requests).toBeGreaterThan(0);
      expect(perRequest).toBeLessThan(0.5);
    }
    expect(catchUp).toMatchObject([{ accepted: 0 }, { accepted: 0 }]);
    expect(held).toMatchObject([{ entries: 1_000 }]);
    expect(cutOffs).toMatchObject({ held: { entries: 1_000 }, expired: { entries: 1_000 } });
    expect(await readFile(join(out, 'results.md'), 'utf8')).toContain('A quick run');
  } finally {
    await rm(out, { recursive: true });
  }
});
