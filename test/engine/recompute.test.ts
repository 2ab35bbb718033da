// Recomputation is worth its time only if it lowers the peak: each mode in a process of its own, by what its RSS grows.

import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

interface Measured {
  grown: number;
  gradient: number[];
}
const measure = (mode: string): Measured =>
  JSON.parse(
    execFileSync(
      process.execPath,
      ['--import', 'tsx', fileURLToPath(new URL('recompute-child.ts', import.meta.url)), mode],
      { encoding: 'utf8' },
    ),
  ) as Measured;

// Sixteen blocks keep 200 MB of activations; joints and one block at a time are a few MB each.
test('what is computed again is not kept', { timeout: 300_000 }, () => {
  const [nothing, elementwise, blocks] = ['nothing', 'elementwise', 'blocks'].map(measure);
  expect(nothing!.grown).toBeGreaterThan(150);
  expect(elementwise!.grown).toBeLessThan(0.75 * nothing!.grown);
  expect(blocks!.grown).toBeLessThan(0.5 * nothing!.grown);
  expect(blocks!.gradient).toEqual(nothing!.gradient);
});
