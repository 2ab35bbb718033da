// Multiplications and additions of a graph's matrix products, for the sizes that one run had.

import type { Dim } from '../tensor/tensor.ts';
import { type Graph, type Node, reachable, type Value } from './graph.ts';
import { loopOf } from './ops/loop.ts';

export interface Flops {
  readonly flops: number;
  /** False where a product's size is known only inside the run: then `flops` leaves it out. */
  readonly exact: boolean;
}

export function productFlops(graph: Graph, sizes: ReadonlyMap<string, number>): Flops {
  let exact = true;
  const count = (values: readonly Value[], within?: Graph): number => {
    let sum = 0;
    for (const node of reachable(values, within)) {
      const loop = loopOf(node);
      if (loop) {
        const rounds = sizeOf(loop.rounds, sizes);
        if (rounds === undefined) exact = false;
        sum += (rounds ?? 1) * count(loop.outputs, loop.body);
      } else if (node.op.flops) {
        const flops = flopsOf(node, sizes);
        if (flops === undefined) exact = false;
        sum += flops ?? 0;
      }
    }
    return sum;
  };
  return { flops: count(graph.outputs.map(({ value }) => value)), exact };
}

/** Undefined where a size is not known. */
function flopsOf(node: Node, sizes: ReadonlyMap<string, number>): number | undefined {
  const shapes = node.inputs.map(({ shape }) => shape.map((dim) => sizeOf(dim, sizes)));
  if (shapes.some((shape) => shape.includes(undefined))) return undefined;
  return node.op.flops!(shapes as number[][], node.attrs);
}

/** A number, a symbol, or a product such as `3*S`. */
function sizeOf(dim: Dim, sizes: ReadonlyMap<string, number>): number | undefined {
  if (typeof dim === 'number') return dim;
  let product = 1;
  for (const factor of dim.split('*')) {
    const size = /^\d+$/.test(factor) ? Number(factor) : sizes.get(factor);
    if (size === undefined) return undefined;
    product *= size;
  }
  return product;
}
