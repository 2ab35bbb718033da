// What of a model's build decides which settings it takes: its width, the size of its embedding's rows, its head.

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
  /** Whether the head is the embedding's own matrix. */
  readonly tied: boolean;
}

/** Root mean square of the embedded model's rows, on which narrow settings were tried. */
const TRIED_ROWS = 0.139;
/** Rows that are looked at: evenly spread, since a vocabulary begins with what is common. */
const SAMPLE = 1024;

/** Its rows are read where they are asked for: a wide model takes no settings of its own. */
export const buildOf = (model: Pick<Model, 'decoder' | 'tensors'>): Build => ({
  width: model.decoder.config.hidden_size,
  get rows() {
    return rowsOf(model);
  },
  tied: model.decoder.head === model.decoder.embedding,
});

function rowsOf({ decoder, tensors }: Pick<Model, 'decoder' | 'tensors'>): number {
  const { vocab_size } = decoder.config;
  const count = Math.min(SAMPLE, vocab_size);
  const ids = Int32Array.from({ length: count }, (_, i) => Math.floor((i * vocab_size) / count));
  const rows = readTensorRows(tensors.get(decoder.embedding)!, ids);
  const size = Math.sqrt(rows.reduce((sum, x) => sum + x * x, 0) / rows.length);
  return size > 0 ? Math.min(1, 2 ** Math.round(Math.log2(size / TRIED_ROWS))) : 1;
}
