// Writing a stamp: w + scale·ξ, element by element, rounded to the tensor's own dtype as it will be published.

import { createHash } from 'node:crypto';
import { floatDtype } from '../sources/checkpoints/read.ts';
import { fromFloat32 } from '../tensor/convert.ts';
import type { FloatDtype, TensorRef } from '../tensor/tensor.ts';
import { fillDirection } from './direction.ts';
import { STEP } from './normal-cells.ts';
import { PART, tensorParts } from './tensor-parts.ts';

/** What rounds to no infinity. */
const LARGEST: Readonly<Record<FloatDtype, number>> = {
  float32: 3.4028234663852886e38,
  float16: 65_504,
  bfloat16: 3.3895313892515355e38,
};

/**
 * The tensor's bytes with the stamp in them, part by part. The sum is made in float64, rounded to float32 and then to the
 * dtype, to nearest, ties to even; where that would leave the dtype's range, or w is no number, w stays.
 */
export function* stampedBytes(ref: TensorRef, key: Uint8Array, scale: number): Generator<Uint8Array> {
  const dtype = floatDtype(ref);
  for (const { from, values } of tensorParts(ref))
    yield fromFloat32(stampedValues(values, from, key, scale, dtype), dtype);
}

/**
 * The same of numbers in memory, which are not rounded to the dtype yet.
 * @param from place of the first of them in the tensor, where a block of the direction begins
 */
export function stampedValues(
  values: Float32Array,
  from: number,
  key: Uint8Array,
  scale: number,
  dtype: FloatDtype,
): Float32Array {
  const largest = LARGEST[dtype];
  const out = new Float32Array(values.length);
  const direction = new Int16Array(Math.min(values.length, PART));
  for (let at = 0; at < values.length; at += PART) {
    const count = Math.min(PART, values.length - at);
    fillDirection(key, from + at, direction.subarray(0, count));
    for (let i = 0; i < count; i++) {
      const sum = values[at + i]! + scale * (direction[i]! * STEP);
      out[at + i] = Math.abs(sum) <= largest ? sum : values[at + i]!;
    }
  }
  return out;
}

export interface TensorFigures {
  /** SHA-256 of the bytes, hex. */
  readonly sha256: string;
  /** Standard deviation of all elements that are numbers, around their mean. */
  readonly deviation: number;
}

/** What a plan says of a matrix; reads it once. */
export function figuresOf(ref: TensorRef): TensorFigures {
  const hash = createHash('sha256');
  let [count, sum, squares] = [0, 0, 0];
  for (const { values, bytes } of tensorParts(ref)) {
    hash.update(bytes);
    for (const x of values) {
      if (!Number.isFinite(x)) continue;
      count += 1;
      sum += x;
      squares += x * x;
    }
  }
  const variance = count === 0 ? 0 : squares / count - (sum / count) ** 2;
  return { sha256: hash.digest('hex'), deviation: Math.sqrt(Math.max(0, variance)) };
}
