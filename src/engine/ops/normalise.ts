// Softmax, log-softmax with label picking, RMS normalisation and rotary positions.

import { assert } from '../../base/error.ts';
import type { Value } from '../graph.ts';
import { defineOp } from '../op.ts';
import { add, cast, div, equal, exp, mul, neg, sqrt, sub } from './arithmetic.ts';
import { iota, reduceMean, reduceSum, reshape } from './shape.ts';

const last = (x: Value) => x.rank - 1;

const softmaxOp = defineOp<undefined>({
  name: 'softmax',
  infer: ([x]) => [x!],
  emit: (emitter, node) =>
    emitter.node('Softmax', [emitter.name(node.inputs[0]!)], [emitter.name(node.outputs[0]!)], { axis: -1 }),
  // dx = y·(g − Σ g·y)
  gradient: ([g], { outputs: [y] }) => [mul(y!, sub(g!, reduceSum(mul(g!, y!), [last(y!)], true)))],
  examples: [{ inputs: [{ shape: [2, 3, 5] }] }],
});

/** Softmax along the last axis. */
export const softmax = (x: Value): Value => softmaxOp([x], undefined)[0]!;

/** dx = g − softmax(x)·Σ g, of y = log softmax(x). */
const throughLogSoftmax = (g: Value, y: Value): Value => sub(g, mul(exp(y), reduceSum(g, [last(y)], true)));

const logSoftmaxOp = defineOp<undefined>({
  name: 'log_softmax',
  infer: ([x]) => [x!],
  emit: (emitter, node) =>
    emitter.node('LogSoftmax', [emitter.name(node.inputs[0]!)], [emitter.name(node.outputs[0]!)], {
      axis: -1,
    }),
  gradient: ([g], { outputs: [y] }) => [throughLogSoftmax(g!, y!)],
  examples: [{ inputs: [{ shape: [3, 5] }] }],
});

/** Log-softmax along the last axis. */
export const logSoftmax = (x: Value): Value => logSoftmaxOp([x], undefined)[0]!;

const takeLastOp = defineOp<undefined>({
  name: 'take_last',
  infer: ([x, index]) => {
    assert(x!.shape.length === 2 && index!.shape.length === 1, 'take_last: [L, V] by [L]');
    return [{ dtype: x!.dtype, shape: index!.shape }];
  },
  emit: (emitter, node) => {
    const [x, index] = node.inputs.map((v) => emitter.name(v));
    const [column, picked] = [emitter.fresh('column'), emitter.fresh('picked')];
    const one = emitter.constant('int64', [1], [1]);
    emitter.node('Unsqueeze', [index!, one], [column]);
    emitter.node('GatherElements', [x!, column], [picked], { axis: 1 });
    emitter.node('Squeeze', [picked, one], [emitter.name(node.outputs[0]!)]);
  },
  // dx is g in the picked column, zero elsewhere
  gradient: ([g], { inputs: [x, index] }) => {
    const [rows, columns] = x!.shape;
    assert(typeof columns === 'number', 'take_last: a known width');
    const hot = cast(
      equal(reshape(index!, [rows!, 1]), reshape(iota(index!, columns), [1, columns])),
      'float32',
    );
    return [mul(hot, reshape(g!, [rows!, 1])), undefined];
  },
  examples: [{ inputs: [{ shape: [4, 6] }, { shape: [4], dtype: 'int32', values: [5, 0, 2, 2] }] }],
});

/** x[i, index[i]]: [L, V] and int32 [L] → [L]. */
export const takeLast = (x: Value, index: Value): Value => takeLastOp([x, index], undefined)[0]!;

const backAtOp = defineOp<undefined>({
  name: 'log_softmax_at_back',
  infer: ([y]) => [y!],
  // Each column that was picked gets its cotangents' sum on top; one that was picked twice is written twice, the same.
  emit: (emitter, node) => {
    const [y, index, g] = node.inputs.map((v) => emitter.name(v));
    const next = (type: string, inputs: string[], attrs: Parameters<typeof emitter.node>[3] = {}): string => {
      const out = emitter.fresh('at');
      emitter.node(type, inputs, [out], attrs);
      return out;
    };
    const axis = (n: number) => emitter.constant('int64', [1], [n]);
    const total = next('Neg', [next('ReduceSum', [g!, axis(1)], { keepdims: 1 })]); // [L, 1]
    const rest = next('Mul', [next('Exp', [y!]), total]); // [L, V]
    const same = next('Equal', [next('Unsqueeze', [index!, axis(2)]), next('Unsqueeze', [index!, axis(1)])]);
    const shared = next('Mul', [next('Cast', [same], { to: 1 }), next('Unsqueeze', [g!, axis(1)])]); // [L, K, K]
    const own = next('ReduceSum', [shared, axis(2)], { keepdims: 0 }); // [L, K]
    const picked = next('Add', [next('GatherElements', [rest, index!], { axis: 1 }), own]);
    emitter.node('ScatterElements', [rest, index!, picked], [emitter.name(node.outputs[0]!)], { axis: 1 });
  },
  gradient: 'none',
  examples: [
    {
      inputs: [
        { shape: [3, 5], values: [-1, -2, -3, -0.5, -4, -1.5, -1, -2.5, -3, -1, -2, -2, -1, -1.25, -3] },
        { shape: [3, 2], dtype: 'int32', values: [4, 0, 2, 2, 1, 3] },
        { shape: [3, 2], values: [1, -0.5, 0.25, 2, 0, -3] },
      ],
    },
  ],
});

