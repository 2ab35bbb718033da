import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

// fast: seconds a file, no network, no downloaded weights. runs: whole runs on the embedded model, `*.run.test.ts`, a minute
// or two a file. slow: the real SmolLM2. webgpu: every op and whole steps on the WebGPU
// provider, where a Vulkan device is named (see CONTRIBUTING.md).
// Where CI is set, vitest asks its workers for colours (FORCE_COLOR); the tests compare plain words.
// What they leave behind lies in one folder that goes with the run, so that a test's own needs no clearing away.
const scratch = mkdtempSync(join(tmpdir(), 'whorl-tests-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));
const env = { NO_COLOR: '1', TMPDIR: scratch };
// What runs keep for each other is of this run of the tests alone: code that changed must not find older results.
const own = { ...env, WHORL_CACHE: join(scratch, 'cache') };
const common = { pool: 'forks' as const, testTimeout: 60_000, hookTimeout: 60_000, env };
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          ...common,
          name: 'fast',
          env: own,
          include: ['test/**/*.test.ts'],
          exclude: ['test/**/*.run.test.ts', 'test/slow/**', 'test/webgpu/**'],
        },
      },
      {
        test: {
          ...common,
          name: 'runs',
          env: own,
          include: ['test/**/*.run.test.ts'],
          // A run of half a minute alone takes minutes beside others, and hooks train as tests do.
          testTimeout: 600_000,
          hookTimeout: 600_000,
        },
      },
      {
        test: {
          ...common,
          name: 'slow',
          include: ['test/slow/**/*.test.ts'],
          testTimeout: 1_200_000,
          hookTimeout: 1_200_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          ...common,
          name: 'webgpu',
          include: process.env.VK_ICD_FILENAMES
            ? ['test/webgpu/**/*.test.ts', 'test/engine/ops.test.ts']
            : [],
          env: { ...env, WHORL_TEST_PROVIDER: 'webgpu' },
          testTimeout: 600_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
