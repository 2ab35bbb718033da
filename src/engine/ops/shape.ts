// Ops that move elements or sum them: reshape, transpose, slice, concat, expand, reductions.

import { assert } from '../../base/error.ts';
import type { Dim } from '../../tensor/tensor.ts';
import { dimsEqual, type Type, type Value } from '../graph.ts';
import { defineOp } from '../op.ts';
import { cast, div, equal, mul } from './arithmetic.ts';
import { constant, scalar } from './leaves.ts';

const reshapeOp = defineOp<{ shape: readonly Dim[] }>({
  name: 'reshape',
  infer: ([x], { shape }) => [{ dtype: x!.dtype, shape }],
  emit: (emitter, node) => {
    const [x, y] = [node.inputs[0]!, node.outputs[0]!];
    const target = node.attrs.shape;
    // 0 copies the dimension at the same place, one −1 is inferred; sizes beyond that are computed.
    const plain = target.map((dim, i) => (typeof dim === 'number' ? dim : x.shape[i] === dim ? 0 : -1));
    const easy = plain.filter((dim) => dim === -1).length <= 1;
    const shape = easy ? emitter.constant('int64', [plain.length], plain) : emitter.shapeVector(target);
    emitter.node('Reshape', [emitter.name(x), shape], [emitter.name(y)]);
  },
  gradient: ([g], node) => [reshape(g!, node.inputs[0]!.shape)],
  examples: [{ inputs: [{ shape: [2, 6] }], attrs: { shape: [3, 4] } }],
});

/** The same elements in row-major order under another shape. */
export const reshape = (x: Value, shape: readonly Dim[]): Value =>
  dimsEqual(x.shape, shape) ? x : reshapeOp([x], { shape })[0]!;

const transposeOp = defineOp<{ perm: readonly number[] }>({
  name: 'transpose',
  infer: ([x], { perm }) => {
    assert(perm.length === x!.shape.length, 'transpose: one axis each');
    return [{ dtype: x!.dtype, shape: perm.map((axis) => x!.shape[axis]!) }];
  },
  emit: (emitter, node) =>
    emitter.node('Transpose', [emitter.name(node.inputs[0]!)], [emitter.name(node.outputs[0]!)], {
      perm: node.attrs.perm,
    }),
  gradient: ([g], { attrs: { perm } }) => [
    transpose(
      g!,
      perm.map((_, i) => perm.indexOf(i)),
    ),
  ],
  examples: [{ inputs: [{ shape: [2, 3, 4] }], attrs: { perm: [2, 0, 1] } }],
});

export const transpose = (x: Value, perm: readonly number[]): Value => transposeOp([x], { perm })[0]!;

const sliceOp = defineOp<{ axis: number; start: number; end: number; dim: Dim }>({
  name: 'slice',
  infer: ([x], { axis, dim }) => [{ dtype: x!.dtype, shape: x!.shape.map((d, i) => (i === axis ? dim : d)) }],
  emit: (emitter, node) => {
    const { axis, start, end } = node.attrs;
    const int = (value: number) => emitter.constant('int64', [1], [value]);
    emitter.node(
      'Slice',
      [emitter.name(node.inputs[0]!), int(start), int(end), int(axis)],
      [emitter.name(node.outputs[0]!)],
    );
  },
  // dx = g between zeros
  gradient: ([g], { inputs: [x], attrs: { axis, start, end } }) => [padZeros(g!, x!, axis, start, end)],
  examples: [{ inputs: [{ shape: [3, 7] }], attrs: { axis: 1, start: 2, end: 5, dim: 3 } }],
});

/** x[…, start:end, …] along `axis`, whose size must be a number. */
export const slice = (x: Value, axis: number, start: number, end: number): Value =>
  sliceOp([x], { axis, start, end, dim: end - start })[0]!;

