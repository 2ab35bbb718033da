// torch's permutations, number for number (goldens/random/make_torch.py).

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import { sha256Hex } from '../../src/base/sha256.ts';
import { torchPermutation } from '../../src/base/torch-random.ts';

const { permutations } = JSON.parse(
  readFileSync(join(packageRoot(), 'goldens/random/torch.json'), 'utf8'),
) as { permutations: { n: number; seed: string; order: number[] | null; sha256: string }[] };

test.each(permutations)('$n rows, seed $seed', ({ n, seed, order, sha256 }) => {
  const ours = [...torchPermutation(n, BigInt(seed))];
  if (order) expect(ours).toEqual(order);
  expect(sha256Hex(ours.join(','))).toBe(sha256);
});
