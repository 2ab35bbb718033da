// Every op by name. The compiler refuses the record while one of `OpName` is missing.

import type { Op } from './graph.ts';
import type { OpName } from './op-name.ts';
import { ARITHMETIC } from './ops/arithmetic.ts';
import { CACHED_ATTENTION } from './ops/cached-attention.ts';
import { EXPERTS } from './ops/experts.ts';
import { GATHER } from './ops/gather.ts';
import { LEAVES } from './ops/leaves.ts';
import { LOOP } from './ops/loop.ts';
import { MATMUL } from './ops/matmul.ts';
import { NORMALISE } from './ops/normalise.ts';
import { QUANTISED } from './ops/quantised.ts';
import { SHAPE } from './ops/shape.ts';
import { SORT } from './ops/sort.ts';

export const OPS: Readonly<Record<OpName, Op>> = {
  ...ARITHMETIC,
  ...CACHED_ATTENTION,
  ...EXPERTS,
  ...GATHER,
  ...LEAVES,
  ...LOOP,
  ...MATMUL,
  ...NORMALISE,
  ...QUANTISED,
  ...SHAPE,
  ...SORT,
};
