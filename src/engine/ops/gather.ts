// Rows picked by index. No gradient here scatters with addition: ONNX Runtime's is a data race on CPU.

import { assert } from '../../base/error.ts';
import type { Dim } from '../../tensor/tensor.ts';
import type { OpExample, Value } from '../graph.ts';
import { defineOp } from '../op.ts';
import { add, cast, equal, mul } from './arithmetic.ts';
import { gemm, linear } from './matmul.ts';
import { iota, reshape, transpose, zeroLike } from './shape.ts';

const emitGather = 'Gather';

const gatherOp = defineOp<undefined>({
  name: 'gather',
  infer: ([table, ids]) => [{ dtype: table!.dtype, shape: [...ids!.shape, ...table!.shape.slice(1)] }],
  emit: (emitter, node) =>
    emitter.node(
      emitGather,
      node.inputs.map((v) => emitter.name(v)),
      [emitter.name(node.outputs[0]!)],
      { axis: 0 },
    ),
  // dTable = rows of the batch's distinct ids, each the sum of its cotangents as a one-hot product, put in place.
  gradient: ([g], { inputs: [table, ids] }) => {
    assert(ids!.rank === 1 && table!.rank === 2, 'gradient of gather: a vector of ids into a matrix');
    const { distinct, inverse } = unique(ids!);
    const members = cast(
      equal(reshape(iotaLike(distinct), ['U', 1]), reshape(inverse, [1, ids!.shape[0]!])),
      'float32',
    );
    return [putRows(zeroLike(table!), distinct, gemm(members, g!)), undefined];
  },
  examples: [
    { inputs: [{ shape: [5, 3] }, { shape: [7], dtype: 'int32', values: [0, 4, 4, 1, 0, 4, 2] }] },
    {
      inputs: [{ shape: [5, 3] }, { shape: [2, 2], dtype: 'int32', values: [3, 4, 0, 1] }],
      differentiate: [],
    },
  ],
});

/** table[ids]: [V, ..] and int32 ids of any shape → [ids.., ..]. */
export const gather = (table: Value, ids: Value): Value => gatherOp([table, ids], undefined)[0]!;

/**
 * Rows of a table [V, E] as float32 [ids.., E]. Of a low-rank sum W + s·(B·A)ᵀ only what is asked for is formed, and
 * only A's columns of the ids have a gradient.
 */
export function lookUp(table: Value, ids: Value): Value {
  if (table.node.op.name !== 'low_rank_sum') return cast(gather(table, ids), 'float32');
  const [base, a, b] = table.node.inputs;
  const { scale, transposed } = table.node.attrs as { scale: number; transposed: boolean };
  assert(transposed, 'lookUp: a table of rows is a matrix stored [in, out]');
  const columns = gather(transpose(a!, [1, 0]), ids);
  return add(lookUp(base!, ids), linear(mul(columns, scale), b!));
}

const uniqueOp = defineOp<undefined>({
  name: 'unique',
  infer: ([ids]) => [
    { dtype: 'int64', shape: ['U'] },
    { dtype: 'int64', shape: ids!.shape },
  ],
  emit: (emitter, node) => {
    const wide = emitter.fresh('wide');
    emitter.node('Cast', [emitter.name(node.inputs[0]!)], [wide], { to: 7 });
    const [distinct, inverse] = node.outputs.map((v) => emitter.name(v));
    emitter.node('Unique', [wide], [distinct!, '', inverse!], { sorted: 1 });
  },
  gradient: 'none',
  examples: [
    {
      inputs: [{ shape: [7], dtype: 'int32', values: [9, 2, 2, 0, 9, 5, 2] }],
      call: ([ids]) => Object.values(unique(ids!)),
    },
  ],
});

function unique(ids: Value): { distinct: Value; inverse: Value } {
  const [distinct, inverse] = uniqueOp([ids], undefined);
  return { distinct: distinct!, inverse: inverse! };
}

const iotaLikeOp = defineOp<undefined>({
  name: 'iota_like',
  infer: ([x]) => [{ dtype: 'int64', shape: x!.shape }],
  emit: (emitter, node) => {
    const [size, one] = [emitter.fresh('size'), emitter.fresh('count')];
    emitter.node('Shape', [emitter.name(node.inputs[0]!)], [size], { start: 0, end: 1 });
    emitter.node('Squeeze', [size, emitter.constant('int64', [1], [0])], [one]);
    emitter.node(
      'Range',
      [emitter.constant('int64', [], [0]), one, emitter.constant('int64', [], [1])],
      [emitter.name(node.outputs[0]!)],
    );
  },
  gradient: 'none',
  examples: [
    { inputs: [{ shape: [4], dtype: 'int32', values: [7, 7, 1, 0] }] },
    { inputs: [{ shape: [1] }] },
  ],
});

