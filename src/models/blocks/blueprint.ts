// A decoder of LLaMA's line as a value: which norms stand where, how a layer attends, what its MLP is, what is scaled.
// Families of that line say what they have; shapes and forward pass follow from it here.

import type { Value } from '../../engine/graph.ts';
import { add, cast, div, log, min, mul, neg } from '../../engine/ops/arithmetic.ts';
import { reshape, slice } from '../../engine/ops/shape.ts';
import type { Decoder, DecoderConfig, ForwardInput, LayerAttention, Modules, Weights } from '../family.ts';
import type { Rope } from '../rope.ts';
import { ACTIVATIONS, type Activation } from './activations.ts';
import { type ExpertsPart, expertShapes, expertShare, stackedExperts, throughExperts } from './experts.ts';
import { projections, Shapes } from './linear.ts';
import type { Norm } from './norms.ts';

/** Norms of a block by the names of their tensors, below the layer's prefix; absent where it has none. */
interface BlockNorms {
  readonly beforeAttention?: string;
  /** Of what attention gives, before it is added. */
  readonly afterAttention?: string;
  readonly beforeMlp?: string;
  readonly afterMlp?: string;
}

interface AttentionPart {
  /** Biases of the three projections in, and of the one out. */
  readonly bias: { readonly in: boolean; readonly out: boolean };
  /** The projections' names; default q_proj, k_proj, v_proj, or one matrix that holds the rows of all three. */
  readonly fused?: string;
  readonly out: string;
  /**
   * Queries and keys normalised before they turn, by `q_norm` and `k_norm` or what `names` says: each head by the same weights
   * [D], each head by its own [H, D], or all heads as one row [H·D].
   */
  readonly qkNorm?: {
    readonly over: 'head' | 'heads' | 'row';
    readonly norm: Norm;
    readonly names?: { readonly q: string; readonly k: string };
  };
  /** Queries, keys and values are kept between −clip and clip, before they turn. */
  readonly clip?: number;
  /** A turned query at position p is multiplied with 1 + beta·ln(1 + ⌊p / every⌋) (Llama 4). */
  readonly queryGrowth?: { readonly beta: number; readonly every: number };
}

interface MlpPart {
  readonly bias: boolean;
  readonly activation: Activation;
  /** Of act(gate·x)·up·x, the two matrices, or one that holds the rows of both; absent: act(up·x). */
  readonly gate?: string | { readonly fused: string };
  readonly up: string;
  readonly down: string;
}

export interface Blueprint<C extends DecoderConfig & { readonly intermediate_size: number }> {
  readonly config: C;
  /** What all names but the head's begin with. */
  readonly prefix?: string;
  readonly norm: Norm;
  readonly norms: BlockNorms;
  /** The last norm's name. */
  readonly finalNorm?: string;
  readonly attention: AttentionPart;
  readonly mlp: MlpPart;
  /** What some layers, or all, have in place of that MLP. */
  readonly experts?: ExpertsPart;
  /** Attention and MLP side by side, both of the block's input. Without `beforeMlp` they share its norm. */
  readonly parallel?: boolean;
  readonly ropes: readonly Rope[];
  readonly layers?: readonly LayerAttention[];
  readonly scores?: Decoder['scores'];
  /** What embedded rows are multiplied with. */
  readonly embeddingScale?: number;
  /** What attention's and the MLP's outputs are multiplied with before they are added. */
  readonly residualScale?: number;
  readonly headBias?: boolean;
  readonly logits?: Decoder['logits'];
  readonly recomputedBeyond?: number;
}

const HEAD = 'lm_head.weight';
const QK_NORMS = { q: 'q_norm', k: 'k_norm' };

