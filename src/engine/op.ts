// How an op is defined and applied, and numpy's broadcasting, which several shape rules share.

import { assert } from '../base/error.ts';
import type { Dim } from '../tensor/tensor.ts';
import { type Graph, innermost, type Op, type Value } from './graph.ts';

/** Applies an op: in the innermost scope of its inputs, or in `graph` where it has none. */
type Apply<A> = (inputs: readonly Value[], attrs: A, graph?: Graph) => readonly Value[];

/** Returns how to apply the op, and the op itself for its file's record of them (`OPS` in `ops.ts`). */
export function defineOp<A = undefined>(op: Op<A>): Apply<A> & { readonly op: Op } {
  const erased = op as unknown as Op; // attrs are checked where they are given, below
  const apply: Apply<A> = (inputs, attrs, graph) =>
    (graph ?? innermost(inputs)).add(
      erased,
      inputs,
      attrs,
      op.infer(
        inputs.map((input) => input.type),
        attrs,
      ),
    );
  return Object.assign(apply, { op: erased });
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