const sliceAtOp = defineOp<{ axis: number; dim: Dim }>({
  name: 'slice_at',
  infer: ([x], { axis, dim }) => [{ dtype: x!.dtype, shape: x!.shape.map((d, i) => (i === axis ? dim : d)) }],
  emit: (emitter, node) => {
    const axis = emitter.constant('int32', [1], [node.attrs.axis]);
    const given = node.inputs.map((v) => emitter.name(v));
    emitter.node('Slice', [...given, axis], [emitter.name(node.outputs[0]!)]);
  },
  gradient: 'none',
  examples: [
    {
      inputs: [
        { shape: [3, 7] },
        { shape: [1], dtype: 'int32', values: [2] },
        { shape: [1], dtype: 'int32', values: [5] },
      ],
      attrs: { axis: 1, dim: 3 },
    },
    {
      inputs: [
        { shape: [4, 2], dtype: 'int32', values: [1, 2, 3, 4, 5, 6, 7, 8] },
        { shape: [1], dtype: 'int32', values: [3] },
        { shape: [1], dtype: 'int32', values: [4] },
      ],
      attrs: { axis: 0, dim: 1 },
    },
  ],
});

/** x[…, start:end, …] along `axis`, bounds that only a run knows (int32 [1]); `dim` names what is left of it. */
export const sliceAt = (x: Value, axis: number, start: Value, end: Value, dim: Dim): Value =>
  sliceAtOp([x, start, end], { axis, dim })[0]!;

const padOp = defineOp<{ axis: number; before: number; after: number }>({
  name: 'pad',
  infer: ([x], { axis, before, after }) => {
    const size = x!.shape[axis];
    assert(typeof size === 'number', 'pad: a known size');
    return [{ dtype: x!.dtype, shape: x!.shape.map((d, i) => (i === axis ? size + before + after : d)) }];
  },
  emit: (emitter, node) => {
    const { axis, before, after } = node.attrs;
    const pads = emitter.constant('int64', [2], [before, after]);
    const axes = emitter.constant('int64', [1], [axis]);
    emitter.node('Pad', [emitter.name(node.inputs[0]!), pads, '', axes], [emitter.name(node.outputs[0]!)]);
  },
  gradient: ([g], { inputs: [x], attrs: { axis, before } }) => [
    slice(g!, axis, before, before + (x!.shape[axis] as number)),
  ],
  examples: [{ inputs: [{ shape: [2, 3] }], attrs: { axis: 1, before: 2, after: 1 } }],
});

function padZeros(g: Value, x: Value, axis: number, start: number, end: number): Value {
  const size = x.shape[axis];
  assert(typeof size === 'number', 'slice: a known size');
  return padOp([g], { axis, before: start, after: size - end })[0]!;
}

const concatOp = defineOp<{ axis: number; dim: Dim }>({
  name: 'concat',
  infer: ([first], { axis, dim }) => [
    { dtype: first!.dtype, shape: first!.shape.map((d, i) => (i === axis ? dim : d)) },
  ],
  emit: (emitter, node) =>
    emitter.node(
      'Concat',
      node.inputs.map((v) => emitter.name(v)),
      [emitter.name(node.outputs[0]!)],
      { axis: node.attrs.axis },
    ),
  // Each part's cotangent is its own slice of g; sizes are taken at run time, so parts may be symbolic.
  gradient: ([g], node) => splitLike(g!, node.inputs, node.attrs.axis),
  examples: [{ inputs: [{ shape: [2, 3] }, { shape: [2, 4] }], attrs: { axis: 1, dim: 7 } }],
});

/** Parts laid end to end along `axis`; `dim` names the sum where it is not a number. */
export function concat(parts: readonly Value[], axis: number, dim?: Dim): Value {
  const sizes = parts.map((part) => part.shape[axis]!);
  const total = sizes.every((size) => typeof size === 'number') ? sizes.reduce((a, b) => a + b, 0) : dim;
  assert(total !== undefined, 'concat of symbolic sizes needs a name for the sum');
  return concatOp(parts, { axis, dim: total })[0]!;
}

