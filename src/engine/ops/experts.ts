// Rows of the tokens that chose an expert, and their way back: each expert multiplies its own rows only.

import { assert } from '../../base/error.ts';
import type { Dim } from '../../tensor/tensor.ts';
import type { Emission, OpExample, Value } from '../graph.ts';
import { defineOp } from '../op.ts';

interface Choice {
  /** The column of `chosen`. */
  readonly expert: number;
  /** What the number of its rows is called. */
  readonly dim: Dim;
}

/** Rows of zeros after the chosen ones: a product of one row takes another kernel, with other last bits. */
const FILLER = 1;

/** The int64 indices of the rows that chose the expert, ascending: [n]. */
function chosenRows(emitter: Emission, chosen: string, expert: number): string {
  const [column, places, rows] = ['column', 'places', 'chosen'].map((stem) => emitter.fresh(stem));
  emitter.node('Gather', [chosen, emitter.constant('int64', [], [expert])], [column!], { axis: 1 });
  emitter.node('NonZero', [column!], [places!]); // [1, n]
  emitter.node('Squeeze', [places!, emitter.constant('int64', [1], [0])], [rows!]);
  return rows!;
}

const CHOSEN: OpExample['inputs'][number] = {
  shape: [4, 3],
  values: [0, 1, 0, 1, 1, 0, 0, 0, 0, 0, 1, 0],
};

const takeOp = defineOp<Choice>({
  name: 'expert_rows',
  infer: ([x, chosen], { dim }) => {
    assert(x!.shape.length === 2 && chosen!.shape.length === 2, 'expert_rows: [T, W] by [T, X]');
    return [{ dtype: x!.dtype, shape: [dim, x!.shape[1]!] }];
  },
  emit: (emitter, node) => {
    const [x, chosen] = node.inputs.map((v) => emitter.name(v));
    const width = node.inputs[0]!.shape[1];
    assert(typeof width === 'number', 'expert_rows: a known width');
    const own = emitter.fresh('own');
    emitter.node('Gather', [x!, chosenRows(emitter, chosen!, node.attrs.expert)], [own], { axis: 0 });
    const zeros = emitter.constant('float32', [FILLER, width], Array<number>(FILLER * width).fill(0));
    emitter.node('Concat', [own, zeros], [emitter.name(node.outputs[0]!)], { axis: 0 });
  },
  // Every row is taken at most once: dx is g put back.
  gradient: ([g], { inputs: [, chosen], attrs }) => [putExpertRows(g!, chosen!, attrs), undefined],
  examples: [
    { inputs: [{ shape: [4, 2] }, CHOSEN], attrs: { expert: 1, dim: 4 }, differentiate: [0] },
    { inputs: [{ shape: [4, 1] }, CHOSEN], attrs: { expert: 2, dim: 1 }, differentiate: [0] }, // nobody chose it
  ],
});

const putOp = defineOp<Choice>({
  name: 'put_expert_rows',
  infer: ([rows, chosen]) => [{ dtype: rows!.dtype, shape: [chosen!.shape[0]!, rows!.shape[1]!] }],
  emit: (emitter, node) => {
    const [rows, chosen] = node.inputs.map((v) => emitter.name(v));
    const width = node.inputs[0]!.shape[1];
    assert(typeof width === 'number', 'put_expert_rows: a known width');
    const names = ['index', 'own', 'tokens', 'size', 'zeros'].map((stem) => emitter.fresh(stem));
    const [index, own, tokens, size, zeros] = names as [string, string, string, string, string];
    const column = emitter.constant('int64', [1], [1]);
    emitter.node('Unsqueeze', [chosenRows(emitter, chosen!, node.attrs.expert), column], [index]);
    const ints = (x: number) => emitter.constant('int64', [1], [x]);
    emitter.node('Slice', [rows!, ints(0), ints(-FILLER), ints(0)], [own]);
    emitter.node('Shape', [chosen!], [tokens], { start: 0, end: 1 });
    emitter.node('Concat', [tokens, ints(width)], [size], { axis: 0 });
    emitter.node('Expand', [emitter.constant('float32', [], [0]), size], [zeros]);
    emitter.node('ScatterND', [zeros, index, own], [emitter.name(node.outputs[0]!)]);
  },
  // d rows = the same rows of g; nothing comes of the filler.
  gradient: ([g], { inputs: [, chosen], attrs }) => [expertRows(g!, chosen!, attrs), undefined],
  examples: [
    { inputs: [{ shape: [4, 2] }, CHOSEN], attrs: { expert: 1, dim: 4 }, differentiate: [0] },
    { inputs: [{ shape: [1, 3] }, CHOSEN], attrs: { expert: 2, dim: 1 }, differentiate: [0] },
  ],
});

/**
 * Rows of x [T, W] whose tokens chose the expert (column `expert` of `chosen` [T, X] is not 0), in their order, then one of
 * zeros: [dim, W]. `dim` is a name of its own for each choice.
 */
export const expertRows = (x: Value, chosen: Value, choice: Choice): Value => takeOp([x, chosen], choice)[0]!;

/** What `expertRows` took, put back among zeros: [dim, W] → [T, W]; its last row is left out. */
export const putExpertRows = (rows: Value, chosen: Value, choice: Choice): Value =>
  putOp([rows, chosen], choice)[0]!;

export const EXPERTS = { expert_rows: takeOp.op, put_expert_rows: putOp.op };
