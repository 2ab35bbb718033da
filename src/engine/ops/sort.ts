// Ops of sampling: the largest columns in order, running sums along them, and marks at single columns.

import { assert } from '../../base/error.ts';
import type { Dim } from '../../tensor/tensor.ts';
import type { Value } from '../graph.ts';
import { defineOp } from '../op.ts';
import { cast } from './arithmetic.ts';

const topOp = defineOp<{ dim: Dim }>({
  name: 'top',
  infer: ([x, count], { dim }) => {
    assert(x!.shape.length === 2 && count!.shape.length === 0, 'top: [B, V] and a scalar');
    const shape = [x!.shape[0]!, dim];
    return [
      { dtype: x!.dtype, shape },
      { dtype: 'int64', shape },
    ];
  },
  emit: (emitter, node) => {
    const [x, count] = node.inputs.map((v) => emitter.name(v));
    const [wide, k] = [emitter.fresh('wide'), emitter.fresh('k')];
    emitter.node('Cast', [count!], [wide], { to: 7 });
    emitter.node('Unsqueeze', [wide, emitter.constant('int64', [1], [0])], [k]);
    emitter.node(
      'TopK',
      [x!, k],
      node.outputs.map((v) => emitter.name(v)),
      { axis: -1, largest: 1, sorted: 1 },
    );
  },
  gradient: 'none',
  examples: [
    {
      inputs: [{ shape: [3, 7] }, { shape: [], dtype: 'int32', values: [4] }],
      attrs: { dim: 4 },
    },
    {
      // Of equals the one that stands first.
      inputs: [
        { shape: [2, 4], values: [2, 5, 5, 1, 0, 0, 0, 0] },
        { shape: [], dtype: 'int32', values: [3] },
      ],
      attrs: { dim: 3 },
    },
  ],
});

/**
 * The `count` (int32 scalar) largest of each row of x [B, V], largest first, of equals the one that stands first:
 * values and int32 columns, [B, dim] each.
 */
export function top(x: Value, count: Value, dim: Dim): { values: Value; columns: Value } {
  const [values, columns] = topOp([x, count], { dim });
  return { values: values!, columns: cast(columns!, 'int32') };
}

const cumulativeOp = defineOp<{ exclusive: boolean }>({
  name: 'cumulative_sum',
  infer: ([x]) => [x!],
  emit: (emitter, node) =>
    emitter.node(
      'CumSum',
      [emitter.name(node.inputs[0]!), emitter.constant('int64', [], [node.inputs[0]!.rank - 1])],
      [emitter.name(node.outputs[0]!)],
      { exclusive: node.attrs.exclusive ? 1 : 0 },
    ),
  gradient: 'none',
  examples: [
    { inputs: [{ shape: [3, 5] }], attrs: { exclusive: false } },
    { inputs: [{ shape: [3, 5] }], attrs: { exclusive: true } },
  ],
});

/** Running sums along the last axis: of everything up to and with an element, or (exclusive) before it. */
export const cumulativeSum = (x: Value, exclusive = false): Value => cumulativeOp([x], { exclusive })[0]!;

const markOp = defineOp<undefined>({
  name: 'mark',
  infer: ([x]) => [x!],
  emit: (emitter, node) => {
    const [x, columns, ones] = node.inputs.map((v) => emitter.name(v));
    emitter.node('ScatterElements', [x!, columns!, ones!], [emitter.name(node.outputs[0]!)], { axis: 1 });
  },
  gradient: 'none',
  examples: [
    {
      inputs: [
        { shape: [2, 4] },
        { shape: [2, 1], dtype: 'int32', values: [3, 0] },
        { shape: [2, 1], values: [1, 1] },
      ],
    },
  ],
});

/** x [B, V] with row i's column columns[i, 0] set to marks[i, 0]: one place a row, so nothing races. */
export const mark = (x: Value, columns: Value, marks: Value): Value =>
  markOp([x, columns, marks], undefined)[0]!;

export const SORT = { top: topOp.op, cumulative_sum: cumulativeOp.op, mark: markOp.op };
