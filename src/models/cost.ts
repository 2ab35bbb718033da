// What training a model, or embedding rows of it, will cost: floating-point operations from its shapes, memory from what a
// step keeps. Estimates for `whorl doctor`, never limits; the machine's rate is measured in engine/rate.ts.

import { BYTES_PER_ELEMENT, elements, type FloatDtype } from '../tensor/tensor.ts';
import type { Decoder } from './family.ts';

/** A training run as far as its cost depends on it. */
export interface RunShape {
  readonly tokensPerStep: number;
  readonly steps: number;
  /** Embedding rows trained. */
  readonly rows: number;
  /** Rows of the head's product; most tokens have no label. Default: an eighth of the tokens. */
  readonly labelsPerStep?: number;
  /** Whether the body's weights have gradients. Default: they are frozen. */
  readonly trainsBody?: boolean;
  /** Parameters trained beside such rows: whole tensors, low-rank maps. */
  readonly parameters?: number;
}

export interface TrainingCost {
  readonly tokens: number;
  /** Multiplications and additions of the matrix products, forward and backward. */
  readonly flops: number;
}

export interface ModelSize {
  /** Every parameter, a tied head counted once. */
  readonly parameters: number;
  readonly embedding: number;
  /** Of the matrices a token goes through: of many experts only those it takes. */
  readonly body: number;
}

export function modelSize({ shapes, embedding, head, positionTable, share = () => 1 }: Decoder): ModelSize {
  let [parameters, body] = [0, 0];
  for (const [name, shape] of shapes) {
    const count = elements(shape);
    parameters += count;
    if (shape.length === 2 && name !== embedding && name !== head && name !== positionTable)
      body += count * share(name);
  }
  return { parameters, embedding: elements(shapes.get(embedding)!), body };
}

const labelsOf = ({ labelsPerStep, tokensPerStep }: RunShape): number =>
  labelsPerStep ?? Math.ceil(tokensPerStep / 8);

/** A token costs 2 a parameter forward and 2 backward, and 2 for a weight's own gradient; a label the same for the head. */
export function trainingCost(decoder: Decoder, run: RunShape): TrainingCost {
  const { vocab_size: V, hidden_size: E } = decoder.config;
  const perStep =
    (run.trainsBody ? 6 : 4) * (modelSize(decoder).body * run.tokensPerStep + V * E * labelsOf(run));
  return { tokens: run.tokensPerStep * run.steps, flops: perStep * run.steps };
}

/** Share of a step that is matrix products: SmolLM2-135M at 34 to 38 GFLOP/s took 4.5 s where products alone take 3.2. */
const PRODUCTS = 0.75;

/** @param rate of `measureRate` */
export const trainingSeconds = (cost: TrainingCost, rate: number): number => cost.flops / rate / PRODUCTS;

export interface MemoryEstimate {
  /** Bytes of the weights' files, mapped: given back under pressure, but slow then. */
  readonly weights: number;
  /** Bytes that a step allocates beside them. */
  readonly step: number;
  readonly total: number;
}

const PROCESS_BYTES = 220e6; // Node, the engine's library, tokenizer and reference texts
/** What the allocator takes over what is counted. SmolLM2-135M, 256 and 864 tokens a step: 1,098 and 1,953 MB, estimated 1,137 and 2,035. */
const SLACK = 1.05;

/** float32 values a token leaves behind in one layer for its gradient. */
function keptPerToken({ config, shapes }: Decoder): number {
  const { hidden_size: E, num_attention_heads: H, num_key_value_heads: K, head_dim: D } = config;
  const widest = Math.max(
    ...[...shapes.values()]
      .filter((shape) => shape.length === 2)
      .map((shape) => (shape[0] === config.vocab_size ? 0 : Math.max(...shape))),
  );
  // Norms in and out, residuals; queries and keys before and after rotation, values, attention's output; gate, its
  // sigmoid, up and their product.
  return 5 * E + 3 * H * D + 3 * K * D + 4 * widest;
}

/** Peak of a training run, in bytes. */
export function memoryEstimate(
  decoder: Decoder,
  run: RunShape & { readonly dtype: FloatDtype },
): MemoryEstimate {
  const { vocab_size: V, hidden_size: E, num_hidden_layers: layers } = decoder.config;
  const { parameters } = modelSize(decoder);
  const weights = parameters * BYTES_PER_ELEMENT[run.dtype];
  const activations = 4 * layers * run.tokensPerStep * keptPerToken(decoder);
  const logits = 4 * 4 * V * labelsOf(run); // logits, their softmax, and both gradients
  const cast = run.dtype === 'float32' ? 0 : 4 * V * E; // the head's half-precision weights as float32, one at a time
  const rows = 4 * 6 * run.rows * E; // values, gradient, two moments, and their successors
  const trained = 4 * 4 * (run.parameters ?? 0); // the same but for the successors, which are made a slice at a time
  const step = PROCESS_BYTES + SLACK * (activations + logits) + cast + rows + trained;
  return { weights, step, total: weights + step };
}
