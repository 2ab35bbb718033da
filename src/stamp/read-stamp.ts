// Reading a stamp: z = ⟨v, ξ⟩/‖v‖ of each matrix, v the suspect's less the vanilla model's, or the suspect's own. Which
// elements count, and each matrix's weight, are functions of v alone, so that z stays normal whatever the suspect.

import { createHash } from 'node:crypto';
import type { TensorRef } from '../tensor/tensor.ts';
import { fillDirection } from './direction.ts';
import { STEP } from './normal-cells.ts';
import { type Known, type Order, orderOf, reorderedParts } from './reordered.ts';
import { type Scales, scaled, undoing } from './rescaled.ts';
import { tensorParts } from './tensor-parts.ts';

/**
 * Exact zeros of the suspect are left out where their v is so many times larger in the mean square than that of the others:
 * pruned weights are, those that a quantiser rounded to its level 0 are not, and carry the stamp like their neighbours.
 */
const PRUNED = 4;

/**
 * Elements whose v is more than so many times as large as the median are left out: one neuron that does nothing, its weights as large as
 * one likes, would otherwise be all of ‖v‖. Of normal numbers one in 10⁷ is, of the changes of a fine-tuning those that say least.
 */
const OUTLYING = 8;

interface Sums {
  elements: number;
  dot: number;
  squares: number;
}

/** One matrix's sums. */
export interface MatrixSums {
  /** Elements that count: pruned zeros, outlying ones and what is no number are left out. */
  readonly elements: number;
  readonly left_out: number;
  /** ⟨v, ξ⟩ and ‖v‖². */
  readonly dot: number;
  readonly squares: number;
  /** SHA-256 of the vanilla matrix' bytes, hex; null where it was read without one. */
  readonly vanilla_sha256: string | null;
  /** Whether rows or columns had been multiplied with something, which was undone. */
  readonly rescaled: boolean;
  /** Whether rows or columns had been put in another order, which was undone. */
  readonly reordered: boolean;
  /** Whether it has, row by row, half of its squares in common with the vanilla matrix; null where it was read without one. */
  readonly alike: boolean | null;
}

/** What was summed: all that a reading is made of. */
export type ReadSums = Omit<MatrixSums, 'vanilla_sha256' | 'rescaled' | 'reordered' | 'alike'>;

/** A suspect's matrix, and the order in which it is read where that is another one. */
interface Suspected {
  readonly ref: TensorRef;
  readonly order?: Order | undefined;
}

/**
 * Reads it three times, more often where rows or columns were rescaled or put in another order, with flat memory.
 * @param vanilla of the same shape; undefined: the suspect's matrix is read by itself
 * @param known what may have moved, where it is not alike; null: no other order is looked for
 */
export function matrixSums(
  key: Uint8Array,
  ref: TensorRef,
  vanilla: TensorRef | undefined,
  known: Known | null = {},
): MatrixSums {
  const { suspect, scales, alike } = undone(ref, vanilla, known);
  const most = Math.min(Number.MAX_VALUE, OUTLYING * medianOf(suspect, vanilla, scales));
  const hash = createHash('sha256');
  const kept: Sums = { elements: 0, dot: 0, squares: 0 };
  const zeros: Sums = { elements: 0, dot: 0, squares: 0 };
  let all = 0;
  let direction = new Int16Array(0);
  for (const { from, values, v, vanillaBytes } of differences(suspect, vanilla, scales)) {
    if (vanillaBytes) hash.update(vanillaBytes);
    if (direction.length !== values.length) direction = new Int16Array(values.length);
    fillDirection(key, from, direction);
    all += values.length;
    for (let i = 0; i < values.length; i++) {
      const x = v[i]!;
      if (!(Math.abs(x) <= most)) continue; // no number either
      const sums = values[i] === 0 ? zeros : kept;
      sums.elements += 1;
      sums.squares += x * x;
      sums.dot += x * direction[i]!;
    }
  }
  const counted =
    vanilla && zeros.squares * kept.elements <= PRUNED * kept.squares * zeros.elements
      ? joined(kept, zeros)
      : kept;
  return {
    elements: counted.elements,
    left_out: all - counted.elements,
    dot: counted.dot * STEP,
    squares: counted.squares,
    vanilla_sha256: vanilla ? hash.digest('hex') : null,
    rescaled: scales !== undefined,
    reordered: suspect.order !== undefined,
    alike,
  };
}

