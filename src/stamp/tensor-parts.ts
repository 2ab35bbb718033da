// A tensor's numbers in parts that begin where blocks of a direction do, so that memory stays flat whatever its size.

import { BoundedReader } from '../sources/bounded-reader.ts';
import { floatDtype } from '../sources/checkpoints/read.ts';
import { toFloat32 } from '../tensor/convert.ts';
import { BYTES_PER_ELEMENT, type TensorRef } from '../tensor/tensor.ts';
import { BLOCK } from './direction.ts';

/** Elements of a part. */
export const PART = 8 * BLOCK;

export interface TensorPart {
  /** Place of the first element in the tensor (row-major). */
  readonly from: number;
  readonly values: Float32Array;
  /** The same as they lie in the file; only until the next part is asked for. */
  readonly bytes: Uint8Array;
}

/** @throws WhorlError `unsupported` for a tensor that is not of floats */
export function* tensorParts(ref: TensorRef): Generator<TensorPart> {
  const dtype = floatDtype(ref);
  const reader = new BoundedReader(ref.file);
  try {
    let from = 0;
    for (const bytes of reader.chunks(ref.offset, ref.length, PART * BYTES_PER_ELEMENT[dtype])) {
      const values = toFloat32(bytes, dtype);
      yield { from, values, bytes };
      from += values.length;
    }
  } finally {
    reader.close();
  }
}
