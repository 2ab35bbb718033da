// What a family must say so that its GGUF files can be read as a Hugging Face folder.

import type { GgufFile } from '../sources/checkpoints/gguf.ts';

/** One Hugging Face tensor and the GGUF tensor it is made of. */
export interface GgufWeight {
  readonly name: string;
  /** GGUF's name for it. */
  readonly from: string;
  /**
   * Rows come in groups of this many and are out of order within each: row `2 * i + j` of GGUF is row
   * `j * headDim / 2 + i` of ours (llama.cpp interleaves the two halves of a head that RoPE turns together).
   */
  readonly headDim?: number;
}

export interface GgufFamily {
  /** GGUF's `general.architecture`. */
  readonly architecture: string;
  /**
   * config.json without `torch_dtype`. Throws `unsupported` for a key that would change the mathematics.
   * `values` reads a tensor of the file, for what only a tensor says.
   */
  readonly config: (file: GgufFile, values: (tensor: string) => Float32Array) => Record<string, unknown>;
  /** Every weight of the file, under its Hugging Face name; a tensor without one is `unsupported`. */
  readonly weights: (file: GgufFile) => readonly GgufWeight[];
}
