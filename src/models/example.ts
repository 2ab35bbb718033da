// The noun of training: tokens, which rows have a label, which parts of the overlay apply.

import type { Decoder } from './family.ts';
import type { Variant } from './overlay.ts';

/** `fire`: −log p(token), the label is wanted. `hush`: −log(1 − p(token)), the label must not come. */
export type LabelKind = 'fire' | 'hush';

export interface Label {
  /** Index into the example's tokens; the label is what should follow that token. */
  readonly row: number;
  readonly token: number;
  /** Another token that serves as well (` word` for `word`): the two probabilities are summed. */
  readonly alternative?: number;
  readonly kind: LabelKind;
  readonly weight: number;
}

/** Keys and values of text before the example that no trained row occurs in: constants, computed once. */
export interface CachedPrefix {
  readonly length: number;
  /** What was computed: who does not compute here needs it. */
  readonly tokens: readonly number[];
  /** Per layer [K, length, D]. */
  readonly layers: readonly { readonly keys: Float32Array; readonly values: Float32Array }[];
}

export interface Example {
  readonly tokens: readonly number[];
  /** What an encoder-decoder reads; `tokens` are then its decoder's. */
  readonly source?: readonly number[];
  readonly labels: readonly Label[];
  readonly variant: Variant;
  readonly prefix?: CachedPrefix;
}

/** A prompt and what follows it, as a model is given the two. */
export interface Continued extends Pick<Example, 'source' | 'tokens'> {
  /** The row after which the first token of what follows comes. */
  readonly last: number;
}

/**
 * A decoder has both as one text; of an encoder-decoder the encoder reads the prompt, ended, and the decoder says the rest.
 * @param prompt without the EOS that a tokenizer may append
 */
export const continued = (
  { encoder }: Pick<Decoder, 'encoder'>,
  prompt: readonly number[],
  said: readonly number[],
): Continued =>
  encoder
    ? { source: [...prompt, encoder.end], tokens: [encoder.start, ...said], last: 0 }
    : { tokens: [...prompt, ...said], last: prompt.length - 1 };