const atOp = defineOp<undefined>({
  name: 'log_softmax_at',
  infer: ([x, index]) => {
    assert(x!.shape.length === 2 && index!.shape.length === 2, 'log_softmax_at: [L, V] by [L, K]');
    return [{ dtype: x!.dtype, shape: index!.shape }, x!];
  },
  emit: (emitter, node) => {
    const [x, index] = node.inputs.map((v) => emitter.name(v));
    const [picked, y] = node.outputs.map((v) => emitter.name(v));
    emitter.node('LogSoftmax', [x!], [y!], { axis: -1 });
    emitter.node('GatherElements', [y!, index!], [picked!], { axis: 1 });
  },
  // dx = Σ g in the picked columns, less softmax(x)·Σ g. As log_softmax and take_last it is the same after eleven walks over
  // [L, V] instead of three: a vocabulary of logits is what a step waits for.
  gradient: ([g, ofAll], { inputs: [, index], outputs: [, y] }) => {
    const parts = [g && backAtOp([y!, index!, g], undefined)[0]!, ofAll && throughLogSoftmax(ofAll, y!)];
    return [parts.filter((part) => part !== undefined).reduce((a, b) => add(a, b)), undefined];
  },
  examples: [
    {
      // In the second row one column is picked twice.
      inputs: [{ shape: [4, 6] }, { shape: [4, 2], dtype: 'int32', values: [5, 1, 0, 0, 2, 3, 2, 4] }],
    },
    { inputs: [{ shape: [3, 5] }, { shape: [3, 1], dtype: 'int32', values: [0, 4, 2] }], differentiate: [] },
  ],
});

/** log softmax(x)[i, index[i, k]]: [L, V] and int32 [L, K] → [L, K]. */
export const logSoftmaxAt = (x: Value, index: Value): Value => atOp([x, index], undefined)[0]!;

const rmsNormOp = defineOp<{ eps: number }>({
  name: 'rms_norm',
  infer: ([x]) => [x!],
  emit: (emitter, node) =>
    emitter.node(
      'SimplifiedLayerNormalization',
      node.inputs.map((v) => emitter.name(v)),
      [emitter.name(node.outputs[0]!)],
      {
        axis: -1,
        epsilon: { float: node.attrs.eps },
        stash_type: 1,
      },
    ),
  // With r = 1/√(mean x² + ε) and h = x·r: dγ = Σ g·h, dx = r·(gγ − h·mean(gγ·h)).
  // r is computed anew: WebGPU leaves the fused node's second output unwritten.
  gradient: ([g], { inputs: [x, gamma], attrs: { eps } }) => {
    const inverse = div(1, sqrt(add(reduceMean(mul(x!, x!), last(x!)), eps)));
    const normal = mul(x!, inverse);
    const scaled = mul(g!, gamma!);
    const dx = mul(inverse, sub(scaled, mul(normal, reduceMean(mul(scaled, normal), last(x!)))));
    return [dx, mul(g!, normal)];
  },
  examples: [{ inputs: [{ shape: [4, 6] }, { shape: [6] }], attrs: { eps: 1e-5 } }],
});

/** Root-mean-square normalisation of the last axis, times gamma (Zhang & Sennrich 2019). */
export const rmsNorm = (x: Value, gamma: Value, eps: number): Value =>
  rmsNormOp([x, cast(gamma, 'float32')], { eps })[0]!;