const splitOp = defineOp<{ axis: number; like: readonly Type[] }>({
  name: 'split',
  infer: (_, { like }) => like,
  emit: (emitter, node) => {
    const parts = node.inputs.slice(1);
    const sizes = parts.map((part) => {
      const name = emitter.fresh('size');
      emitter.node('Shape', [emitter.name(part)], [name], {
        start: node.attrs.axis,
        end: node.attrs.axis + 1,
      });
      return name;
    });
    const all = emitter.fresh('sizes');
    emitter.node('Concat', sizes, [all], { axis: 0 });
    emitter.node(
      'Split',
      [emitter.name(node.inputs[0]!), all],
      node.outputs.map((v) => emitter.name(v)),
      { axis: node.attrs.axis },
    );
  },
  gradient: 'none',
  examples: [
    {
      inputs: [{ shape: [2, 5] }, { shape: [2, 3] }, { shape: [2, 2] }],
      call: ([x, ...parts]) => splitLike(x!, parts, 1),
    },
  ],
});

const splitLike = (x: Value, parts: readonly Value[], axis: number): readonly Value[] =>
  splitOp([x, ...parts], { axis, like: parts.map((part) => part.type) });

const expandOp = defineOp<{ shape: readonly Dim[] }>({
  name: 'expand',
  infer: ([x], { shape }) => [{ dtype: x!.dtype, shape }],
  emit: (emitter, node) =>
    emitter.node(
      'Expand',
      [emitter.name(node.inputs[0]!), emitter.shapeVector(node.attrs.shape)],
      [emitter.name(node.outputs[0]!)],
    ),
  gradient: ([g], node) => {
    const from = node.inputs[0]!.shape;
    const axes = node.attrs.shape.flatMap((dim, i) => (from[i] === 1 && dim !== 1 ? [i] : []));
    return [reduceSum(g!, axes, true)];
  },
  examples: [{ inputs: [{ shape: [3, 1] }], attrs: { shape: [3, 5] } }],
});

const reduceAttrs = (
  emitter: { constant: (d: 'int64', s: number[], v: readonly number[]) => string },
  axes: readonly number[],
) => emitter.constant('int64', [axes.length], axes);

const reduced = (shape: readonly Dim[], axes: readonly number[], keep: boolean): Dim[] =>
  shape.flatMap((dim, i) => (axes.includes(i) ? (keep ? [1] : []) : [dim]));

const reduceSumOp = defineOp<{ axes: readonly number[]; keep: boolean }>({
  name: 'reduce_sum',
  infer: ([x], { axes, keep }) => [{ dtype: x!.dtype, shape: reduced(x!.shape, axes, keep) }],
  emit: (emitter, node) => {
    const { axes, keep } = node.attrs;
    emitter.node(
      'ReduceSum',
      [emitter.name(node.inputs[0]!), reduceAttrs(emitter, axes)],
      [emitter.name(node.outputs[0]!)],
      { keepdims: keep ? 1 : 0 },
    );
  },
  // dx = g repeated along the summed axes
  gradient: ([g], { inputs: [x], attrs: { axes } }) => [
    expandOp([reshape(g!, reduced(x!.shape, axes, true))], { shape: x!.shape })[0]!,
  ],
  examples: [
    { inputs: [{ shape: [3, 4, 2] }], attrs: { axes: [1], keep: true } },
    { inputs: [{ shape: [3, 4] }], attrs: { axes: [0, 1], keep: false } },
  ],
});

/** Sum over `axes` (none: the value itself). */
export const reduceSum = (x: Value, axes: readonly number[], keep = false): Value =>
  axes.length === 0 ? x : reduceSumOp([x], { axes, keep })[0]!;

export const sumAll = (x: Value): Value =>
  reduceSum(
    x,
    x.shape.map((_, i) => i),
  );

const reduceMeanOp = defineOp<{ axis: number }>({
  name: 'reduce_mean',
  infer: ([x], { axis }) => [{ dtype: x!.dtype, shape: reduced(x!.shape, [axis], true) }],
  emit: (emitter, node) =>
    emitter.node(
      'ReduceMean',
      [emitter.name(node.inputs[0]!), reduceAttrs(emitter, [node.attrs.axis])],
      [emitter.name(node.outputs[0]!)],
      { keepdims: 1 },
    ),
  // dx = g / size along the axis
  gradient: ([g], { inputs: [x], attrs: { axis } }) => {
    const size = x!.shape[axis];
    assert(typeof size === 'number', 'mean over a known size');
    return [expandOp([div(g!, size)], { shape: x!.shape })[0]!];
  },
  examples: [{ inputs: [{ shape: [3, 4] }], attrs: { axis: 1 } }],
});

