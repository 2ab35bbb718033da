// Sparse experts (Shazeer et al. 2017; Jiang et al. 2024): a router sends each token through a few of many gated MLPs and
// sums what they give, weighted by its softmax.

import type { Value } from '../../engine/graph.ts';
import { add, cast, div, equal, mul, sigmoid, stopGradient } from '../../engine/ops/arithmetic.ts';
import { expertRows, putExpertRows } from '../../engine/ops/experts.ts';
import { constant, scalar } from '../../engine/ops/leaves.ts';
import { gemm } from '../../engine/ops/matmul.ts';
import { softmax } from '../../engine/ops/normalise.ts';
import { iota, reduceSum, reshape, slice } from '../../engine/ops/shape.ts';
import { top } from '../../engine/ops/sort.ts';
import type { Weights } from '../family.ts';
import { ACTIVATIONS, type Activation } from './activations.ts';
import { projections, type Shapes } from './linear.ts';

export interface ExpertsPart {
  /** What the block is called below its layer; in it `gate` is the router, `experts.N` are the experts. */
  readonly block: string;
  readonly count: number;
  /** How many of them a token goes through. */
  readonly perToken: number;
  readonly intermediate_size: number;
  readonly activation: Activation;
  /** The matrices of act(gate·x)·up·x and the one down. */
  readonly gate: string;
  readonly up: string;
  readonly down: string;
  /** Whether the weights of the chosen ones are made to sum to one. */
  readonly normalised: boolean;
  /** The width of an expert that every token goes through (`shared_expert`), behind a gate of its own. */
  readonly shared?: number;
  /** Whether a layer has experts; the others have the family's dense MLP. */
  readonly sparse: (layer: number) => boolean;
}

const SHARED = { gate: 'gate_proj', up: 'up_proj', down: 'down_proj' };

/** @param at what the names of the layer's tensors begin with */
export function expertShapes(part: ExpertsPart, table: Shapes, at: string, E: number): void {
  const { count, intermediate_size: F, shared, gate, up, down } = part;
  const block = `${at}${part.block}.`;
  const mlp = (name: string, names: typeof SHARED, width: number): void => {
    table.linear(`${block}${name}.${names.gate}`, width, E);
    table.linear(`${block}${name}.${names.up}`, width, E);
    table.linear(`${block}${name}.${names.down}`, E, width);
  };
  table.linear(`${block}gate`, count, E);
  for (let n = 0; n < count; n++) mlp(`experts.${n}`, { gate, up, down }, F);
  if (shared === undefined) return;
  mlp('shared_expert', SHARED, shared);
  table.linear(`${block}shared_expert_gate`, 1, E);
}

/** Of the tokens, how many go through a tensor of a layer with experts: 1 for the router and what is shared. */
export const expertShare = ({ count, perToken }: ExpertsPart, name: string): number =>
  /\.experts\.\d+\./.test(name) ? perToken / count : 1;

/**
 * A parameter in which transformers 5 stacks a matrix of all experts of a layer, [experts, out, in] → for each expert the
 * matrices that its rows are, one below the other. Undefined for any other name.
 */
export function stackedExperts(
  { block, count, gate, up, down, sparse }: ExpertsPart,
  layers: readonly string[],
  parameter: string,
): readonly (readonly string[])[] | undefined {
  const at = layers.find((layer, i) => sparse(i) && parameter.startsWith(`${layer}mlp.experts.`));
  if (at === undefined) return undefined;
  const rows = { gate_up_proj: [gate, up], down_proj: [down] } as const;
  const last = parameter.slice(`${at}mlp.experts.`.length);
  if (!Object.hasOwn(rows, last)) return undefined;
  const of = rows[last as keyof typeof rows];
  return Array.from({ length: count }, (_, n) =>
    of.map((name) => `${at}${block}.experts.${n}.${name}.weight`),
  );
}

/** x [T, E] → [T, E]. A token's result depends on no other token: an expert's rows are multiplied row by row. */
export function throughExperts(part: ExpertsPart, w: Weights, at: string, x: Value): Value {
  const { count, shared, activation, gate, up, down } = part;
  const block = `${at}${part.block}.`;
  const act = ACTIVATIONS[activation];
  const mlp = (name: string, names: typeof SHARED, rows: Value): Value => {
    const project = projections(w, `${block}${name}.`, false);
    return project(names.down, mul(act(project(names.gate, rows)), project(names.up, rows)));
  };
  const router = projections(w, block, false);
  const { chosen, weights } = routed(part, router('gate', x));
  let sum: Value | undefined;
  for (let n = 0; n < count; n++) {
    const choice = { expert: n, dim: `${block}${n}` };
    const out = mlp(`experts.${n}`, { gate, up, down }, expertRows(x, chosen, choice)); // [n, E]
    const weight = expertRows(slice(weights, 1, n, n + 1), chosen, choice); // [n, 1]
    const own = putExpertRows(mul(out, weight), chosen, choice);
    sum = sum ? add(sum, own) : own;
  }
  if (shared === undefined) return sum!;
  return add(sum!, mul(sigmoid(router('shared_expert_gate', x)), mlp('shared_expert', SHARED, x)));
}

/** Which experts each row takes, 1 or 0, and how much of each: [T, X] both. The choice itself has no gradient. */
function routed({ count, perToken, normalised }: ExpertsPart, logits: Value) {
  const probabilities = softmax(logits); // [T, X]
  const [T] = logits.shape;
  const fixed = stopGradient(probabilities);
  const { columns } = top(fixed, scalar(logits.scope, perToken, 'int32'), perToken); // [T, k]
  const each = equal(reshape(columns, [T!, perToken, 1]), reshape(iota(logits, count), [1, 1, count]));
  const chosen = reduceSum(cast(each, 'float32'), [1]);
  const kept = mul(probabilities, chosen);
  return { chosen, weights: normalised ? div(kept, rowSums(kept, count)) : kept };
}

/** Sums of rows x [T, X] → [T, 1], as a product: the engine's own sum of a row depends on how the row is aligned. */
function rowSums(x: Value, X: number): Value {
  // Twice, and one column read: a product with one column takes another kernel, with other last bits.
  const ones = constant(x.scope, 'float32', [X, 2], Array<number>(2 * X).fill(1));
  return slice(gemm(x, ones), 1, 0, 1);
}
