// Matrix products. `linear` and `gemm` take matrices; attention's batched product is one fused node.

import { assert } from '../../base/error.ts';
import { elements } from '../../tensor/tensor.ts';
import type { Value } from '../graph.ts';
import { defineOp } from '../op.ts';
import { add, cast, mul } from './arithmetic.ts';
import { quantisedLinear } from './quantised.ts';

const gemmOp = defineOp<{ transA: boolean; transB: boolean }>({
  name: 'gemm',
  heavy: true,
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

const lowRankSumOp = defineOp<{ scale: number; transposed: boolean }>({
  name: 'low_rank_sum',
  infer: ([w, a, b], { transposed }) => {
    const [out, width] = transposed ? [w!.shape[1]!, w!.shape[0]!] : w!.shape;
    assert(
      a!.shape[1] === width && b!.shape[0] === out && a!.shape[0] === b!.shape[1],
      'low_rank_sum: W [out, in] or its transpose, A [r, in], B [out, r]',
    );
    return [{ dtype: 'float32', shape: w!.shape }];
  },
  emit: (emitter, node) => {
    const [w, a, b] = node.inputs.map((v) => emitter.name(v));
    const y = emitter.name(node.outputs[0]!);
    const { scale, transposed } = node.attrs;
    const factors = transposed ? [a!, b!] : [b!, a!];
    const turned = transposed ? { transA: 1, transB: 1 } : {};
    const wide = node.inputs[0]!.dtype === 'float32' ? w! : emitter.fresh('wide');
    if (wide !== w) emitter.node('Cast', [w!], [wide], { to: 1 });
    emitter.node('Gemm', [...factors, wide], [y], { alpha: { float: scale }, ...turned });
  },
  // Y = W + s·B·A: dW = G, dA = s·Bᵀ·G, dB = s·G·Aᵀ; transposed, Y = W + s·(B·A)ᵀ, the same with Gᵀ for G.
  gradient: ([g], { inputs: [w, a, b], attrs: { scale, transposed } }) => [
    cast(g!, w!.dtype),
    mul(gemm(b!, g!, true, transposed), scale),
    mul(gemm(g!, a!, transposed, true), scale),
  ],
  examples: [
    {
      inputs: [{ shape: [5, 4] }, { shape: [2, 4] }, { shape: [5, 2] }],
      attrs: { scale: 0.5, transposed: false },
    },
    {
      inputs: [{ shape: [4, 5] }, { shape: [2, 4] }, { shape: [5, 2] }],
      attrs: { scale: 0.5, transposed: true },
    },
    {
      inputs: [
        { shape: [5, 4], dtype: 'bfloat16', stored: true as const },
        { shape: [2, 4] },
        { shape: [5, 2] },
      ],
      attrs: { scale: 0.5, transposed: false },
    },
  ],
});

/**
 * W + scale·B·A: weights [out, in] of any float dtype with a low-rank change (Hu et al. 2022), A [r, in] and B [out, r] in
 * float32. W is cast where the sum is formed, if it is: `linear` takes it as it lies.
 * @param transposed W is stored [in, out]; B·A is transposed before it is added
 */
export const lowRankSum = (w: Value, a: Value, b: Value, scale: number, transposed = false): Value =>
  lowRankSumOp([w, a, b], { scale, transposed })[0]!;

/**
 * x [T, in] through weights [out, in] as Hugging Face stores them: x·wᵀ [T, out]. Half-precision weights are cast on use.
 * A low-rank sum is never formed: x·Wᵀ + (s·x·Aᵀ)·Bᵀ needs no gradient as large as W. Where the sum lies the other way
 * round (a head that is the embedding), x goes through B and A backwards.
 * @param transposed w is stored [in, out] (GPT-2's Conv1D)
 */
export function linear(x: Value, w: Value, transposed = false): Value {
  if (w.node.op.name === 'quantised_weight') return quantisedLinear(x, w); // packed [out, in], however it lay
  if (w.node.op.name !== 'low_rank_sum')
    return castsLate(x, w) ? castGemm(x, w, !transposed) : gemm(x, cast(w, 'float32'), false, !transposed);
  const [base, a, b] = w.node.inputs;
  const { scale, transposed: turned } = w.node.attrs as { scale: number; transposed: boolean };
  const [first, second] = turned === transposed ? [a!, b!] : [b!, a!];
  const isBack = turned !== transposed;
  return add(linear(x, base!, transposed), linear(mul(linear(x, first, isBack), scale), second, isBack));
}

const batchMatmulOp = defineOp<{ transA: boolean; transB: boolean; alpha: number }>({
  name: 'batch_matmul',
  heavy: true,
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

/** In a loop's body weights are cast before the loop, once, unless the graph says otherwise: a cast a round costs more than the product. */
const castsLate = (x: Value, w: Value): boolean =>
  w.dtype !== 'float32' && (x.scope === x.scope.root || x.scope.root.castsInLoops);

const castGemmOp = defineOp<{ transB: boolean }>({
  name: 'cast_gemm',
  heavy: true,
  infer: ([x, w], { transB }) => {
    const [inner, columns] = transB ? [w!.shape[1]!, w!.shape[0]!] : [w!.shape[0]!, w!.shape[1]!];
    assert(x!.shape.length === 2 && x!.shape[1] === inner, `cast_gemm: inner sizes ${x!.shape[1]}, ${inner}`);
    return [{ dtype: 'float32', shape: [x!.shape[0]!, columns] }];
  },
  // A cast of a weight waits for nothing, and the engine runs many of them first: the whole model in float32. So the
  // weight is given its own shape anew, a view with one size read off x, and the cast waits for x.
  emit: (emitter, node) => {
    const { transB } = node.attrs;
    const [x, w] = node.inputs.map((v) => emitter.name(v));
    const [size, shape, late, wide] = ['size', 'shape', 'late', 'wide'].map((stem) => emitter.fresh(stem));
    const rest = emitter.constant('int64', [1], [-1]);
    emitter.node('Shape', [x!], [size!], { start: 1, end: 2 });
    emitter.node('Concat', transB ? [rest, size!] : [size!, rest], [shape!], { axis: 0 });
    emitter.node('Reshape', [w!, shape!], [late!]);
    emitter.node('Cast', [late!], [wide!], { to: 1 });
    emitter.node('Gemm', [x!, wide!], [emitter.name(node.outputs[0]!)], { transB: transB ? 1 : 0 });
  },
  // As gemm's. For dX the weight is cast again: kept from the forward pass it would be the model in float32 once more.
  gradient: ([g], { inputs: [x, w], attrs: { transB } }) => [
    castGemm(g!, w!, !transB),
    cast(transB ? gemm(g!, x!, true, false) : gemm(x!, g!, true, false), w!.dtype),
  ],
  examples: [
    { inputs: [{ shape: [3, 4] }, { shape: [4, 5] }], attrs: { transB: false } },
    { inputs: [{ shape: [3, 4] }, { shape: [5, 4] }], attrs: { transB: true } },
    ...(['float16', 'bfloat16'] as const).map((dtype) => ({
      inputs: [{ shape: [3, 4] }, { shape: [5, 4], dtype, stored: true as const }],
      attrs: { transB: true },
    })),
  ],
});

/** x·W or x·Wᵀ of float32 x and weights of any float dtype. */
export const castGemm = (x: Value, w: Value, transB: boolean): Value => castGemmOp([x, w], { transB })[0]!;

export const MATMUL = {
  gemm: gemmOp.op,
  low_rank_sum: lowRankSumOp.op,
  batch_matmul: batchMatmulOp.op,
  cast_gemm: castGemmOp.op,
};
