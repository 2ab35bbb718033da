// Normalisations as values: what each does with its weights, and which tensors it has.

import type { Value } from '../../engine/graph.ts';
import { add, cast, mul } from '../../engine/ops/arithmetic.ts';
import { constant } from '../../engine/ops/leaves.ts';
import { layerNorm, rmsNorm } from '../../engine/ops/normalise.ts';
import { concat, reshape } from '../../engine/ops/shape.ts';
import type { Weights } from '../family.ts';
import type { Shapes } from './linear.ts';

export interface Norm {
  /** Normalises the last axis of x with the tensors called `name`. */
  apply(w: Weights, name: string, x: Value): Value;
  shapes(table: Shapes, name: string, shape: readonly number[]): void;
}

const onlyWeight = (table: Shapes, name: string, shape: readonly number[]): void => {
  table.tensor(`${name}.weight`, shape);
};

/** x / rms(x) · γ (Zhang & Sennrich 2019). */
export const rms = (eps: number): Norm => ({
  apply: (w, name, x) => rmsNorm(x, w(`${name}.weight`), eps),
  shapes: onlyWeight,
});

/** x / rms(x) · (1 + γ), as Gemma stores it. */
export const rmsPlusOne = (eps: number): Norm => ({
  apply: (w, name, x) => rmsNorm(x, add(cast(w(`${name}.weight`), 'float32'), 1), eps),
  shapes: onlyWeight,
});

/** Layer norm with a bias. */
export const layerWithBias = (eps: number): Norm => ({
  apply: (w, name, x) => layerNorm(x, w(`${name}.weight`), w(`${name}.bias`), eps),
  shapes(table, name, shape) {
    table.tensor(`${name}.weight`, shape).tensor(`${name}.bias`, shape);
  },
});

/** Layer norm with a bias, whose weight counts from 1 (Nemotron). */
export const layerPlusOne = (eps: number): Norm => ({
  ...layerWithBias(eps),
  apply: (w, name, x) => layerNorm(x, add(cast(w(`${name}.weight`), 'float32'), 1), w(`${name}.bias`), eps),
});

/** Layer norm that has learnt nothing: no weights, no bias. */
export const layerBare = (eps: number): Norm => ({
  apply: (_w, _name, x) => standardised(x, eps),
  shapes() {},
});

/** Layer norm without one. Weights of several axes (Cohere's, of each head) are multiplied on afterwards. */
export const layerWithoutBias = (eps: number): Norm => ({
  apply(w, name, x) {
    const gamma = w(`${name}.weight`);
    if (gamma.rank === 1) return layerNorm(x, gamma, undefined, eps);
    return mul(standardised(x, eps), cast(gamma, 'float32'));
  },
  shapes: onlyWeight,
});

/** Layer norm without a bias of x [T, H, D], each head by a tensor of its own, `{name}.norms.{head}.weight` [D] (StableLM 2 12B). */
export const layerOfHeads = (eps: number): Norm => ({
  apply(w, name, x) {
    const [, heads, width] = x.shape as [unknown, number, number];
    const rows = Array.from({ length: heads }, (_, head) => w(`${name}.norms.${head}.weight`));
    return mul(standardised(x, eps), cast(reshape(concat(rows, 0), [heads, width]), 'float32'));
  },
  shapes(table, name, [heads, width]) {
    for (let head = 0; head < heads!; head++) table.tensor(`${name}.norms.${head}.weight`, [width!]);
  },
});

/** Mean 0 and variance 1 along the last axis. */
function standardised(x: Value, eps: number): Value {
  const width = x.shape.at(-1) as number;
  return layerNorm(x, constant(x.scope, 'float32', [width], Array(width).fill(1)), undefined, eps);
}
