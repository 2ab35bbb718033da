// Values that have no inputs: what a run feeds, what the checkpoint's file holds, and constants.

import { type Dim, type Dtype, elements, type TensorRef } from '../../tensor/tensor.ts';
import { type Graph, type Node, type Value, weightKey } from '../graph.ts';
import { defineOp } from '../op.ts';

const inputOp = defineOp<{ name: string; dtype: Dtype; shape: readonly Dim[] }>({
  name: 'input',
  infer: (_, { dtype, shape }) => [{ dtype, shape }],
  emit: () => {}, // named and declared by the graph
  gradient: () => [],
  examples: [
    { inputs: [{ shape: [2, 3] }], call: (inputs) => inputs },
    { inputs: [{ shape: [], dtype: 'int32', values: [-5] }], call: (inputs) => inputs },
  ],
});

/** A checkpoint's tensor, with its name for people. */
type Weight = TensorRef & { readonly name?: string };

const weightOp = defineOp<Weight>({
  name: 'weight',
  infer: (_, { dtype, shape }) => [{ dtype, shape }],
  emit: (emitter, node) => emitter.weight(emitter.name(node.outputs[0]!), node.attrs),
  gradient: () => [],
  examples: [{ inputs: [{ shape: [2, 3], stored: true }], call: (inputs) => inputs }],
});

const constantOp = defineOp<{ dtype: Dtype; shape: readonly number[]; data: readonly number[] }>({
  name: 'constant',
  infer: (_, { dtype, shape }) => [{ dtype, shape }],
  emit: (emitter, node) => {
    const { dtype, shape, data } = node.attrs;
    emitter.setName(node.outputs[0]!, emitter.constant(dtype, shape, data));
  },
  gradient: () => [],
  examples: [
    {
      inputs: [],
      call: (_, graph) => [
        constant(graph, 'float32', [2, 2], [0.5, -1, 2, 1e-3]),
        constant(graph, 'int32', [9], [1, 2, 3, 4, 5, 6, 7, 8, -9]),
        constant(graph, 'int64', [], [2 ** 40]),
        constant(graph, 'bool', [2], [1, 0]),
      ],
    },
  ],
});

/** A tensor each run brings. Symbols in `shape` are sizes the run decides. */
export function input(graph: Graph, name: string, dtype: Dtype, shape: readonly Dim[]): Value {
  const value = inputOp([], { name, dtype, shape }, graph)[0]!;
  graph.inputs.push({ name, value });
  return value;
}

/** A tensor of a checkpoint, used where it lies; the same value however often it is asked for. */
export const weight = (graph: Graph, ref: TensorRef, name?: string): Value =>
  graph.once(weightKey(ref), () => weightOp([], name === undefined ? ref : { ...ref, name }, graph.root)[0]!);

/** The checkpoint's name of a weight or of a trained tensor that is fed under it; undefined for any other node. */
export function nameOfWeight({ op, attrs }: Node): string | undefined {
  if (op.name !== 'weight' && op.name !== 'input') return undefined;
  const { name } = attrs as { readonly name?: string };
  return op.name === 'weight' || name?.match(/\.(weight|bias)$/) ? name : undefined;
}

export function constant(
  graph: Graph,
  dtype: Dtype,
  shape: readonly number[],
  data: readonly number[],
): Value {
  const key = elements(shape) <= 8 ? `constant:${dtype}:${shape}:${data}` : undefined;
  const make = () => constantOp([], { dtype, shape, data }, graph.root)[0]!;
  return key ? graph.once(key, make) : make();
}

export const scalar = (graph: Graph, value: number, dtype: Dtype = 'float32'): Value =>
  constant(graph, dtype, [], [value]);

export const LEAVES = { input: inputOp.op, weight: weightOp.op, constant: constantOp.op };
