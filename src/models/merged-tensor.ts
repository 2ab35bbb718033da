// What an adapter makes of one tensor: W + scale·B·A, DoRA's lengths, rows of tokens. In float32, in place.

import type { LowRankPart, StackedPart, TokenRows } from '../sources/checkpoints/peft.ts';
import { readTensor } from '../sources/checkpoints/read.ts';

/** @param transposed W is stored [in, out] */
export function addPart(w: Float32Array, part: LowRankPart, transposed: boolean): void {
  const { a, b, scale, magnitude } = part;
  addLowRank(w, readTensor(a).data, readTensor(b).data, a.shape[0]!, scale, transposed);
  if (magnitude) setLengths(w, readTensor(magnitude).data, transposed);
}

/** An expert, and which rows of its [out, in] a matrix is. */
interface ExpertRows {
  readonly expert: number;
  readonly experts: number;
  readonly from: number;
  readonly to: number;
}

/** w: rows `from` to `to` of an expert's matrix. */
export function addExpert(
  w: Float32Array,
  part: Pick<StackedPart, 'a' | 'b'>,
  scale: number,
  { expert, experts, from, to }: ExpertRows,
): void {
  const [all, width] = part.a.shape as [number, number];
  const rank = all / experts;
  const ours = readTensor(part.a).data.subarray(expert * rank * width, (expert + 1) * rank * width);
  const b = readTensor(part.b).data;
  const columns = new Float32Array((to - from) * rank);
  for (let o = from; o < to; o++)
    for (let r = 0; r < rank; r++) columns[(o - from) * rank + r] = b[o * all + r * experts + expert]!;
  addLowRank(w, ours, columns, rank, scale);
}

/** Every output's weights are given the length that DoRA learnt for it (Liu et al. 2024, eq. 5). */
function setLengths(w: Float32Array, lengths: Float32Array, transposed: boolean): void {
  const out = lengths.length;
  const outOf = transposed ? (i: number) => i % out : (i: number) => Math.floor(i / (w.length / out));
  const squares = new Float64Array(out);
  for (let i = 0; i < w.length; i++) squares[outOf(i)]! += w[i]! ** 2;
  for (let i = 0; i < w.length; i++) w[i]! *= lengths[outOf(i)]! / Math.sqrt(squares[outOf(i)]!);
}

export const addVector = (w: Float32Array, values: Float32Array, scale: number): void =>
  values.forEach((x, i) => void (w[i]! += scale * x));

export function setRows(w: Float32Array, { rows, values }: TokenRows): void {
  const { data, shape } = readTensor(values);
  const width = shape[1]!;
  rows.forEach((row, i) => void w.set(data.subarray(i * width, (i + 1) * width), row * width));
}

/**
 * Adds scale·B·A in place; w: [out, in], a: [rank, in], b: [out, rank]. The product is summed before it is added.
 * @param transposed w is [in, out]
 */
export function addLowRank(
  w: Float32Array,
  a: Float32Array,
  b: Float32Array,
  rank: number,
  scale: number,
  transposed = false,
): Float32Array {
  // (B·A)ᵀ = Aᵀ·Bᵀ, row by row of w either way.
  if (transposed) return addLowRank(w, turnedMatrix(b, rank), turnedMatrix(a, a.length / rank), rank, scale);
  const width = a.length / rank;
  const delta = new Float64Array(width);
  for (let o = 0; o < b.length / rank; o++) {
    delta.fill(0);
    for (let r = 0; r < rank; r++) {
      const x = scale * b[o * rank + r]!;
      for (let i = 0; i < width; i++) delta[i]! += x * a[r * width + i]!;
    }
    for (let i = 0; i < width; i++) w[o * width + i]! += delta[i]!;
  }
  return w;
}

/** [rows, columns] → [columns, rows]. */
function turnedMatrix(matrix: Float32Array, columns: number): Float32Array {
  const rows = matrix.length / columns;
  return Float32Array.from(matrix, (_, i) => matrix[(i % rows) * columns + Math.floor(i / rows)]!);
}