/** How it is to be read. */
function undone(ref: TensorRef, vanilla: TensorRef | undefined, known: Known | null) {
  const read = (suspect: Suspected) => ({ suspect, ...undoing(ref, () => pairs(suspect, vanilla)) });
  const plainly = read({ ref });
  const order = vanilla && known && plainly.alike === false ? orderOf(ref, vanilla, known) : undefined;
  const reordered = order && read({ ref, order });
  return reordered?.alike ? reordered : plainly;
}

/**
 * Of |v| over elements of the suspect that are not 0, to the upper 16 bits of a float32 (8 binary digits), rounded down; of an even number
 * the lower one. Numbers that are 0 in so many bits do not count; where there are no others, infinity.
 */
function medianOf(suspect: Suspected, vanilla: TensorRef | undefined, scales: Scales | undefined): number {
  const counts = new Uint32Array(1 << 15);
  const float = new Float32Array(1);
  const bits = new Uint32Array(float.buffer);
  let total = 0;
  for (const { values, v } of differences(suspect, vanilla, scales))
    for (let i = 0; i < values.length; i++) {
      if (values[i] === 0 || !Number.isFinite(v[i]!)) continue;
      float[0] = Math.abs(v[i]!);
      const upper = bits[0]! >>> 16;
      if (upper === 0) continue;
      counts[upper]! += 1;
      total += 1;
    }
  let upper = 0;
  for (let below = 0; 2 * below < total; upper++) below += counts[upper]!;
  if (upper === 0) return Number.POSITIVE_INFINITY;
  bits[0] = (upper - 1) << 16;
  return float[0]!;
}

/** Parts of the suspect's matrix and its v; both only until the next part is asked for. */
function* differences(
  suspect: Suspected,
  vanilla: TensorRef | undefined,
  scales: Scales | undefined,
): Generator<{
  readonly from: number;
  readonly values: Float32Array;
  readonly v: Float32Array | Float64Array;
  readonly vanillaBytes?: Uint8Array;
}> {
  let less = new Float64Array(0);
  for (const { from, values, other, otherBytes } of pairs(suspect, vanilla)) {
    const own = scales ? scaled(values, from, scales) : values;
    if (!other || !otherBytes) {
      yield { from, values, v: own };
      continue;
    }
    if (less.length !== values.length) less = new Float64Array(values.length);
    for (let i = 0; i < values.length; i++) less[i] = own[i]! - other[i]!;
    yield { from, values, v: less, vanillaBytes: otherBytes };
  }
}

/** Parts of both; only until the next part is asked for. */
function* pairs({ ref, order }: Suspected, vanilla: TensorRef | undefined) {
  const others = vanilla && tensorParts(vanilla);
  try {
    for (const { from, values } of order ? reorderedParts(ref, order) : tensorParts(ref)) {
      const part = others?.next().value;
      const other = part || undefined;
      yield { from, values, other: other?.values, otherBytes: other?.bytes };
    }
  } finally {
    others?.return(undefined);
  }
}

const joined = (a: Sums, b: Sums): Sums => ({
  elements: a.elements + b.elements,
  dot: a.dot + b.dot,
  squares: a.squares + b.squares,
});

export const zOf = ({ dot, squares }: Pick<MatrixSums, 'dot' | 'squares'>): number =>
  squares > 0 ? dot / Math.sqrt(squares) : 0;

/**
 * One z of several matrices: Σ a·z / √Σ a², with a = scale·elements/‖v‖, the weights that are best where v is the stamp
 * and noise of the size of v.
 */
export function pooled(matrices: readonly { readonly scale: number; readonly sums: ReadSums }[]): number {
  let [sum, weights] = [0, 0];
  for (const { scale, sums } of matrices) {
    if (sums.squares === 0) continue;
    const weight = (scale * sums.elements) / Math.sqrt(sums.squares);
    sum += weight * zOf(sums);
    weights += weight * weight;
  }
  return weights > 0 ? sum / Math.sqrt(weights) : 0;
}
