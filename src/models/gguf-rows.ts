// A tensor's rows and values between GGUF's order and Hugging Face's, either way, some rows at a time.

import type { BoundedReader } from '../sources/bounded-reader.ts';
import { joined } from '../tensor/join.ts';
import { elements } from '../tensor/tensor.ts';

export interface RowOrder {
  /** The rows that are read in the order that is wanted, as runs of neighbours; absent: as they stand. */
  readonly runs?: readonly Run[];
  /** Rows lie otherwise within groups of this many: row j·D/2 + i of Hugging Face's is row 2i + j of GGUF's. */
  readonly headDim?: number;
  /** Added to every value. */
  readonly plus?: number;
}

interface Run {
  readonly first: number;
  readonly count: number;
}

interface Stored {
  readonly name: string;
  readonly shape: readonly number[];
  readonly offset: number;
  readonly length: number;
}

const CHUNK_ELEMENTS = 1 << 20; // 4 MB of float32 at a time, however large the tensor

/** The tensor's values as `to` has them. @param decode bytes of whole rows; of a vector, of all of it */
export function* orderedRows(
  reader: BoundedReader,
  { name, shape, offset, length }: Stored,
  { runs, headDim = 1, plus = 0 }: RowOrder,
  to: 'gguf' | 'hugging-face',
  decode: (bytes: Uint8Array) => Float32Array,
): Generator<Float32Array> {
  const columns = shape.length === 1 ? 1 : shape.at(-1)!;
  const half = headDim / 2;
  const finished = (values: Float32Array): Float32Array => {
    const [outer, inner] = to === 'gguf' ? [2, half] : [half, 2];
    const ordered = headDim === 1 ? values : transposed(values, columns, outer, inner);
    return plus === 0 ? ordered : ordered.map((value) => value + plus);
  };
  if (shape.length === 1) {
    // A bias or norm: rows of one element, which blocks cross.
    reader.position = offset;
    const values = decode(reader.bytes(length, name));
    yield finished(
      runs ? joined(runs.map(({ first, count }) => values.subarray(first, first + count))) : values,
    );
    return;
  }
  const rowLength = (length / elements(shape)) * columns;
  const wanted = Math.max(1, Math.floor(CHUNK_ELEMENTS / (columns * headDim))) * headDim * rowLength;
  for (const { first, count } of runs ?? [{ first: 0, count: length / rowLength }])
    for (const bytes of reader.chunks(offset + first * rowLength, count * rowLength, wanted))
      yield finished(decode(bytes));
}

/** Rows of each group [outer, inner] as [inner, outer]. [rows, columns] row-major */
function transposed(values: Float32Array, columns: number, outer: number, inner: number): Float32Array {
  const out = new Float32Array(values.length);
  for (let row = 0; row < values.length / columns; row++) {
    const within = row % (outer * inner);
    const to = row - within + (within % inner) * outer + Math.floor(within / inner);
    out.set(values.subarray(row * columns, (row + 1) * columns), to * columns);
  }
  return out;
}

/** Pieces of `count` rows that lie as [outer, inner], read as [inner, outer]. */
export const transposedRuns = (outer: number, inner: number, count: number): readonly Run[] =>
  Array.from({ length: inner }, (_, i) =>
    Array.from({ length: outer }, (_, o) => ({ first: (o * inner + i) * count, count })),
  ).flat();
