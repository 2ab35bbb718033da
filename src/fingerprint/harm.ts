// What a fingerprint costs ordinary text, language by language, on text it was never trained on.

import type { Model } from '../models/model.ts';
import { type Positions, shiftAt } from './reference-positions.ts';

export interface Harm {
  readonly name: string;
  readonly positions: number;
  /** Mean and largest KL(vanilla ‖ published) over the positions, nats. */
  readonly mean: number;
  readonly largest: number;
  /** Mean shift of the log-likelihood of ordinary next tokens, nats. */
  readonly shift: number;
}

/** Exact figures of a tied model at held-out positions. On untied heads no ordinary logit moves: all zero. */
export function harmOf(model: Model, positions: Positions, shift: Float32Array): Harm[] {
  const { kl, partition } = shiftAt(model.decoder, positions, shift);
  return positions.languages.map((name, l) => {
    const own = [...positions.language].flatMap((language, n) => (language === l ? [n] : []));
    const mean = (values: Float64Array) =>
      own.reduce((sum, n) => sum + values[n]!, 0) / Math.max(1, own.length);
    return {
      name,
      positions: own.length,
      mean: mean(kl),
      largest: own.reduce((most, n) => Math.max(most, kl[n]!), 0),
      shift: -mean(partition),
    };
  });
}
