// kill -9 while a checkpoint is written. bench/kill-checkpoint.ts kills more often.

import { expect, test } from 'vitest';
import { killCheckpoints } from './checkpoint-killing.ts';

test('a killed writer leaves the old checkpoint or the new one, whole', { timeout: 240_000 }, async () => {
  const { kills, faults, steps } = await killCheckpoints({ kills: 4, seed: 'test', within: 200 });
  expect(faults).toEqual([]);
  expect(kills).toBe(4);
  expect(steps).toBeGreaterThan(0);
});
