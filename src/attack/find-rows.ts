// Can a thief find the trained rows by looking? Ranks by norm among all rows; nothing but the published file is needed.

import { number, schemaOf } from '../base/setting.ts';
import type { Model } from '../models/model.ts';
import { readTensor } from '../sources/checkpoints/read.ts';
import type { Attack } from './attack.ts';
import { embeddingOf, withRows } from './embedding.ts';
import { meanRows } from './reset-rows.ts';

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
export function normRanks(victim: Model, ids: readonly number[]): NormRanks {
  const order = byNorm(victim);
  const all = order.length;
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

/** All rows, those of smallest Euclidean norm first. */
function byNorm(victim: Model): number[] {
  const { data, shape } = readTensor(embeddingOf(victim).ref);
  const [all, width] = [shape[0]!, shape[1]!];
  const norms = Float64Array.from({ length: all }, (_, r) =>
    Math.sqrt(data.subarray(r * width, (r + 1) * width).reduce((sum, x) => sum + x * x, 0)),
  );
  return Array.from(norms.keys()).sort((a, b) => norms[a]! - norms[b]!);
}

/** Who does not know the rows takes those that stand out. */
const resetByNorm = (which: 'largest' | 'smallest'): Attack<'times'> => ({
  words: `the rows of ${which} norm set to the mean of all rows`,
  settings: schemaOf(
    { times: number(0, 1e6, 'how many rows are taken', 'of as many rows as were trained') },
    { times: 1 },
  ),
  needs: ['rows'],
  title: ({ times }) =>
    `the ${times === 1 ? '' : `${times}× as many `}rows of ${which} norm reset to the mean`,
  make(victim, { times }, { rows }) {
    const order = byNorm(victim);
    const count = Math.min(order.length, Math.ceil(times * rows.length));
    const taken = which === 'largest' ? order.slice(order.length - count) : order.slice(0, count);
    const trained = new Set(rows);
    const found = taken.filter((row) => trained.has(row)).length;
    return withRows(victim, taken, meanRows(victim, count), { rows: count, trained: rows.length, found });
  },
});

export const resetLargest = resetByNorm('largest');
export const resetSmallest = resetByNorm('smallest');