/** The decoder that a blueprint describes. */
export function decoderOf<C extends DecoderConfig & { readonly intermediate_size: number }>(
  plan: Blueprint<C>,
): Decoder<C> {
  const { config, prefix = 'model.', finalNorm = 'norm', ropes, residualScale } = plan;
  const embedding = `${prefix}embed_tokens.weight`;
  const layer = (i: number): string => `${prefix}layers.${i}.`;
  const layers = plan.layers ?? Array.from({ length: config.num_hidden_layers }, () => ({ rope: 0 }));
  const scaled = (x: Value): Value => (residualScale === undefined ? x : mul(x, residualScale));
  return {
    kind: 'decoder',
    model_type: config.model_type,
    config,
    shapes: shapesOf(plan, embedding, layer, `${prefix}${finalNorm}`),
    embedding,
    head: config.tie_word_embeddings ? embedding : HEAD,
    ownHead: HEAD,
    ...(plan.headBias && { headBias: 'lm_head.bias' }),
    ropes,
    layers,
    ...(plan.scores && { scores: plan.scores }),
    ...(plan.recomputedBeyond !== undefined && { recomputedBeyond: plan.recomputedBeyond }),
    modules: modulesOf(plan),
    ...(plan.experts && {
      share: (name: string) => expertShare(plan.experts!, name),
      stacked: (name: string) =>
        stackedExperts(
          plan.experts!,
          Array.from({ length: config.num_hidden_layers }, (_, i) => layer(i)),
          name,
        ),
    }),
    layer,
    ...(plan.logits && { logits: plan.logits }),
    hidden(w, x, input) {
      const { scope } = x;
      const { norms } = plan;
      const normed = (name: string | undefined, i: number, h: Value): Value =>
        name === undefined ? h : plan.norm.apply(w, `${layer(i)}${name}`, h);
      const attended = (i: number, h: Value): Value => {
        const inner = () => attention(plan, w, layer(i), i, h, input);
        return scaled(normed(norms.afterAttention, i, scope.within(`layers.${i}.self_attn`, inner)));
      };
      const fed = (i: number, h: Value): Value => {
        const inner = () =>
          plan.experts?.sparse(i)
            ? throughExperts(plan.experts, w, layer(i), h)
            : feedForward(plan.mlp, w, layer(i), h);
        return scaled(normed(norms.afterMlp, i, scope.within(`layers.${i}.mlp`, inner)));
      };
      const block = (i: number, h: Value): Value => {
        const first = normed(norms.beforeAttention, i, h);
        const middle = add(h, attended(i, first));
        if (plan.parallel)
          return add(middle, fed(i, norms.beforeMlp === undefined ? first : normed(norms.beforeMlp, i, h)));
        return add(middle, fed(i, normed(norms.beforeMlp, i, middle)));
      };
      if (plan.embeddingScale !== undefined) x = mul(x, plan.embeddingScale);
      for (let i = 0; i < config.num_hidden_layers; i++) x = scope.within(`layers.${i}`, () => block(i, x));
      return scope.within(finalNorm, () => plan.norm.apply(w, `${prefix}${finalNorm}`, x));
    },
  };
}

type Sized = Blueprint<DecoderConfig & { readonly intermediate_size: number }>;

function shapesOf(
  { config, norm, norms, attention, mlp, experts, headBias }: Sized,
  embedding: string,
  layer: (i: number) => string,
  finalNorm: string,
): Map<string, readonly number[]> {
  const { hidden_size: E, intermediate_size: F, head_dim: D, vocab_size: V } = config;
  const [H, K] = [config.num_attention_heads, config.num_key_value_heads];
  const table = new Shapes().tensor(embedding, [V, E]);
  const normAt = (name: string | undefined) => name !== undefined && norm.shapes(table, name, [E]);
  for (let i = 0; i < config.num_hidden_layers; i++) {
    const at = layer(i);
    normAt(norms.beforeAttention && at + norms.beforeAttention);
    if (attention.fused)
      table.linear(`${at}self_attn.${attention.fused}`, (H + 2 * K) * D, E, attention.bias.in);
    else
      for (const [name, heads] of [
        ['q_proj', H],
        ['k_proj', K],
        ['v_proj', K],
      ] as const)
        table.linear(`${at}self_attn.${name}`, heads * D, E, attention.bias.in);
    table.linear(`${at}self_attn.${attention.out}`, E, H * D, attention.bias.out);
    if (attention.qkNorm) {
      const { over, norm: own, names = QK_NORMS } = attention.qkNorm;
      for (const [name, heads] of [
        [names.q, H],
        [names.k, K],
      ] as const)
        own.shapes(table, `${at}self_attn.${name}`, { head: [D], heads: [heads, D], row: [heads * D] }[over]);
    }
    normAt(norms.afterAttention && at + norms.afterAttention);
    normAt(norms.beforeMlp && at + norms.beforeMlp);
    if (experts?.sparse(i)) expertShapes(experts, table, at, E);
    else mlpShapes(mlp, table, at, E, F);
    normAt(norms.afterMlp && at + norms.afterMlp);
  }
  normAt(finalNorm);
  if (!config.tie_word_embeddings) table.tensor(HEAD, [V, E]);
  if (headBias) table.tensor('lm_head.bias', [V]);
  return table.table;
}

