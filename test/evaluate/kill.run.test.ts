// An evaluation that is killed by SIGKILL ends with the bytes of one in one go. bench/kill-eval.ts does so at many moments.

import { join } from 'node:path';
import { expect, test } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import { killedEvaluations } from './killing.ts';

const PROGRAM = [process.execPath, '--import', 'tsx', join(packageRoot(), 'src/cli/main.ts')];

test('killed at two moments and called again, the results are the same bytes', async () => {
  let count = 0;
  for await (const { at, same } of killedEvaluations(PROGRAM, 2, 'a test', 30)) {
    expect(same, `killed after ${at} ms`).toBe(true);
    count++;
  }
  expect(count).toBe(2);
});
