// Activations by the names that Hugging Face's configs have for them (transformers' ACT2FN).

import type { Value } from '../../engine/graph.ts';
import { add, div, erf, mul, relu, sigmoid, silu, tanh } from '../../engine/ops/arithmetic.ts';

const half = (x: Value, y: Value): Value => mul(mul(x, 0.5), add(y, 1));

/** x·Φ(x) (Hendrycks & Gimpel 2016). */
const gelu = (x: Value): Value => half(x, erf(mul(x, Math.SQRT1_2)));

/** Its approximation by tanh. */
const geluTanh = (x: Value): Value => {
  const cubed = mul(mul(x, x), x);
  return half(x, tanh(mul(add(x, mul(cubed, 0.044715)), Math.sqrt(2 / Math.PI))));
};

export const ACTIVATIONS = {
  gelu,
  gelu_fast: geluTanh,
  gelu_new: geluTanh,
  gelu_pytorch_tanh: geluTanh,
  quick_gelu: (x: Value): Value => mul(x, sigmoid(mul(x, 1.702))),
  relu,
  relu2: (x: Value): Value => mul(relu(x), relu(x)),
  silu,
  swish: silu,
} as const;

export type Activation = keyof typeof ACTIVATIONS;

/** x ↦ cap · tanh(x / cap), element by element. */
export const softCapped =
  (cap: number) =>
  (x: Value): Value =>
    mul(tanh(div(x, cap)), cap);
