// The tiny models of goldens/models as training takes them, and batches of random tokens.

import type { Example } from '../../src/models/example.ts';
import { VANILLA } from '../../src/models/overlay.ts';
import { openGolden } from '../models/golden-models.ts';

export const goldens = new URL('../../goldens/', import.meta.url).pathname;

export const load = openGolden;

/** `count` sequences of different lengths, every second token with a label; weights sum to 1. */
export function randomBatch(count: number, seed: number, vocabulary = 96): Example[] {
  let state = seed;
  const next = (bound: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
  const drawn = Array.from({ length: count }, (_, i) =>
    Array.from({ length: 3 + ((i * 5) % 9) }, () => next(vocabulary)),
  );
  const labels = drawn.flatMap((tokens) => tokens.filter((_, i) => i % 2 === 0)).length;
  return drawn.map((tokens) => ({
    tokens,
    variant: VANILLA,
    labels: tokens.flatMap((_, row) =>
      row % 2 === 0 ? [{ row, token: next(vocabulary), kind: 'fire' as const, weight: 1 / labels }] : [],
    ),
  }));
}
