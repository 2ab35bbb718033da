// Weights into memory as float32: whole tensors or some rows of one.

import { WhorlError } from '../../base/error.ts';
import { toFloat32 } from '../../tensor/convert.ts';
import {
  BYTES_PER_ELEMENT,
  elements,
  type FloatDtype,
  type FloatTensor,
  type TensorRef,
} from '../../tensor/tensor.ts';
import { withReader } from '../bounded-reader.ts';

/** The tensor's dtype if it is one of floats; else throws `unsupported`. */
export function floatDtype(ref: TensorRef): FloatDtype {
  if (ref.dtype === 'float32' || ref.dtype === 'float16' || ref.dtype === 'bfloat16') return ref.dtype;
  throw new WhorlError('unsupported', `${ref.file}: a tensor of ${ref.dtype} stands where weights belong`);
}

/** The whole tensor. */
export function readTensor(ref: TensorRef): FloatTensor {
  const dtype = floatDtype(ref);
  const data = new Float32Array(elements(ref.shape));
  withReader(ref.file, (reader) => {
    let at = 0;
    for (const chunk of reader.chunks(ref.offset, ref.length)) {
      const part = toFloat32(chunk, dtype);
      data.set(part, at);
      at += part.length;
    }
  });
  return { shape: ref.shape, data };
}

/** Whether two tensors hold the same numbers, whatever their dtypes; reads both, a part at a time. */
export function sameValues(a: TensorRef, b: TensorRef): boolean {
  if (elements(a.shape) !== elements(b.shape)) return false;
  const part = 1 << 20; // elements
  const size = (ref: TensorRef) => part * BYTES_PER_ELEMENT[ref.dtype];
  return withReader(a.file, (left) =>
    withReader(b.file, (right) => {
      const others = right.chunks(b.offset, b.length, size(b));
      for (const bytes of left.chunks(a.offset, a.length, size(a))) {
        const other = others.next().value as Uint8Array;
        if (a.dtype === b.dtype && Buffer.compare(bytes, other) === 0) continue;
        if (![a, b].every(({ dtype }) => dtype in FLOATS)) return false;
        const values = toFloat32(other, floatDtype(b));
        if (toFloat32(bytes, floatDtype(a)).some((x, i) => x !== values[i])) return false;
      }
      return true;
    }),
  );
}

const FLOATS: Readonly<Record<FloatDtype, true>> = { float32: true, float16: true, bfloat16: true };

/** Bytes of one row of a matrix. */
export function rowBytes(ref: TensorRef): number {
  if (ref.shape.length !== 2)
    throw new WhorlError('mismatch', `${ref.file}: rows of a tensor of shape [${ref.shape}]`);
  return ref.shape[1]! * BYTES_PER_ELEMENT[ref.dtype];
}

/** The rows' bytes as they lie in the file, in the order asked for. */
export function readRowBytes(ref: TensorRef, rows: ArrayLike<number>): Uint8Array {
  const size = rowBytes(ref);
  const out = new Uint8Array(size * rows.length);
  withReader(ref.file, (reader) => {
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i]!;
      if (!Number.isInteger(row) || row < 0 || row >= ref.shape[0]!)
        throw new WhorlError('mismatch', `${ref.file}: row ${row} of a tensor of ${ref.shape[0]} rows`);
      reader.readInto(out.subarray(i * size, (i + 1) * size), ref.offset + row * size);
    }
  });
  return out;
}

/** Rows of a matrix, [rows.length, columns] row-major, in the order asked for. */
export const readTensorRows = (ref: TensorRef, rows: ArrayLike<number>): Float32Array =>
  toFloat32(readRowBytes(ref, rows), floatDtype(ref));
