import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['tests/**/*.test.ts'],
    pool: 'forks',
    // A test file starts threads of its own, so the files take turns.
    fileParallelism: false,
    testTimeout: 30_000,
    // Recorded machines are unpacked there: thousands of small files.
    hookTimeout: 120_000,
    teardownTimeout: 10_000,
    reporters: ['default', 'json'],
    outputFile: { json: 'build/test-report.json' },
    // The package under test is loaded by Node itself, as its users load it, and not transformed.
    server: { deps: { external: [/\/build\/.*\.js$/] } },
  },
});
