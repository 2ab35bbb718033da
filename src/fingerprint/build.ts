// What of a model's build decides which settings it takes: its width and the size of its embedding's rows.

import type { Model } from '../models/model.ts';
import { readTensorRows } from '../sources/checkpoints/read.ts';

export interface Build {
  /** Hidden size. */
  readonly width: number;
  /**
   * Root mean square of the input embedding as a share of `TRIED_ROWS`, to the nearest power of two: settings are not known
   * any closer, and a model and its fine-tunes take the same. At most 1: what a rate that is too small for large rows costs is steps.
   */
  readonly rows: number;
}

/** Root mean square of the embedded model's rows, on which narrow settings were tried. */
const TRIED_ROWS = 0.139;
/** Rows that are looked at: evenly spread, since a vocabulary begins with what is common. */
const SAMPLE = 1024;

export function buildOf({ decoder, tensors }: Pick<Model, 'decoder' | 'tensors'>): Build {
  const { hidden_size: width, vocab_size } = decoder.config;
  const count = Math.min(SAMPLE, vocab_size);
  const ids = Int32Array.from({ length: count }, (_, i) => Math.floor((i * vocab_size) / count));
  const rows = readTensorRows(tensors.get(decoder.embedding)!, ids);
  const size = Math.sqrt(rows.reduce((sum, x) => sum + x * x, 0) / rows.length);
  return { width, rows: size > 0 ? Math.min(1, 2 ** Math.round(Math.log2(size / TRIED_ROWS))) : 1 };
}
