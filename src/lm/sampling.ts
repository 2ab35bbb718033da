// How a continuation is chosen, as a value; its checks; and the uniform numbers that a seed decides.

import { WhorlError } from '../base/error.ts';
import { seededRandom } from '../base/random-source.ts';

/**
 * Applied in transformers' order: repetition penalty, temperature, top-k, top-p; then the token is drawn. Without a
 * temperature (or with 0) the most probable token is taken, after the penalty if there is one.
 */
export interface Sampling {
  readonly temperature?: number;
  /** Only the k most probable tokens (and those exactly as probable as the k-th); 0 or absent: all. */
  readonly top_k?: number;
  /** Only the fewest most probable tokens whose probabilities reach p; 1 or absent: all. */
  readonly top_p?: number;
  /** Logits of tokens of the prompt and the continuation so far: divided by it where positive, multiplied where negative. */
  readonly repetition_penalty?: number;
  /** The same seed draws the same text, alone or in any batch. Default 0. */
  readonly seed?: number;
}

/** A `Sampling` with everything said. `temperature` 0 means greedy. */
export type FullSampling = Required<Sampling>;

const RANGES: Readonly<Record<keyof FullSampling, readonly [words: string, holds: (x: number) => boolean]>> =
  {
    temperature: ['0, or 0.001 to 10000', (x) => x === 0 || (x >= 1e-3 && x <= 1e4)],
    top_k: ['a whole number from 0', (x) => Number.isInteger(x) && x >= 0],
    top_p: ['above 0 and at most 1', (x) => x > 0 && x <= 1],
    repetition_penalty: ['0.001 to 1000', (x) => x >= 1e-3 && x <= 1e3],
    seed: ['a whole number from 0', (x) => Number.isSafeInteger(x) && x >= 0],
  };

/** @throws WhorlError `usage` naming the setting that is out of range */
export function fullSampling(sampling: Sampling | undefined): FullSampling {
  const { temperature = 0, top_k = 0, top_p = 1, repetition_penalty = 1, seed = 0 } = sampling ?? {};
  const full: FullSampling = { temperature, top_k, top_p, repetition_penalty, seed };
  for (const [name, [words, holds]] of Object.entries(RANGES))
    if (!holds(full[name as keyof FullSampling]))
      throw new WhorlError('usage', `${name} is ${full[name as keyof FullSampling]}`, `give ${words}`);
  return full;
}

/** Float32 multiples of 2^-24 in [0, 1), one a token: a function of seed, request and sample alone. */
export function uniforms(seed: number, request: number, sample: number, count: number): Float32Array {
  const random = seededRandom(`sampling/${seed}/${request}/${sample}`);
  return Float32Array.from({ length: count }, () => random.int(2 ** 24) / 2 ** 24);
}
