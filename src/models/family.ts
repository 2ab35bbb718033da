// What every model family tells the rest: its sizes, its weights by name, where positions come from, and its forward
// pass over packed rows.

import type { Value } from '../engine/graph.ts';
import type { Alibi } from '../engine/ops/cached-attention.ts';
import type { HeadMap } from './head-map.ts';
import type { Rope } from './rope.ts';

/** Sizes all decoders share, in Hugging Face's words where it has one. A family whose config calls them otherwise translates. */
export interface DecoderConfig {
  readonly model_type: string;
  readonly vocab_size: number;
  /** Of embedded rows and of what the head multiplies; the blocks between may be wider (OPT-350m). */
  readonly hidden_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly num_key_value_heads: number;
  readonly head_dim: number;
  /** Positions the model was made for. */
  readonly max_position_embeddings: number;
  readonly tie_word_embeddings: boolean;
}

/** Where a forward pass gets a weight from: the checkpoint's file, or a tensor that is being trained. */
export type Weights = (name: string) => Value;

/** Queries [T, H·D], keys and values [T, K·D] of a stack's own rows. */
type Attend = (q: Value, k: Value, v: Value, table?: Value) => Value;

/** Distances between a query and a key in classes, logarithmically wider (Raffel et al. 2020). */
export interface RelativeBuckets {
  /** The decoder's table [buckets, H], looked up by class. */
  readonly table: string;
  readonly buckets: number;
  /** From here on all distances are one class. */
  readonly distance: number;
}

/** What an encoder asks of the sources it runs over: every row of a source sees every other. */
export interface EncoderInput {
  readonly attend: Attend;
}

/** The stack that reads the source; what it gives, every layer of the decoder attends to. */
interface EncoderPart {
  readonly layers: number;
  /** The token that every text of the decoder begins with. */
  readonly start: number;
  /** What ends a source, as the family's tokenizers end any text. */
  readonly end: number;
  readonly modules: Pick<Modules, 'attention' | 'mlp'>;
  layer(index: number): string;
  /** Whether a weight serves sources alone, which are read once: its own, and what makes keys and values of them. */
  ofSources(weight: string): boolean;
  /** Embedded rows of the sources x [U, E] → final, normalised states [U, E]. */
  hidden(weights: Weights, x: Value, input: EncoderInput): Value;
}

/** How the layers of a decoder attend. */
export interface LayerAttention {
  /** Which of the decoder's ropes turns queries and keys; absent: none does. */
  readonly rope?: number;
  /** How many tokens a query sees, itself the last of them; absent: all. */
  readonly window?: number;
  /** What q·k is multiplied with in this layer; absent: as in all (`AttentionScores`). */
  readonly scale?: number;
}

/** What is the same in all layers. */
interface AttentionScores {
  /** What q·k is multiplied with; default 1/√head_dim. */
  readonly scale?: number;
  /** s ↦ softcap · tanh(s / softcap), before the mask. */
  readonly softcap?: number;
  /** What a key's position adds to its scores; key heads share their queries' heads in order. */
  readonly alibi?: Alibi;
  /** What is added by distance, from a table of the checkpoint [buckets, H] that `attend` is given. */
  readonly relative?: RelativeBuckets;
}

/** What a family asks of the sequences it runs over; the block behind it decides how attention is computed. */
export interface ForwardInput {
  /** int32 [T]: each packed row's position in its sequence, for families that look it up in a table. */
  readonly positions: Value;
  /** Rotary positions of packed rows x [T, n·D], as this layer has them (`layers`); x itself where it has none. */
  rotate(layer: number, x: Value): Value;
  /** Causal attention of packed rows: q [T, H·D], k and v [T, K·D] → [T, H·D]. @param table see `AttentionScores.relative` */
  attend(layer: number, q: Value, k: Value, v: Value, table?: Value): Value;
  /** Attention to each row's source. @param make its states [U, E] → keys and values [U, H·D] */
  attendSource(
    layer: number,
    q: Value,
    make: (states: Value) => readonly [keys: Value, values: Value],
  ): Value;
}

/** Linear layers of a block by the family's own words, below its `layer` prefix: `self_attn.q_proj`. */
export interface Modules {
  readonly attention: readonly string[];
  readonly mlp: readonly string[];
  /** What PEFT adapts if nobody says otherwise: last parts of the names (`q_proj`). */
  readonly lora: readonly string[];
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
  /** What a head of its own is called; some folders store one even where it is tied. */
  readonly ownHead: string;
  /** The head's bias [V]. */
  readonly headBias?: string;
  /** The rotary positions that layers choose from; empty where positions come from elsewhere. */
  readonly ropes: readonly Rope[];
  readonly layers: readonly LayerAttention[];
  /** Positions that a table of the checkpoint has (learnt positions); absent: there is no end. */
  readonly longest?: number;
  readonly scores?: AttentionScores;
  /**
   * While decoding, keys and values of a sequence that grows beyond so many tokens are computed anew, once: its
   * frequencies are others from there on. Absent: what is cached stays as it was.
   */
  readonly recomputedBeyond?: number;
  readonly modules: Modules;
  /** Of the tokens, how many go through a matrix; default: all. */
  readonly share?: (name: string) => number;
  /** Of an encoder-decoder: what reads the source. */
  readonly encoder?: EncoderPart;
  /** Other names under which some folders store the embedding once more, or instead. */
  readonly embeddingCopies?: readonly string[];
  /** What the names of a layer's tensors begin with, dot included. */
  layer(index: number): string;
  /** A table of positions that rows are taken from and nothing is multiplied by. */
  readonly positionTable?: string;
  /** Whether a tensor is a matrix stored [in, out] (GPT-2's Conv1D) instead of [out, in]. */
  readonly transposed?: (name: string) => boolean;
  /** transformers' name of a parameter that holds all experts of a layer → by expert, the matrices that its rows are. */
  readonly stacked?: (parameter: string) => readonly (readonly string[])[] | undefined;
  /** What transformers calls a tensor that the folder has under another name; absent: the same. */
  readonly canonical?: (name: string) => string;
  /** Embedded rows x [T, E], as they stand in the table → final, normalised hidden states [T, E]. */
  hidden(weights: Weights, x: Value, input: ForwardInput): Value;
  /** What the head's products go through; default: nothing. */
  readonly logits?: HeadMap;
}