/** Mean along `axis`, kept as size 1. */
export const reduceMean = (x: Value, axis: number): Value => reduceMeanOp([x], { axis })[0]!;

const argmaxOp = defineOp<undefined>({
  name: 'argmax',
  infer: ([x]) => [{ dtype: 'int64', shape: x!.shape.slice(0, -1) }],
  emit: (emitter, node) =>
    emitter.node('ArgMax', [emitter.name(node.inputs[0]!)], [emitter.name(node.outputs[0]!)], {
      axis: -1,
      keepdims: 0,
      select_last_index: 0,
    }),
  gradient: 'none',
  examples: [
    { inputs: [{ shape: [4, 9] }] },
    { inputs: [{ shape: [2, 4], values: [1, 3, 3, 0, -1, -1, -2, -1] }] }, // of equals the first
  ],
});

/** Index of the largest along the last axis, the first of equals: [.., V] → int32 [..]. */
export const argmax = (x: Value): Value => cast(argmaxOp([x], undefined)[0]!, 'int32');

/** The int32 vector 0 … n−1 as a constant. */
export const iota = (like: Value, n: number): Value =>
  like.scope.once(`iota:${n}`, () =>
    constant(
      like.scope,
      'int32',
      [n],
      Array.from({ length: n }, (_, i) => i),
    ),
  );

/** float32 one-hot rows: [N] of ids → [N, n]; a row whose id is outside 0 … n−1 is all zero. */
export const oneHot = (ids: Value, n: number): Value =>
  cast(equal(reshape(ids, [ids.shape[0]!, 1]), reshape(iota(ids, n), [1, n])), 'float32');

/** Mean of all elements of a vector whose length a run decides: Σx / n, n fed as a float32 scalar. */
export const meanOver = (x: Value, count: Value): Value => div(sumAll(x), count);

export const zeroLike = (x: Value): Value => mul(x, scalar(x.scope, 0, x.dtype));

const afterOp = defineOp<undefined>({
  name: 'after',
  infer: ([x]) => [x!],
  // A reshape to its own shape, plus nothing times how many axes the others have: no element is copied or touched.
  emit: (emitter, node) => {
    const [x, ...others] = node.inputs.map((v) => emitter.name(v));
    const shapes = [x!, ...others].map((name) => {
      const shape = emitter.fresh('shape');
      emitter.node('Shape', [name], [shape]);
      return shape;
    });
    const names = ['all', 'size', 'nothing', 'same'].map((stem) => emitter.fresh(stem));
    const [all, size, nothing, same] = names as [string, string, string, string];
    emitter.node('Concat', shapes, [all], { axis: 0 });
    emitter.node('Size', [all], [size]);
    emitter.node('Mul', [size, emitter.constant('int64', [], [0])], [nothing]);
    emitter.node('Add', [shapes[0]!, nothing], [same]);
    emitter.node('Reshape', [x!, same], [emitter.name(node.outputs[0]!)]);
  },
  gradient: 'none',
  examples: [{ inputs: [{ shape: [3, 4] }, { shape: [2] }] }],
});

/** x itself, but not before the others are there: the engine has its own mind about what it runs first. */
export const after = (x: Value, others: readonly Value[]): Value =>
  others.length === 0 ? x : afterOp([x, ...others], undefined)[0]!;

export const SHAPE = {
  reshape: reshapeOp.op,
  transpose: transposeOp.op,
  slice: sliceOp.op,
  slice_at: sliceAtOp.op,
  pad: padOp.op,
  concat: concatOp.op,
  split: splitOp.op,
  expand: expandOp.op,
  reduce_sum: reduceSumOp.op,
  reduce_mean: reduceMeanOp.op,
  argmax: argmaxOp.op,
  after: afterOp.op,
};
