// A fixed random low-rank map: committed before the draw, never trained, so that it cannot know which keys were drawn.

import { normal, type RandomSource } from '../../base/random-source.ts';
import type { LowRankMap } from '../../models/overlay.ts';

/** `count` orthonormal rows of length `width` (Gram-Schmidt on Gaussian rows, in double precision). */
function orthonormal(random: RandomSource, count: number, width: number): Float64Array[] {
  const rows: Float64Array[] = [];
  while (rows.length < count) {
    const row = Float64Array.from({ length: width }, () => normal(random));
    for (const other of rows) {
      const along = other.reduce((sum, x, i) => sum + x * row[i]!, 0);
      other.forEach((x, i) => {
        row[i]! -= along * x;
      });
    }
    const length = Math.sqrt(row.reduce((sum, x) => sum + x * x, 0));
    rows.push(row.map((x) => x / length));
  }
  return rows;
}

/** A [rank, width] with orthonormal rows, B [width, rank] with orthonormal columns: B·A turns a subspace into another. */
export function randomLowRankMap(
  random: RandomSource,
  rank: number,
  width: number,
  scale: number,
): LowRankMap {
  const A = new Float32Array(rank * width);
  orthonormal(random, rank, width).forEach((row, r) => A.set(row, r * width));
  const B = new Float32Array(width * rank);
  orthonormal(random, rank, width).forEach((column, r) => {
    column.forEach((x, e) => {
      B[e * rank + r] = x;
    });
  });
  return { rank, scale, A, B };
}
