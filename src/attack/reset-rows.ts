// A thief's broom: rows he takes for a fingerprint are set to something that says nothing.

import { assert } from '../base/error.ts';
import type { Model } from '../models/model.ts';
import { readTensor, readTensorRows } from '../sources/checkpoints/read.ts';
import { gaussian } from '../train/noise.ts';
import type { Attack } from './attack.ts';
import { embeddingOf, withRows } from './embedding.ts';
import { seedOf } from './noise.ts';

/** The mean of all rows. */
export const resetMean: Attack<never> = {
  words: 'the trained rows set to the mean of all rows',
  settings: {},
  needs: ['rows'],
  title: () => 'rows reset to the mean',
  make: (victim, _, { rows }) => withRows(victim, rows, meanRows(victim, rows.length)),
};

/** The vanilla rows, where the thief has that model. */
export const resetVanilla: Attack<never> = {
  words: 'the trained rows set to those of the vanilla model',
  settings: {},
  needs: ['rows', 'vanilla'],
  title: () => 'rows reset to vanilla',
  make(victim, _, { rows, vanilla }) {
    assert(vanilla, 'the vanilla model is there');
    return withRows(victim, rows, readTensorRows(embeddingOf(vanilla).ref, rows));
  },
};

/** Numbers drawn as the whole table's are spread. */
export const resetFresh: Attack<'seed'> = {
  words: 'the trained rows drawn anew, spread as the whole table is',
  settings: seedOf(12),
  needs: ['rows'],
  title: () => 'rows re-initialised',
  make(victim, { seed }, { rows }) {
    const { data, shape } = readTensor(embeddingOf(victim).ref);
    const { mean, deviation } = spread(data);
    const fresh = gaussian(seed, rows.length * shape[1]!).map((x) => mean + deviation * x);
    return withRows(victim, rows, fresh);
  },
};

/** `count` times the mean of all rows: [count, E]. */
export function meanRows(victim: Model, count: number): Float32Array {
  const { data, shape } = readTensor(embeddingOf(victim).ref);
  const [all, width] = [shape[0]!, shape[1]!];
  const mean = new Float64Array(width);
  data.forEach((x, i) => {
    mean[i % width]! += x / all;
  });
  return new Float32Array(count * width).map((_, i) => mean[i % width]!);
}

function spread(data: Float32Array): { mean: number; deviation: number } {
  let [sum, square] = [0, 0];
  for (const x of data) {
    sum += x;
    square += x * x;
  }
  const mean = sum / data.length;
  return { mean, deviation: Math.sqrt(Math.max(0, square / data.length - mean * mean)) };
}
