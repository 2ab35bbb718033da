// What every model family tells the rest: its settings, its weights by name, and its forward pass over packed rows.

import type { Value } from '../engine/graph.ts';
import type { TensorRef } from '../tensor/tensor.ts';
import type { RopeConfig } from './blocks/rope-scaling.ts';

/** Sizes all decoders share, in Hugging Face's words. */
export interface DecoderConfig extends RopeConfig {
  readonly model_type: string;
  readonly vocab_size: number;
  readonly hidden_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly num_key_value_heads: number;
  readonly tie_word_embeddings: boolean;
}

/** Where a forward pass gets a weight from: the checkpoint's file, or a tensor that is being trained. */
export type Weights = (name: string) => Value;

/** What a family asks of the sequences it runs over; the block behind it decides how attention is computed. */
export interface ForwardInput {
  /** Rotary positions of packed rows x [T, H·D]. */
  rotate(x: Value): Value;
  /** Causal attention of packed rows: q [T, H·D], k and v [T, K·D] → [T, H·D]. */
  attend(layer: number, q: Value, k: Value, v: Value): Value;
}

export interface Decoder<C extends DecoderConfig = DecoderConfig> {
  readonly kind: 'decoder';
  readonly model_type: string;
  readonly config: C;
  /** Every tensor a checkpoint of this config has, by Hugging Face's name. */
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  readonly embedding: string;
  /** The output head's tensor; the embedding itself where tied. */
  readonly head: string;
  /** Embedded rows x [T, E] → final, normalised hidden states [T, E]. */
  hidden(weights: Weights, x: Value, input: ForwardInput): Value;
}

/** Encoder-decoder families come later; callers that handle only decoders say so by this type. */
export type Family = Decoder;

export type TensorTable = ReadonlyMap<string, TensorRef>;
