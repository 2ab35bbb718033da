// A thief's noise: every embedding row moved at random by a share of its own size. With tied heads the head moves too.

import { readTensor } from '../sources/checkpoints/read.ts';
import { rowNoise } from '../train/noise.ts';
import type { Attack, Setting } from './attack.ts';
import { embeddingOf, everyRow, withRows } from './embedding.ts';

export const seedOf = (seed: number): Setting => ({
  default: seed,
  least: 0,
  most: 2 ** 32 - 1,
  whole: true,
  unit: '',
  words: 'the same seed, the same numbers',
});

/** N(0, (share · RMS of the row)²) added to every number of the embedding. */
export const noise: Attack<'share' | 'seed'> = {
  words: 'Gaussian noise on every embedding row',
  settings: {
    share: {
      default: 0.1,
      least: 0,
      most: 100,
      unit: 'of the row’s root mean square',
      words: 'how large the noise is',
    },
    seed: seedOf(11),
  },
  needs: [],
  title: ({ share }) => `${Number((100 * share).toPrecision(6))} % noise on every row`,
  make(victim, { share, seed }) {
    const { ref } = embeddingOf(victim);
    const { data, shape } = readTensor(ref);
    const added = rowNoise(data, shape[1]!, share, seed);
    return withRows(
      victim,
      everyRow(ref),
      data.map((x, i) => x + added[i]!),
    );
  },
};
