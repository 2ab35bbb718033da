// Can a thief find the trained rows by looking? Ranks by norm among all rows; nothing but the published file is needed.

import { readTensor } from '../sources/checkpoints/read.ts';
import { embeddingOf, type Victim } from './embedding.ts';

export interface NormRanks {
  readonly rows: number;
  readonly all: number;
  /** Share of all rows with a smaller norm: least, median and most over the rows asked for, 0 to 1. */
  readonly least: number;
  readonly median: number;
  readonly most: number;
  /** Share of the rows asked for among as many of largest (smallest) norm: what a thief gets by taking those. */
  readonly among_largest: number;
  readonly among_smallest: number;
}

/** Ranks of the rows `ids` by Euclidean norm. */
export function normRanks(victim: Victim, ids: readonly number[]): NormRanks {
  const { ref } = embeddingOf(victim);
  const { data } = readTensor(ref);
  const [all, width] = [ref.shape[0]!, ref.shape[1]!];
  const norms = Float64Array.from({ length: all }, (_, r) =>
    Math.sqrt(data.subarray(r * width, (r + 1) * width).reduce((sum, x) => sum + x * x, 0)),
  );
  const order = Array.from(norms.keys()).sort((a, b) => norms[a]! - norms[b]!);
  const rank = new Map(order.map((row, place) => [row, place]));
  const places = ids.map((id) => rank.get(id)!).sort((a, b) => a - b);
  const share = (place: number | undefined): number => (place ?? 0) / Math.max(1, all - 1);
  const count = Math.max(1, ids.length);
  return {
    rows: ids.length,
    all,
    least: share(places[0]),
    median: share(places[Math.floor(places.length / 2)]),
    most: share(places.at(-1)),
    among_largest: places.filter((place) => place >= all - ids.length).length / count,
    among_smallest: places.filter((place) => place < ids.length).length / count,
  };
}