const iotaLike = (x: Value): Value => iotaLikeOp([x], undefined)[0]!;

const putRowsOp = defineOp<undefined>({
  name: 'put_rows',
  infer: ([table]) => [table!],
  emit: (emitter, node) => {
    const [table, ids, rows] = node.inputs.map((v) => emitter.name(v));
    const index = emitter.fresh('index');
    emitter.node('Unsqueeze', [ids!, emitter.constant('int64', [1], [1])], [index]);
    emitter.node('ScatterND', [table!, index, rows!], [emitter.name(node.outputs[0]!)]);
  },
  gradient: 'none',
  examples: [
    {
      inputs: [{ shape: [5, 3] }, { shape: [2], dtype: 'int32', values: [3, 0] }, { shape: [2, 3] }],
      call: ([table, ids, rows]) => [putRows(table!, cast(ids!, 'int64'), rows!)],
    },
  ],
});

/** table with its rows `ids` (distinct, int64) replaced: without repeats nothing is added and nothing races. */
const putRows = (table: Value, ids: Value, rows: Value): Value =>
  putRowsOp([table, ids, rows], undefined)[0]!;

const PICKED: OpExample['inputs'] = [
  { shape: [4, 3] },
  { shape: [5], dtype: 'int32', values: [2, 0, 0, 3, 0] },
  { shape: [4], dtype: 'int32', values: [1, 0, 0, 3] },
  { shape: [5], values: [1, 1, 0, 1, 0] },
  { shape: [4], values: [1, 0, 1, 1] },
];

const pickOp = defineOp<undefined>({
  name: 'pick_rows',
  infer: ([x, index]) => [{ dtype: x!.dtype, shape: [...index!.shape, ...x!.shape.slice(1)] }],
  emit: (emitter, node) => {
    const [x, index] = node.inputs.map((v) => emitter.name(v));
    emitter.node(emitGather, [x!, index!], [emitter.name(node.outputs[0]!)], { axis: 0 });
  },
  // Each row of x is picked at most once where `live`: dx is the reverse picking, and zero for rows never picked.
  gradient: ([g], { inputs: [x, index, inverse, live, picked] }) => {
    const masked = mul(g!, reshape(live!, [...live!.shape, ...g!.shape.slice(live!.rank).map((): Dim => 1)]));
    const flat = reshape(masked, [flatDim(index!.shape), ...x!.shape.slice(1)]);
    const back = pickOp([flat, inverse!, index!, picked!, live!], undefined)[0]!;
    const shaped = reshape(back, x!.shape);
    return [
      mul(shaped, reshape(picked!, [x!.shape[0]!, ...x!.shape.slice(1).map((): Dim => 1)])),
      undefined,
      undefined,
      undefined,
      undefined,
    ];
  },
  examples: [
    { inputs: PICKED, differentiate: [] },
    {
      // As its users have it: filler is read by nothing.
      inputs: PICKED,
      attrs: { masked: true },
      call: ([x, index, inverse, live, picked]) => [
        mul(pickRows(x!, index!, inverse!, live!, picked!), reshape(live!, [5, 1])),
      ],
      differentiate: [0],
    },
  ],
});

const flatDim = (shape: readonly Dim[]): Dim =>
  shape.length === 1
    ? shape[0]!
    : shape.every((dim) => typeof dim === 'number')
      ? shape.reduce((a, b) => a * b, 1)
      : shape.join('*');

/**
 * Rows of `x` [N, ..] by `index` (int32, any shape), each row picked at most once where `live` is 1; where it is 0
 * the row is filler that nothing may read. `inverse` [N] says where in the flattened result each row went, `picked` [N]
 * is 0 for rows that went nowhere. Its gradient is itself, backwards: packing and unpacking sequences cost one copy.
 */
export const pickRows = (x: Value, index: Value, inverse: Value, live: Value, picked: Value): Value =>
  pickOp([x, index, inverse, live, picked], undefined)[0]!;

export const GATHER = {
  gather: gatherOp.op,
  unique: uniqueOp.op,
  iota_like: iotaLikeOp.op,
  put_rows: putRowsOp.op,
  pick_rows: pickOp.op,
};

export { iota };
