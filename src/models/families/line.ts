// What configs of LLaMA's line have in common, in Hugging Face's words, each with its family's defaults.

import type { Activation } from '../blocks/activations.ts';
import type { ConfigReader } from '../config.ts';
import type { DecoderConfig, LayerAttention } from '../family.ts';

export interface LineConfig extends DecoderConfig {
  readonly intermediate_size: number;
  readonly hidden_act: Activation;
}

/** What transformers takes where config.json has no such key. */
export interface LineDefaults {
  readonly model_type: string;
  /** Absent: as many as query heads. */
  readonly num_key_value_heads?: number;
  /** Absent: hidden_size / num_attention_heads. */
  readonly head_dim?: number;
  readonly max_position_embeddings: number;
  readonly hidden_act: Activation;
  /** The key of the activation, where it is not `hidden_act`. */
  readonly activationKey?: string;
  readonly tie_word_embeddings: boolean;
}

/** @throws WhorlError `bad-file` for a size that is missing or does not divide */
export function lineConfig(read: ConfigReader, defaults: LineDefaults): LineConfig {
  const heads = read.size('num_attention_heads');
  const hidden_size = read.size('hidden_size');
  const num_key_value_heads = read.size('num_key_value_heads', defaults.num_key_value_heads ?? heads);
  read.quotient('num_attention_heads', heads, 'num_key_value_heads', num_key_value_heads);
  const own = read.optionalSize('head_dim') ?? defaults.head_dim;
  return {
    model_type: defaults.model_type,
    vocab_size: read.size('vocab_size'),
    hidden_size,
    intermediate_size: read.size('intermediate_size'),
    num_hidden_layers: read.size('num_hidden_layers'),
    num_attention_heads: heads,
    num_key_value_heads,
    head_dim: own ?? read.quotient('hidden_size', hidden_size, 'num_attention_heads', heads),
    max_position_embeddings: read.size('max_position_embeddings', defaults.max_position_embeddings),
    hidden_act: read.activation(defaults.activationKey ?? 'hidden_act', defaults.hidden_act),
    tie_word_embeddings: read.flag('tie_word_embeddings', defaults.tie_word_embeddings),
  };
}

/** The norms of a block that normalises what goes in, under LLaMA's names. */
export const PRE_NORMS = {
  beforeAttention: 'input_layernorm',
  beforeMlp: 'post_attention_layernorm',
} as const;

/** The norms of a block that normalises what comes out, as in OLMo 2. */
export const POST_NORMS = {
  afterAttention: 'post_attention_layernorm',
  afterMlp: 'post_feedforward_layernorm',
} as const;

/** Queries' and keys' norms under the names of families that call them layer norms. */
export const QK_LAYERNORMS = { q: 'q_layernorm', k: 'k_layernorm' } as const;

/** The gated MLP under LLaMA's names. */
export const GATED = { gate: 'gate_proj', up: 'up_proj', down: 'down_proj' } as const;

/** An MLP without a gate, under the same names. */
export const UNGATED = { up: 'up_proj', down: 'down_proj' } as const;

/** Layers of which those that see a window turn, and the others have no positions at all. */
export const turnWhereTheySlide = (
  kinds: readonly ('full_attention' | 'sliding_attention')[],
  window: number,
): LayerAttention[] => kinds.map((kind) => (kind === 'sliding_attention' ? { rope: 0, window } : {}));

/** A layer for each of its kinds: one rope for all, the window where the layer slides. */
export const slidingLayers = (
  kinds: readonly ('full_attention' | 'sliding_attention')[],
  window: number | undefined,
): LayerAttention[] =>
  kinds.map((kind) => ({
    rope: 0,
    ...(kind === 'sliding_attention' && window !== undefined && { window }),
  }));

/** Layers of which all see a window, where there is one. */
export const allSlide = (layers: number, window: number | undefined): LayerAttention[] =>
  slidingLayers(Array(layers).fill('sliding_attention'), window);

/** Layers of two ropes: the first where they see everything, the second, and the window where there is one, where they slide. */
export const ropeByKind = (
  kinds: readonly ('full_attention' | 'sliding_attention')[],
  window: number | undefined,
): LayerAttention[] =>
  slidingLayers(kinds, window).map((layer, i) => ({ ...layer, rope: kinds[i] === 'full_attention' ? 0 : 1 }));

/** Qwen's layers: those from `max_window_layers` on see a window, where windows are used at all. */
export function lastLayersSlide(read: ConfigReader, layers: number): LayerAttention[] {
  // Off, the window and the layer it begins at are left in the file without meaning.
  const slides = read.flag('use_sliding_window', false);
  const window = slides ? read.window('sliding_window', 4096) : undefined;
  const from = read.count('max_window_layers', 28);
  read.skip('sliding_window');
  return slidingLayers(
    read.layerTypes(layers, (i) => window !== undefined && i >= from),
    window,
  );
}
