// npm test: everything that must hold, from nothing but Node and npm. What is added goes to vitest:
// npm test -- test/token
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runNode } from './command.mjs';
import { installDependencies } from './dependencies.mjs';
import { buildLibrary } from './output.mjs';
import { provideRedis } from './redis.mjs';

installDependencies();
buildLibrary();
provideRedis();

const lint = runNode(
  'node_modules/@biomejs/biome/bin/biome',
  'check',
  '--error-on-warnings',
  '--diagnostic-level=warn',
);
const types = runNode('node_modules/typescript/bin/tsc', '-p', 'test');
const { tests, passed, failed, skipped } = runTests(process.argv.slice(2));

if (lint !== 0) console.log('Lint failed, see above; npm run format mends the most of it.');
if (types !== 0) console.log('Types failed, see above.');
// A failed check is counted too: the line that a machine reads must not say 0 failed of a run that failed.
const failures = failed + (lint === 0 ? 0 : 1) + (types === 0 ? 0 : 1);
console.log(`${passed} passed, ${failures} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
process.exit(tests || lint || types);

/** @param {readonly string[]} args */
function runTests(args) {
  const folder = mkdtempSync(join(tmpdir(), 'portcullis-'));
  const results = join(folder, 'results.json');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${results}`];
  const tests = runNode('node_modules/vitest/vitest.mjs', 'run', ...reporters, ...args);
  const counts = count(results);
  rmSync(folder, { recursive: true });
  // A test file that could not be read, or an error outside of any test, fails the run without a test that failed.
  return { tests, ...counts, failed: counts.failed || (tests === 0 ? 0 : 1) };
}

/** @param {string} results */
function count(results) {
  try {
    const { numPassedTests, numFailedTests, numPendingTests, numTodoTests } = JSON.parse(readFileSync(results, 'utf8'));
    return { passed: numPassedTests, failed: numFailedTests, skipped: numPendingTests + numTodoTests };
  } catch {
    return { passed: 0, failed: 0, skipped: 0 };
  }
}