function mlpShapes({ gate, up, down, bias }: MlpPart, table: Shapes, at: string, E: number, F: number): void {
  if (typeof gate === 'object') table.linear(`${at}mlp.${gate.fused}`, 2 * F, E, bias);
  else {
    if (gate) table.linear(`${at}mlp.${gate}`, F, E, bias);
    table.linear(`${at}mlp.${up}`, F, E, bias);
  }
  table.linear(`${at}mlp.${down}`, E, F, bias);
}

function modulesOf({ attention, mlp, experts }: Pick<Sized, 'attention' | 'mlp' | 'experts'>): Modules {
  const into = attention.fused ? [attention.fused] : ['q_proj', 'k_proj', 'v_proj'];
  const up = typeof mlp.gate === 'object' ? [mlp.gate.fused] : [...(mlp.gate ? [mlp.gate] : []), mlp.up];
  return {
    attention: [...into, attention.out].map((name) => `self_attn.${name}`),
    // Layers with and without experts have other names below the block: the block itself is what they share.
    mlp: experts ? [experts.block] : [...up, mlp.down].map((name) => `mlp.${name}`),
    lora: attention.fused ? [attention.fused] : ['q_proj', 'v_proj'],
  };
}

function attention(plan: Sized, w: Weights, at: string, i: number, x: Value, input: ForwardInput): Value {
  const { bias, fused, out, qkNorm, clip, queryGrowth } = plan.attention;
  const { num_attention_heads: H, num_key_value_heads: K, head_dim: D } = plan.config;
  const prefix = `${at}self_attn.`;
  const project = projections(w, prefix, bias.in);
  const all = fused === undefined ? undefined : project(fused, x); // [T, (H + 2K)·D]
  const part = (name: string, from: number, heads: number): Value =>
    all ? slice(all, 1, from * D, (from + heads) * D) : project(name, x);
  const normed = (which: 'q' | 'k', y: Value, heads: number): Value => {
    if (!qkNorm) return y;
    const name = `${prefix}${(qkNorm.names ?? QK_NORMS)[which]}`;
    if (qkNorm.over === 'row') return qkNorm.norm.apply(w, name, y);
    const T = y.shape[0]!;
    return reshape(qkNorm.norm.apply(w, name, reshape(y, [T, heads, D])), [T, heads * D]);
  };
  const kept = (y: Value): Value => (clip === undefined ? y : clipped(y, clip));
  const turned = input.rotate(i, kept(normed('q', part('q_proj', 0, H), H))); // [T, H·D]
  const q = queryGrowth ? mul(turned, growth(queryGrowth, input.positions)) : turned;
  const k = input.rotate(i, kept(normed('k', part('k_proj', H, K), K))); // [T, K·D]
  const v = kept(part('v_proj', H + K, K)); // [T, K·D]
  return projections(w, prefix, bias.out)(out, input.attend(i, q, k, v));
}

const clipped = (x: Value, most: number): Value => neg(min(neg(min(x, most)), most));

/** What queries at positions int32 [T] are multiplied with, [T, 1]. */
function growth({ beta, every }: NonNullable<AttentionPart['queryGrowth']>, positions: Value): Value {
  const rounds = cast(cast(div(cast(positions, 'float32'), every), 'int32'), 'float32');
  return reshape(add(mul(log(add(rounds, 1)), beta), 1), [positions.shape[0]!, 1]);
}

function feedForward({ bias, activation, gate, up, down }: MlpPart, w: Weights, at: string, x: Value): Value {
  const project = projections(w, `${at}mlp.`, bias);
  const act = ACTIVATIONS[activation];
  if (gate === undefined) return project(down, act(project(up, x)));
  if (typeof gate === 'string') {
    const open = act(project(gate, x)); // [T, F]
    return project(down, mul(open, project(up, x)));
  }
  const both = project(gate.fused, x); // [T, 2·F]
  const F = (both.shape[1] as number) / 2;
  return project(down, mul(act(slice(both, 1, 0, F)), slice(both, 1, F, 2 * F)));
}
