import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  resolve: { alias: { portcullis: fileURLToPath(new URL('lib/index.ts', import.meta.url)) } },
  test: {
    include: ['test/**/*.test.ts'],
    setupFiles: ['test/support/stray-errors.ts'],
    pool: 'forks',
    // Each file may run servers and processes of its own besides.
    maxWorkers: 2,
    // A shared machine may stand still for seconds. What passes at the second try is shown as such.
    retry: process.env['CI'] === 'true' ? 1 : 0,
    testTimeout: 20_000,
    hookTimeout: 20_000,
  },
});
