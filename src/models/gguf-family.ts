// What a family must say so that its GGUF files can be read as a Hugging Face folder: all of it data. `gguf-model.ts` reads
// any file by it. Names and layouts: gguf-py's constants.py and tensor_mapping.py of https://github.com/ggml-org/llama.cpp.

import type { DecoderConfig } from './family.ts';

/** A key of config.json, and what the GGUF key that says it holds. */
export interface GgufKey {
  readonly name: string;
  readonly as: 'count' | 'positive' | 'flag';
  /** What config.json says where the file has no such key; null: nothing. Without it the file must have the key. */
  readonly absent?: number | boolean | null;
  /** What the file says where config.json says nothing of it. */
  readonly otherwise?: (config: DecoderConfig) => number;
  /** What the file holds where config.json says null. */
  readonly none?: 0;
}

export const count = (name: string): GgufKey => ({ name, as: 'count' });
export const positive = (name: string): GgufKey => ({ name, as: 'positive' });

/** How GGUF's tensor differs from Hugging Face's. */
export interface GgufLayout {
  /**
   * `interleaved`: within each head, row 2i + j of GGUF is row j·D/2 + i of ours (the two halves that RoPE turns together).
   * `by-part`: the rows of all heads' q, then of all k, then of all v; ours has for each head of keys the q that share it, then
   * its k and its v.
   * `apart`: the weights of all heads [heads, D] or experts [experts, out, in]; ours are tensors of their own, with their number
   * in place of the star of `to`.
   * `one`: a matrix of one row, a vector in files of older converters.
   * `transposed`: the columns of our matrix, which is [in, out].
   */
  readonly rows?: 'interleaved' | 'by-part' | 'apart' | 'one' | 'transposed';
  /** What is added to GGUF's values; −1 where it stores 1 + w of a norm. */
  readonly plus?: number;
  /** Another name of ours, in blocks that have this part of GGUF's as well. */
  readonly beside?: { readonly part: string; readonly to: string };
}

/** Our name, or with a layout of its own. Names stand without `.weight` or `.bias`. */
export type GgufName = string | (GgufLayout & { readonly to: string });

export interface GgufSizes {
  readonly hidden: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly layers: number;
}

export interface GgufFamily {
  /** Other values of `model_type` that llama.cpp writes under this architecture, since they compute the same. */
  readonly also?: readonly string[];
  /**
   * Where llama.cpp does not take the head as the folder has it: `tied`, it never reads one; `stored`, it wants one even
   * where it is tied.
   */
  readonly head?: 'tied' | 'stored';
  /** Whether llama.cpp opens a file only with the biases that `biases` names, or only without; absent: either way. */
  readonly wants?: 'biases' | 'no-biases';
  /** GGUF's `general.architecture`; its keys begin with it. */
  readonly architecture: string;
  /** Keys of config.json that are the same in all its files: model_type, architectures, what llama.cpp takes for granted. */
  readonly config: Readonly<Record<string, unknown>>;
  /** By GGUF's key without the architecture. */
  readonly keys: Readonly<Record<string, GgufKey>>;
  /** Keys that hold the same text in all its files. */
  readonly texts?: Readonly<Record<string, string>>;
  /** config.json's names of sizes where they are not `hidden_size`, `num_attention_heads`, `num_hidden_layers`. */
  readonly sizes?: Readonly<Partial<Record<'hidden' | 'heads' | 'layers', string>>>;
  /** Keys of config.json that follow from the sizes, and from whether a block has a part. */
  readonly derived?: (sizes: GgufSizes, has: (part: string) => boolean) => Readonly<Record<string, unknown>>;
  /** config.json's name for the size of a head; absent where llama.cpp takes hidden_size / heads. */
  readonly headDim?: 'head_dim' | undefined;
  /** config.json's name for the share of a head that turns; absent where all of it does. */
  readonly rotaryShare?: 'partial_rotary_factor' | 'rotary_pct';
  /** Whether its files hold LongRoPE's divisors, as tensors. */
  readonly longrope?: true;
  /** Whether llama.cpp computes without the window that its files say. */
  readonly windowUnread?: true;
  /** config.json's name for the base of rotary frequencies; absent where nothing turns. */
  readonly ropeTheta?: 'rope_theta' | 'rotary_emb_base';
  /** Tensors outside of blocks. */
  readonly outside: Readonly<Record<string, GgufName>>;
  /** What names of a block's tensors begin with, and the rest of them by GGUF's after `blk.N.`. */
  readonly layers: string;
  readonly block: Readonly<Record<string, GgufName>>;
  /** Switches of config.json that say whether a block has this tensor. */
  readonly switches?: Readonly<Record<string, string>>;
  /** Which of these have biases, too: by the switch of config.json that says whether they do. */
  readonly biases?: Readonly<Record<string, readonly string[]>>;
  /** And which always do. */
  readonly biased?: readonly string[];
}
