// AdamW with decoupled weight decay (Loshchilov & Hutter 2019) and clipping by global norm, written in ops.

import type { Graph, Value } from '../engine/graph.ts';
import { add, div, min, mul, sqrt, sub } from '../engine/ops/arithmetic.ts';
import { input } from '../engine/ops/leaves.ts';
import { sumAll } from '../engine/ops/shape.ts';
import type { Feed } from '../engine/session.ts';
import type { Dim } from '../tensor/tensor.ts';

export interface AdamW {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weight_decay: number;
  /** What weight decay shrinks. */
  readonly decay: Decay;
  /** Largest global norm of the gradient; Infinity: never clipped. */
  readonly clip: number;
}

/** The limit that the setting `clip` asks for, of which 0 means none. */
export const clipLimit = (setting: number): number => (setting === 0 ? Number.POSITIVE_INFINITY : setting);

/**
 * `all` as torch's AdamW by itself; `matrices` leaves out norms and biases as transformers' Trainer does: single vectors, and
 * what is named like a norm or a bias whatever its shape (T5's table of distances, Cohere's norms of each head).
 */
export type Decay = 'all' | 'matrices';

const NORM_OR_BIAS = /bias|layernorm|rmsnorm|(?:^|\.)norm(?:$|\.)|_norm(?:$|\.)/i;
const DECAYS: Readonly<Record<Decay, (name: string, shape: readonly Dim[]) => boolean>> = {
  all: () => true,
  matrices: (name, shape) => shape.length > 1 && !NORM_OR_BIAS.test(name),
};

/** The weight decay of a parameter of this name and shape. */
export const decayOf = ({ weight_decay, decay }: AdamW, name: string, shape: readonly Dim[]): number =>
  DECAYS[decay](name, shape) ? weight_decay : 0;

export const ADAMW: AdamW = {
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  weight_decay: 0,
  decay: 'all',
  clip: 1,
};

/** What one step brings besides the batch. */
export interface StepInputs {
  readonly rate: Value;
  readonly correction1: Value; // 1 − β₁ᵗ
  readonly correction2: Value; // √(1 − β₂ᵗ)
}

export const stepInputs = (graph: Graph): StepInputs => ({
  rate: input(graph, 'rate', 'float32', []),
  correction1: input(graph, 'correction1', 'float32', []),
  correction2: input(graph, 'correction2', 'float32', []),
});

/** @param step counts from 1 */
export function stepFeeds({ beta1, beta2 }: AdamW, rate: number, step: number): Record<string, Feed> {
  const scalar = (value: number): Feed => ({ data: Float32Array.of(value), shape: [] });
  return {
    rate: scalar(rate),
    correction1: scalar(1 - beta1 ** step),
    correction2: scalar(Math.sqrt(1 - beta2 ** step)),
  };
}

/** √Σ|g|² over all gradients, summed tensor by tensor. */
export const globalNorm = (gradients: readonly Value[]): Value =>
  sqrt(gradients.map((g) => sumAll(mul(g, g))).reduce((a, b) => add(a, b)));

/** The factor that brings a gradient of this norm down to the limit, as torch's clip_grad_norm_. */
export const clipFactor = (norm: Value, clip: number): Value => min(div(clip, add(norm, 1e-6)), 1);

/**
 * One update. p ← p·(1 − ηλ) − η/c₁ · m / (√v/c₂ + ε), with m and v the running means of g and g².
 * @returns the new parameter and moments
 */
export function adamW(
  settings: Pick<AdamW, 'beta1' | 'beta2' | 'epsilon'>,
  weight_decay: number,
  { rate, correction1, correction2 }: StepInputs,
  parameter: Value,
  gradient: Value,
  m: Value,
  v: Value,
): { parameter: Value; m: Value; v: Value } {
  const { beta1, beta2, epsilon } = settings;
  const mNew = add(mul(m, beta1), mul(gradient, 1 - beta1));
  const vNew = add(mul(v, beta2), mul(mul(gradient, gradient), 1 - beta2));
  const direction = div(mNew, add(div(sqrt(vNew), correction2), epsilon));
  const kept = weight_decay === 0 ? parameter : mul(parameter, sub(1, mul(rate, weight_decay)));
  return { parameter: sub(kept, mul(direction, div(rate, correction1))), m: mNew, v: vNew };
}
