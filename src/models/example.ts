// The noun of training: tokens, which rows have a label, which parts of the overlay apply.

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
