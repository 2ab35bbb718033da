// A tensor's rows and values between GGUF's order and Hugging Face's, either way, some rows at a time.

import type { BoundedReader } from '../sources/bounded-reader.ts';
import { joined } from '../tensor/join.ts';
import { elements } from '../tensor/tensor.ts';

export interface RowOrder {
  /** The rows that are read in the order that is wanted, as runs of neighbours; absent: as they stand. */
  readonly runs?: readonly Run[];
  /** Rows lie otherwise within groups of this many: row j·D/2 + i of Hugging Face's is row 2i + j of GGUF's. */
  readonly headDim?: number;
  /** The columns of a matrix are wanted as rows. */
  readonly transposed?: boolean;
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
const TRANSPOSED_ELEMENTS = 1 << 22; // 16 MB of columns at a time, for which all rows are read

/** The tensor's values as `to` has them. @param decode bytes of whole rows; of a vector, of all of it */
export function* orderedRows(
  reader: BoundedReader,
  { name, shape, offset, length }: Stored,
  { runs, headDim = 1, transposed: turned = false, plus = 0 }: RowOrder,
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
  if (turned) {
    const chunk = Math.max(1, Math.floor(CHUNK_ELEMENTS / columns)) * rowLength;
    const chunks = () => reader.chunks(offset, length, chunk);
    return yield* columnsOf(chunks, decode, length / rowLength, columns);
  }
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

/** The columns of a matrix as rows, some at a time. @param chunks its rows from the first */
function* columnsOf(
  chunks: () => Iterable<Uint8Array>,
  decode: (bytes: Uint8Array) => Float32Array,
  rows: number,
  columns: number,
): Generator<Float32Array> {
  const wanted = Math.max(1, Math.floor(TRANSPOSED_ELEMENTS / rows));
  for (let first = 0; first < columns; first += wanted) {
    const count = Math.min(wanted, columns - first);
    const out = new Float32Array(count * rows);
    let row = 0;
    for (const bytes of chunks()) {
      const values = decode(bytes);
      for (let at = first; at < values.length; at += columns, row++)
        for (let column = 0; column < count; column++) out[column * rows + row] = values[at + column]!;
    }
    yield out;
  }
}

/** Rows of all q, of all k, of all v, read group by group: of each head of keys the q that share it, its k, its v. */
export const groupRuns = (heads: number, kvHeads: number, D: number): readonly Run[] =>
  Array.from({ length: kvHeads }, (_, group) => [
    { first: (group * heads * D) / kvHeads, count: (heads * D) / kvHeads },
    { first: (heads + group) * D, count: D },
    { first: (heads + kvHeads + group) * D, count: D },
  ]).flat();

/** The way back of `groupRuns`. */
export function partRuns(heads: number, kvHeads: number, D: number): readonly Run[] {
  const shared = heads / kvHeads;
  const part = (first: number, count: number): Run[] =>
    Array.from({ length: kvHeads }, (_, group) => ({
      first: (group * (shared + 2) + first) * D,
      count: count * D,
    }));
  return [...part(0, shared), ...part(shared, 1), ...part(shared + 1, 1)];
}
