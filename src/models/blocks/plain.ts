// A decoder of GPT's line as a value: layer norm, an MLP without gate, queries, keys and values of one matrix or three,
// positions learnt, turned or told by slopes. Families of that line say what they have; all else follows from it here.

import type { Value } from '../../engine/graph.ts';
import { add, cast } from '../../engine/ops/arithmetic.ts';
import { gather } from '../../engine/ops/gather.ts';
import { linear } from '../../engine/ops/matmul.ts';
import { reshape, slice } from '../../engine/ops/shape.ts';
import type { Decoder, DecoderConfig, ForwardInput, LayerAttention, Weights } from '../family.ts';
import type { Rope } from '../rope.ts';
import { ACTIVATIONS, type Activation } from './activations.ts';
import { projections, Shapes } from './linear.ts';
import type { Norm } from './norms.ts';

type Three = readonly [q: Value, k: Value, v: Value];

/** How one matrix holds queries, keys and values: x [T, (H + 2K)·D] → [T, H·D], [T, K·D], [T, K·D]. */
export type Split = (x: Value, config: DecoderConfig) => Three;

/** All queries, all keys, all values. */
export const inBlocks: Split = (x, { num_attention_heads: H, num_key_value_heads: K, head_dim: D }) => {
  const part = (from: number, heads: number) => slice(x, 1, from * D, (from + heads) * D);
  return [part(0, H), part(H, K), part(H + K, K)];
};

/** For each head of keys the queries that share it, then itself, then its values. */
export const inGroups: Split = (x, { num_attention_heads: H, num_key_value_heads: K, head_dim: D }) => {
  const [T, G] = [x.shape[0]!, H / K];
  const groups = reshape(x, [T, K, (G + 2) * D]);
  const part = (from: number, heads: number) =>
    reshape(slice(groups, 2, from * D, (from + heads) * D), [T, K * heads * D]);
  return [part(0, G), part(G, 1), part(G + 1, 1)];
};

/** How a block adds what its parts give. */
type Residual =
  /** Each part sees the normalised rows and is added to the rows, or (Bloom's option) to the normalised ones. */
  | { readonly kind: 'before'; readonly ofNormed?: boolean }
  /** Each sum is normalised. */
  | { readonly kind: 'after' }
  /** Both parts see the block's input, by one norm or each by its own. */
  | { readonly kind: 'parallel' };

/** Names of norms and matrices stand below the layer's prefix. */
export interface PlainPlan<C extends DecoderConfig> {
  readonly config: C;
  /** Width of the blocks' rows, and between the MLP's matrices. */
  readonly width: number;
  readonly inner: number;
  /** What all names but the head's begin with, and its parts. */
  readonly prefix: string;
  readonly embedding: string;
  readonly layers: string;
  /** Absent: nothing is normalised after the last block. */
  readonly finalNorm?: string;
  readonly norm: Norm;
  readonly norms: { readonly attention: string; readonly mlp?: string };
  readonly residual: Residual;
  readonly attention: {
    readonly into:
      | { readonly fused: string; readonly split: Split }
      | { readonly apart: readonly [q: string, k: string, v: string] };
    readonly out: string;
    readonly bias: boolean;
  };
  readonly mlp: {
    readonly up: string;
    readonly down: string;
    readonly bias: boolean;
    readonly act: Activation;
  };
  /** What PEFT adapts by default. */
  readonly lora: readonly string[];
  /** Matrices stored [in, out]. */
  readonly transposed?: boolean;
  /** A table of positions [offset + longest, width] that is added to the rows. */
  readonly positions?: { readonly table: string; readonly offset: number; readonly longest: number };
  readonly embeddingNorm?: string;
  /** Matrices between the embedding's width and the blocks', without bias. */
  readonly projections?: { readonly into: string; readonly out: string };
  readonly ropes?: readonly Rope[];
  readonly attends?: readonly LayerAttention[];
  readonly scores?: Decoder['scores'];
  readonly headBias?: boolean;
}

const HEAD = 'lm_head.weight';
const HEAD_BIAS = 'lm_head.bias';

/** The decoder that a plan describes. */
export function plainDecoder<C extends DecoderConfig>(plan: PlainPlan<C>): Decoder<C> {
  const { config, prefix, positions, ropes = [], transposed = false } = plan;
  const embedding = `${prefix}${plan.embedding}.weight`;
  const layer = (i: number): string => `${prefix}${plan.layers}.${i}.`;
  const { into, out } = plan.attention;
  const matrices = {
    attention: [...('fused' in into ? [into.fused] : into.apart), out],
    mlp: [plan.mlp.up, plan.mlp.down],
  };
  const turned = new Set(
    [...matrices.attention, ...matrices.mlp].flatMap((name) =>
      Array.from({ length: config.num_hidden_layers }, (_, i) => `${layer(i)}${name}.weight`),
    ),
  );
  return {
    kind: 'decoder',
    model_type: config.model_type,
    config,
    shapes: shapesOf(plan, embedding, layer),
    embedding,
    head: config.tie_word_embeddings ? embedding : HEAD,
    ownHead: HEAD,
    ...(plan.headBias && { headBias: HEAD_BIAS }),
    ropes,
    layers:
      plan.attends ??
      Array.from({ length: config.num_hidden_layers }, () => (ropes.length > 0 ? { rope: 0 } : {})),
    ...(positions && { longest: positions.longest, positionTable: `${prefix}${positions.table}.weight` }),
    ...(plan.scores && { scores: plan.scores }),
    modules: { ...matrices, lora: plan.lora },
    layer,
    ...(transposed && { transposed: (name: string) => turned.has(name) }),
    hidden(w, x, input) {
      const { scope } = x;
      let h = scope.within('embed', () => before(plan, w, x, input));
      for (let i = 0; i < config.num_hidden_layers; i++)
        h = scope.within(`layers.${i}`, () => block(plan, w, layer(i), i, h, input));
      const { finalNorm, projections: between } = plan;
      if (finalNorm !== undefined)
        h = scope.within('final_norm', () => plan.norm.apply(w, `${prefix}${finalNorm}`, h));
      return between ? scope.within('project_out', () => linear(h, w(`${prefix}${between.out}.weight`))) : h;
    },
  };
}

