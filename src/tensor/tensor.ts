// The noun that file formats and the engine share: a dtype, a shape, and where the bytes lie.

export type Dtype = 'float32' | 'float16' | 'bfloat16' | 'int32' | 'int64' | 'bool' | 'uint8';
export type FloatDtype = 'float32' | 'float16' | 'bfloat16';

export const BYTES_PER_ELEMENT: Readonly<Record<Dtype, number>> = {
  float32: 4,
  float16: 2,
  bfloat16: 2,
  int32: 4,
  int64: 8,
  bool: 1,
  uint8: 1,
};

/** A dimension of a graph: a number, or a name for a size that each run brings (`'T'`). */
export type Dim = number | string;

/** A tensor's bytes in a file (little-endian, row-major). `file` is a real absolute path, no link. */
export interface TensorRef {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly file: string;
  readonly offset: number;
  readonly length: number;
}

/** A tensor in memory. `data` holds float32, whatever the dtype it was stored in. */
export interface FloatTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

export const elements = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);
