// Reading a stamp: z = ⟨v, ξ⟩/‖v‖ of each matrix, v the suspect's less the vanilla model's, or the suspect's own. Which
// elements count, and each matrix's weight, are functions of v alone, so that z stays normal whatever the suspect.

import { createHash } from 'node:crypto';
import type { TensorRef } from '../tensor/tensor.ts';
import { fillDirection } from './direction.ts';
import { STEP } from './normal-cells.ts';
import { tensorParts } from './tensor-parts.ts';

/**
 * Exact zeros of the suspect are left out where their v is so many times larger in the mean square than that of the others:
 * pruned weights are, those that a quantiser rounded to its level 0 are not, and carry the stamp like their neighbours.
 */
const PRUNED = 4;

interface Sums {
  elements: number;
  dot: number;
  squares: number;
}

/** One matrix's sums. */
export interface MatrixSums {
  /** Elements that count: pruned zeros and what is no number are left out. */
  readonly elements: number;
  readonly left_out: number;
  /** ⟨v, ξ⟩ and ‖v‖². */
  readonly dot: number;
  readonly squares: number;
  /** SHA-256 of the vanilla matrix' bytes, hex; null where it was read without one. */
  readonly vanilla_sha256: string | null;
}

/** @param vanilla of the same shape; undefined: the suspect's matrix is read by itself */
export function matrixSums(key: Uint8Array, suspect: TensorRef, vanilla: TensorRef | undefined): MatrixSums {
  const hash = createHash('sha256');
  const others = vanilla && tensorParts(vanilla);
  const kept: Sums = { elements: 0, dot: 0, squares: 0 };
  const zeros: Sums = { elements: 0, dot: 0, squares: 0 };
  let noNumbers = 0;
  let direction = new Int16Array(0);
  try {
    for (const { from, values } of tensorParts(suspect)) {
      const other = others?.next().value;
      if (other) hash.update(other.bytes);
      if (direction.length !== values.length) direction = new Int16Array(values.length);
      fillDirection(key, from, direction);
      for (let i = 0; i < values.length; i++) {
        const value = values[i]!;
        const v = other ? value - other.values[i]! : value;
        if (!Number.isFinite(v)) {
          noNumbers += 1;
          continue;
        }
        const sums = value === 0 ? zeros : kept;
        sums.elements += 1;
        sums.squares += v * v;
        sums.dot += v * direction[i]!;
      }
    }
  } finally {
    others?.return(undefined);
  }
  const vanilla_sha256 = vanilla ? hash.digest('hex') : null;
  const counted =
    vanilla && zeros.squares * kept.elements <= PRUNED * kept.squares * zeros.elements
      ? joined(kept, zeros)
      : kept;
  return {
    elements: counted.elements,
    left_out: noNumbers + kept.elements + zeros.elements - counted.elements,
    dot: counted.dot * STEP,
    squares: counted.squares,
    vanilla_sha256,
  };
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
export function pooled(
  matrices: readonly { readonly scale: number; readonly sums: Omit<MatrixSums, 'vanilla_sha256'> }[],
): number {
  let [sum, weights] = [0, 0];
  for (const { scale, sums } of matrices) {
    if (sums.squares === 0) continue;
    const weight = (scale * sums.elements) / Math.sqrt(sums.squares);
    sum += weight * zOf(sums);
    weights += weight * weight;
  }
  return weights > 0 ? sum / Math.sqrt(weights) : 0;
}