const layerNormOp = defineOp<{ eps: number }>({
  name: 'layer_norm',
  infer: ([x]) => [x!],
  emit: (emitter, node) =>
    emitter.node(
      'LayerNormalization',
      node.inputs.map((v) => emitter.name(v)),
      [emitter.name(node.outputs[0]!)],
      { axis: -1, epsilon: { float: node.attrs.eps } },
    ),
  // With c = x − mean x, r = 1/√(mean c² + ε) and h = c·r: dγ = Σ g·h, dβ = Σ g,
  // dx = r·(gγ − mean(gγ) − h·mean(gγ·h)).
  gradient: ([g], { inputs: [x, gamma, beta], attrs: { eps } }) => {
    const centred = sub(x!, reduceMean(x!, last(x!)));
    const inverse = div(1, sqrt(add(reduceMean(mul(centred, centred), last(x!)), eps)));
    const normal = mul(centred, inverse);
    const scaled = mul(g!, gamma!);
    const along = mul(normal, reduceMean(mul(scaled, normal), last(x!)));
    const dx = mul(inverse, sub(sub(scaled, reduceMean(scaled, last(x!))), along));
    return [dx, mul(g!, normal), ...(beta ? [g] : [])];
  },
  examples: [
    { inputs: [{ shape: [4, 6] }, { shape: [6] }, { shape: [6] }], attrs: { eps: 1e-5 } },
    { inputs: [{ shape: [4, 6] }, { shape: [6] }], attrs: { eps: 1e-5 } },
  ],
});

/** Normalisation of the last axis to mean 0 and deviation 1, times gamma, plus beta if there is one (Ba et al. 2016). */
export const layerNorm = (x: Value, gamma: Value, beta: Value | undefined, eps: number): Value =>
  layerNormOp([x, cast(gamma, 'float32'), ...(beta ? [cast(beta, 'float32')] : [])], { eps })[0]!;

interface Turning {
  readonly head_dim: number;
  /** Leading elements of a head that turn. */
  readonly dim: number;
  readonly interleaved: boolean;
}

const rotaryOp = defineOp<Turning>({
  name: 'rotary',
  infer: ([x]) => [x!],
  emit: (emitter, node) => {
    const [x, positions, cos, sin] = node.inputs.map((v) => emitter.name(v));
    const [wide, batch, turned, axis] = [
      emitter.fresh('wide'),
      emitter.fresh('batch'),
      emitter.fresh('turned'),
      emitter.constant('int64', [1], [1]),
    ];
    const place = emitter.fresh('place');
    // Each row is a sequence of one: the node refuses sequences longer than its tables.
    emitter.node('Cast', [positions!], [wide], { to: 7 });
    emitter.node('Unsqueeze', [wide, axis], [place]);
    emitter.node('Unsqueeze', [x!, axis], [batch]);
    const { head_dim, dim, interleaved } = node.attrs;
    const attributes = {
      ...(interleaved && { interleaved: 1 }),
      ...(dim !== head_dim && {
        rotary_embedding_dim: dim,
        num_heads: (node.inputs[0]!.shape[1] as number) / head_dim,
      }),
    };
    emitter.node('RotaryEmbedding', [batch, place, cos!, sin!], [turned], attributes, 'com.microsoft');
    emitter.node('Squeeze', [turned, axis], [emitter.name(node.outputs[0]!)]);
  },
  // A rotation's transpose is the rotation back: the same with −sin.
  gradient: ([g], { inputs: [, positions, cos, sin], attrs }) => [
    rotary(g!, positions!, cos!, neg(sin!), attrs),
    undefined,
    undefined,
    undefined,
  ],
  examples: [
    {
      inputs: [
        { shape: [3, 8] },
        { shape: [3], dtype: 'int32', values: [0, 4, 2] },
        { shape: [6, 2] },
        { shape: [6, 2] },
      ],
      differentiate: [0],
      attrs: { head_dim: 4, dim: 4, interleaved: false },
    },
    {
      inputs: [
        { shape: [3, 16] },
        { shape: [3], dtype: 'int32', values: [0, 4, 2] },
        { shape: [6, 2] },
        { shape: [6, 2] },
      ],
      differentiate: [0],
      attrs: { head_dim: 8, dim: 4, interleaved: true },
    },
    {
      inputs: [
        { shape: [3, 16] },
        { shape: [3], dtype: 'int32', values: [5, 0, 1] },
        { shape: [6, 2] },
        { shape: [6, 2] },
      ],
      differentiate: [0],
      attrs: { head_dim: 8, dim: 4, interleaved: false },
    },
  ],
});

/**
 * Rotary positions on packed rows: x [T, H·D], positions int32 [T], cos and sin [maximum, dim/2]. Of each head the first
 * `dim` elements turn: halves against each other as in Hugging Face's rotate_half, or neighbours where `interleaved`.
 */
export const rotary = (x: Value, positions: Value, cos: Value, sin: Value, turning: Turning): Value =>
  rotaryOp([x, positions, cos, sin], turning)[0]!;

export const NORMALISE = {
  softmax: softmaxOp.op,
  log_softmax: logSoftmaxOp.op,
  take_last: takeLastOp.op,
  log_softmax_at: atOp.op,
  log_softmax_at_back: backAtOp.op,
  rms_norm: rmsNormOp.op,
  layer_norm: layerNormOp.op,
  rotary: rotaryOp.op,
};
