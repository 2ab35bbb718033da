// Every op of the engine under one name, for those who write their own graphs: `import { ops } from 'whorl'`.

export * from './engine/ops/arithmetic.ts';
export * from './engine/ops/cached-attention.ts';
export * from './engine/ops/gather.ts';
export * from './engine/ops/leaves.ts';
export * from './engine/ops/loop.ts';
export * from './engine/ops/matmul.ts';
export * from './engine/ops/normalise.ts';
export * from './engine/ops/shape.ts';
export * from './engine/ops/sort.ts';
