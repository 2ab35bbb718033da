// What an op is: its shape rule, its ONNX nodes, its gradient and examples to test it by, in one object.

import { assert } from '../base/error.ts';
import type { Dim } from '../tensor/tensor.ts';
import { type Graph, innermost, type Node, type Type, type Value } from './graph.ts';
import type { Emitter } from './onnx.ts';

/** A concrete call for the generic op test. `draw` says how the float inputs are drawn. */
export interface OpExample {
  readonly inputs: readonly {
    shape: readonly number[];
    dtype?: Type['dtype'];
    values?: readonly number[];
    positive?: boolean;
  }[];
  readonly attrs?: unknown;
  /** Indices of inputs the gradient is checked for; default: every float input. */
  readonly differentiate?: readonly number[];
}

/** Cotangents of a node's outputs in, cotangents of its inputs out; `undefined` where an input has none. */
export type GradientRule<A> = (
  cotangents: readonly (Value | undefined)[],
  node: Node & { readonly attrs: A },
) => readonly (Value | undefined)[];

export interface Op<A = unknown> {
  readonly name: string;
  /** The shape rule. Throws when the inputs do not fit (our bug, never the user's). */
  readonly infer: (inputs: readonly Type[], attrs: A) => readonly Type[];
  readonly emit: (emitter: Emitter, node: Node & { readonly attrs: A }) => void;
  /** `'none'` (an error where one is asked for) is written, never left out; `'stop'`: a constant to the backward pass. */
  readonly gradient: 'none' | 'stop' | GradientRule<A>;
  readonly examples: readonly OpExample[];
  /** Multiplications and additions of a matrix product, sizes as a run has them; absent where an op has none. */
  readonly flops?: (inputs: readonly (readonly number[])[], attrs: A) => number;
  /** A matrix product: what it makes is worth keeping for the backward pass when the rest is computed again. */
  readonly heavy?: true;
}

export const OPS = new Map<string, Op>();

/** Registers the op for the generic test and returns how to apply it. */
export function defineOp<A = undefined>(
  op: Op<A>,
): (inputs: readonly Value[], attrs: A, graph?: Graph) => readonly Value[] {
  assert(!OPS.has(op.name), `two ops named ${op.name}`);
  const erased = op as unknown as Op; // attrs are checked where they are given, below
  OPS.set(op.name, erased);
  return (inputs, attrs, graph) =>
    (graph ?? innermost(inputs)).add(
      erased,
      inputs,
      attrs,
      op.infer(
        inputs.map((input) => input.type),
        attrs,
      ),
    );
}

/** Numpy's broadcasting over symbolic dimensions: equal, or one of them 1. */
export function broadcast(a: readonly Dim[], b: readonly Dim[]): Dim[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const [x, y] = [a[a.length - rank + i] ?? 1, b[b.length - rank + i] ?? 1];
    if (x === 1) return y;
    assert(y === 1 || x === y, `shapes [${a}] and [${b}] do not broadcast`);
    return x;
  });
}
