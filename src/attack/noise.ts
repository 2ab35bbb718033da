// A thief's noise: every embedding row moved at random by a share of its own size. With tied heads the head moves too.

import { number, type Setting, schemaOf, whole } from '../base/setting.ts';
import { readTensor } from '../sources/checkpoints/read.ts';
import { rowNoise } from '../train/noise.ts';
import type { Attack } from './attack.ts';
import { embeddingOf, everyRow, withRows } from './embedding.ts';

export const seedOf = (seed: number): { readonly seed: Setting & { readonly default: number } } =>
  schemaOf({ seed: whole(0, 2 ** 32 - 1, 'the same seed, the same numbers') }, { seed });

/** N(0, (share · RMS of the row)²) added to every number of the embedding. */
export const noise: Attack<'share' | 'seed'> = {
  words: 'Gaussian noise on every embedding row',
  settings: {
    ...schemaOf(
      { share: number(0, 100, 'how large the noise is', 'of the row’s root mean square') },
      { share: 0.1 },
    ),
    ...seedOf(11),
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