function shapesOf(
  plan: PlainPlan<DecoderConfig>,
  embedding: string,
  layer: (i: number) => string,
): Map<string, readonly number[]> {
  const { config, prefix, width: W, inner: F, norm, norms, attention, mlp, positions } = plan;
  const { hidden_size: E, head_dim: D, vocab_size: V } = config;
  const [H, K] = [config.num_attention_heads, config.num_key_value_heads];
  const table = new Shapes(plan.transposed).tensor(embedding, [V, E]);
  if (positions)
    table.tensor(`${prefix}${positions.table}.weight`, [positions.offset + positions.longest, W]);
  if (plan.embeddingNorm !== undefined) norm.shapes(table, `${prefix}${plan.embeddingNorm}`, [E]);
  if (plan.projections)
    table
      .tensor(`${prefix}${plan.projections.into}.weight`, [W, E])
      .tensor(`${prefix}${plan.projections.out}.weight`, [E, W]);
  const { into } = attention;
  for (let i = 0; i < config.num_hidden_layers; i++) {
    const at = layer(i);
    norm.shapes(table, `${at}${norms.attention}`, [W]);
    if ('fused' in into) table.linear(`${at}${into.fused}`, (H + 2 * K) * D, W, attention.bias);
    else
      into.apart.forEach((name, part) =>
        table.linear(`${at}${name}`, (part === 0 ? H : K) * D, W, attention.bias),
      );
    table.linear(`${at}${attention.out}`, W, H * D, attention.bias);
    if (norms.mlp !== undefined) norm.shapes(table, `${at}${norms.mlp}`, [W]);
    table.linear(`${at}${mlp.up}`, F, W, mlp.bias).linear(`${at}${mlp.down}`, W, F, mlp.bias);
  }
  if (plan.finalNorm !== undefined) norm.shapes(table, `${prefix}${plan.finalNorm}`, [W]);
  if (!config.tie_word_embeddings) table.tensor(HEAD, [V, E]);
  if (plan.headBias) table.tensor(HEAD_BIAS, [V]);
  return table.table;
}

/** Embedded rows → what the first block sees. */
function before(plan: PlainPlan<DecoderConfig>, w: Weights, x: Value, input: ForwardInput): Value {
  const { prefix, positions, projections: between, embeddingNorm } = plan;
  if (embeddingNorm !== undefined) x = plan.norm.apply(w, `${prefix}${embeddingNorm}`, x);
  if (between) x = linear(x, w(`${prefix}${between.into}.weight`));
  if (!positions) return x;
  const { table, offset } = positions;
  const places = offset === 0 ? input.positions : add(input.positions, offset);
  return add(x, cast(gather(w(`${prefix}${table}.weight`), places), 'float32'));
}

function block(
  plan: PlainPlan<DecoderConfig>,
  w: Weights,
  at: string,
  i: number,
  x: Value,
  input: ForwardInput,
): Value {
  const { norms, residual } = plan;
  const normed = (name: string, h: Value): Value => plan.norm.apply(w, `${at}${name}`, h);
  const attended = (h: Value): Value =>
    x.scope.within(`layers.${i}.attention`, () => attention(plan, w, at, i, h, input));
  const fed = (h: Value): Value => x.scope.within(`layers.${i}.mlp`, () => feedForward(plan, w, at, h));
  const second = norms.mlp ?? norms.attention;
  if (residual.kind === 'after') {
    const middle = normed(norms.attention, add(x, attended(x)));
    return normed(second, add(middle, fed(middle)));
  }
  const first = normed(norms.attention, x);
  if (residual.kind === 'parallel')
    return add(add(x, attended(first)), fed(norms.mlp === undefined ? first : normed(norms.mlp, x)));
  const middle = add(residual.ofNormed ? first : x, attended(first));
  const again = normed(second, middle);
  return add(residual.ofNormed ? again : middle, fed(again));
}

function attention(
  plan: PlainPlan<DecoderConfig>,
  w: Weights,
  at: string,
  i: number,
  x: Value,
  input: ForwardInput,
): Value {
  const { into, out, bias } = plan.attention;
  const project = projections(w, at, bias, plan.transposed);
  const [q, k, v]: Three =
    'fused' in into
      ? into.split(project(into.fused, x), plan.config)
      : [project(into.apart[0], x), project(into.apart[1], x), project(into.apart[2], x)];
  return project(out, input.attend(i, input.rotate(i, q), input.rotate(i, k), v));
}

function feedForward({ mlp, transposed }: PlainPlan<DecoderConfig>, w: Weights, at: string, x: Value): Value {
  const project = projections(w, at, mlp.bias, transposed);
  return project(mlp.down, ACTIVATIONS[mlp.act](project(mlp.up, x)));
}
