// Linear layers by name, with their biases where a family has them, and the table of shapes they need.

import type { Value } from '../../engine/graph.ts';
import { add, cast } from '../../engine/ops/arithmetic.ts';
import { linear } from '../../engine/ops/matmul.ts';
import type { Weights } from '../family.ts';

/** x [T, in] through `{prefix}{name}.weight` [out, in], plus its bias where `bias`. */
export const projections =
  (w: Weights, prefix: string, bias: boolean) =>
  (name: string, x: Value): Value => {
    const y = linear(x, w(`${prefix}${name}.weight`));
    return bias ? add(y, cast(w(`${prefix}${name}.bias`), 'float32')) : y;
  };

/** Every tensor of a config, collected by name. */
export class Shapes {
  readonly table = new Map<string, readonly number[]>();

  tensor(name: string, shape: readonly number[]): this {
    this.table.set(name, shape);
    return this;
  }

  /** Weight [out, in] and, where `bias`, bias [out]. */
  linear(name: string, out: number, width: number, bias = false): this {
    this.table.set(`${name}.weight`, [out, width]);
    if (bias) this.table.set(`${name}.bias`, [out]);
    return this;
  }

  /** Weight and, where `bias`, bias, each [width]. */
  norm(name: string, width: number, bias = false): this {
    this.table.set(`${name}.weight`, [width]);
    if (bias) this.table.set(`${name}.bias`, [width]);
    return this;
  }
}
