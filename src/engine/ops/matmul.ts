// Matrix products. `linear` and `gemm` take matrices; attention's batched product is one fused node.

import { assert } from '../../base/error.ts';
import { elements } from '../../tensor/tensor.ts';
import type { Value } from '../graph.ts';
import { defineOp } from '../op.ts';
import { cast } from './arithmetic.ts';

const gemmOp = defineOp<{ transA: boolean; transB: boolean }>({
  name: 'gemm',
  infer: ([a, b], { transA, transB }) => {
    assert(a!.shape.length === 2 && b!.shape.length === 2, 'gemm takes matrices');
    const [m, k] = transA ? [a!.shape[1]!, a!.shape[0]!] : [a!.shape[0]!, a!.shape[1]!];
    const [k2, n] = transB ? [b!.shape[1]!, b!.shape[0]!] : [b!.shape[0]!, b!.shape[1]!];
    assert(k === k2, `gemm: inner sizes ${k} and ${k2}`);
    return [{ dtype: 'float32', shape: [m, n] }];
  },
  emit: (emitter, node) => {
    const { transA, transB } = node.attrs;
    emitter.node(
      'Gemm',
      node.inputs.map((v) => emitter.name(v)),
      [emitter.name(node.outputs[0]!)],
      { transA: transA ? 1 : 0, transB: transB ? 1 : 0 },
    );
  },
  // Y = A·B: dA = G·Bᵀ, dB = Aᵀ·G, each with the transposes of A and B folded in.
  gradient: ([g], { inputs: [a, b], attrs: { transA, transB } }) => [
    transA ? gemm(b!, g!, transB, true) : gemm(g!, b!, false, !transB),
    transB ? gemm(g!, a!, true, transA) : gemm(a!, g!, !transA, false),
  ],
  examples: [
    { inputs: [{ shape: [3, 4] }, { shape: [4, 5] }], attrs: { transA: false, transB: false } },
    { inputs: [{ shape: [3, 4] }, { shape: [5, 4] }], attrs: { transA: false, transB: true } },
    { inputs: [{ shape: [4, 3] }, { shape: [4, 5] }], attrs: { transA: true, transB: false } },
    { inputs: [{ shape: [4, 3] }, { shape: [5, 4] }], attrs: { transA: true, transB: true } },
  ],
  flops: ([a, b], { transB }) => 2 * elements(a!) * b!.at(transB ? -2 : -1)!,
});

/** A·B of matrices, either transposed. */
export const gemm = (a: Value, b: Value, transA = false, transB = false): Value =>
  gemmOp([a, b], { transA, transB })[0]!;

/** x [T, in] through weights [out, in] as Hugging Face stores them: x·wᵀ [T, out]. Half-precision weights are cast on use. */
export const linear = (x: Value, w: Value): Value => gemm(x, cast(w, 'float32'), false, true);

const batchMatmulOp = defineOp<{ transA: boolean; transB: boolean; alpha: number }>({
  name: 'batch_matmul',
  infer: ([a, b], { transA, transB }) => {
    const [x, y] = [a!.shape, b!.shape];
    assert(x.length === y.length && x.length > 2, 'batch_matmul: equal ranks above 2');
    const m = transA ? x.at(-1)! : x.at(-2)!;
    const n = transB ? y.at(-2)! : y.at(-1)!;
    return [{ dtype: 'float32', shape: [...x.slice(0, -2), m, n] }];
  },
  emit: (emitter, node) => {
    const { transA, transB, alpha } = node.attrs;
    const attributes = { transA: transA ? 1 : 0, transB: transB ? 1 : 0, alpha: { float: alpha } };
    emitter.node(
      'FusedMatMul',
      node.inputs.map((v) => emitter.name(v)),
      [emitter.name(node.outputs[0]!)],
      attributes,
      'com.microsoft',
    );
  },
  // As gemm's, every product scaled by alpha.
  gradient: ([g], { inputs: [a, b], attrs: { transA, transB, alpha } }) => [
    transA
      ? batchMatmul(b!, g!, { transA: transB, transB: true, alpha })
      : batchMatmul(g!, b!, { transB: !transB, alpha }),
    transB
      ? batchMatmul(g!, a!, { transA: true, transB: transA, alpha })
      : batchMatmul(a!, g!, { transA: !transA, alpha }),
  ],
  examples: [
    {
      inputs: [{ shape: [2, 3, 4] }, { shape: [2, 4, 5] }],
      attrs: { transA: false, transB: false, alpha: 0.5 },
    },
    {
      inputs: [{ shape: [2, 3, 4] }, { shape: [2, 5, 4] }],
      attrs: { transA: false, transB: true, alpha: 0.5 },
    },
    {
      inputs: [{ shape: [2, 4, 3] }, { shape: [2, 4, 5] }],
      attrs: { transA: true, transB: false, alpha: 2 },
    },
    { inputs: [{ shape: [2, 4, 3] }, { shape: [2, 5, 4] }], attrs: { transA: true, transB: true, alpha: 2 } },
  ],
  flops: ([a, b], { transB }) => 2 * elements(a!) * b!.at(transB ? -2 : -1)!,
});

/** alpha · A·B over equal leading axes, the last two axes of either transposed. */
export const batchMatmul = (a: Value, b: Value, { transA = false, transB = false, alpha = 1 } = {}): Value =>
  batchMatmulOp([a, b], { transA, transB, alpha })[0]!;
