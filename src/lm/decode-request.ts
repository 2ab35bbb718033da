// What is asked of a decoder: prompts, how their continuations are drawn, and when they end.

import type { Overlay, Variant } from '../models/overlay.ts';
import type { FullSampling } from './sampling.ts';

interface DecodeRequest {
  readonly tokens: readonly number[];
  /** What an encoder-decoder reads; `tokens` are then those that its decoder begins with. */
  readonly source?: readonly number[];
  readonly variant: Variant;
}

/** A prompt and how many continuations it gets. Requests decoded together share one strategy. */
export interface SampleRequest extends DecodeRequest {
  readonly sampling: FullSampling;
  /** Uniform numbers of each sample; their count is the number of samples. */
  readonly uniforms: readonly Float32Array[];
}

export interface DecodeOptions<R extends SampleRequest> {
  readonly maxNewTokens: number;
  /** Tokens that end a continuation and are not part of it. */
  readonly ends: readonly number[];
  /** May have other rows than the one compiled for, of the same sizes. */
  readonly overlay?: Overlay | undefined;
  /** Asked every `STOP_ROUNDS` tokens about the continuations that still run: which of them have ended otherwise. */
  readonly stopped?: ((running: readonly Running<R>[]) => Promise<boolean[]>) | undefined;
}

/** A continuation on its way. */
export interface Running<R extends SampleRequest> {
  readonly request: R;
  readonly tokens: readonly number[];
}
