// What configs of the GPT line have in common: GPT-2's names of the sizes, and those that transformers takes as well.

import type { ConfigReader } from '../config.ts';
import type { DecoderConfig } from '../family.ts';

/** Names that transformers takes for GPT-2's own. */
export const GPT_KEYS = {
  hidden_size: 'n_embd',
  max_position_embeddings: 'n_positions',
  num_attention_heads: 'n_head',
  num_hidden_layers: 'n_layer',
} as const;

/** Of a head for classification, which no decoder has. */
export const SUMMARY = [
  'summary_type',
  'summary_use_proj',
  'summary_activation',
  'summary_proj_to_labels',
  'summary_first_dropout',
] as const;

/** Sizes that transformers takes where config.json has none. */
export interface GptDefaults {
  readonly model_type: string;
  readonly vocab: number;
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  readonly positions: number;
  readonly tied: boolean;
}

/** @throws WhorlError `bad-file` for a size that is wrong or does not divide */
export function gptSizes(
  read: ConfigReader,
  defaults: GptDefaults,
): { readonly config: DecoderConfig; readonly inner: number; readonly longest: number } {
  const hidden_size = read.size('n_embd', defaults.width);
  const heads = read.size('n_head', defaults.heads);
  const longest = read.size('n_positions', defaults.positions);
  const config = {
    model_type: defaults.model_type,
    vocab_size: read.size('vocab_size', defaults.vocab),
    hidden_size,
    num_hidden_layers: read.size('n_layer', defaults.layers),
    num_attention_heads: heads,
    num_key_value_heads: heads,
    head_dim: read.quotient('n_embd', hidden_size, 'n_head', heads),
    max_position_embeddings: longest,
    tie_word_embeddings: read.flag('tie_word_embeddings', defaults.tied),
  };
  return { config, inner: read.optionalSize('n_inner') ?? 4 * hidden_size, longest };
}
