// Hidden units that a thief put in another order (rows of one matrix, columns of the next: the model does the same) are put back where the
// vanilla matrix has them. A function of suspect and vanilla alone, so z stays normal (docs/claims.md, section 10).

import { BoundedReader } from '../sources/bounded-reader.ts';
import { floatDtype } from '../sources/checkpoints/read.ts';
import { toFloat32 } from '../tensor/convert.ts';
import { BYTES_PER_ELEMENT, elements, type TensorRef } from '../tensor/tensor.ts';
import { PART, tensorParts } from './tensor-parts.ts';

/** A line is told by so many numbers: sums of its elements, each with a sign of its own. */
const SUMS = 128;
/** Lines whose sums have a smaller cosine are no lines of each other. */
const SAME = 0.5;
/** Vanilla lines that are looked for first: where half of them are found nowhere, there is no order. */
const PROBES = 32;
/** Lines of fewer elements tell nothing, and fewer lines are not worth it. */
const SHORT = 64;

type Axis = 'rows' | 'columns';

/** Where the suspect has them: vanilla row (column) i is its row `rows[i]` (both counted over all blocks); absent: as they are. */
export interface Order {
  readonly rows?: Int32Array;
  readonly columns?: Int32Array;
}

/** What else may have moved. */
export interface Known {
  /** In which order the suspect has the elements of hidden states, all matrices alike: vanilla's element i is its element `[i]`. */
  readonly residual?: () => Int32Array | undefined;
}

interface Sizes {
  readonly blocks: number;
  readonly rows: number;
  readonly columns: number;
}

const sizesOf = ({ shape }: Pick<TensorRef, 'shape'>): Sizes => {
  const [columns = 1, rows = 1] = [...shape].reverse();
  return { rows, columns, blocks: shape.slice(0, -2).reduce((a, b) => a * b, 1) };
};

/** Calls with each element that is a number and not 0, its row and its column, both counted over all blocks. */
function each(
  ref: TensorRef,
  { rows, columns }: Sizes,
  call: (x: number, row: number, column: number) => void,
) {
  for (const { from, values } of tensorParts(ref)) {
    let [row, at] = [Math.floor(from / columns), from % columns];
    for (let i = 0; i < values.length; i++) {
      const x = values[i]!;
      if (x !== 0 && Number.isFinite(x)) call(x, row, Math.floor(row / rows) * columns + at);
      if (++at === columns) [at, row] = [0, row + 1];
    }
  }
}

interface Sizing {
  readonly rows: Float64Array;
  readonly columns: Float64Array;
}

/** What rows, and then columns, are divided by to be of one size: nothing that they were multiplied with is left. */
function sizing(ref: TensorRef, sizes: Sizes): Sizing {
  const rows = new Float64Array(sizes.blocks * sizes.rows);
  const columns = new Float64Array(sizes.blocks * sizes.columns);
  each(ref, sizes, (x, row) => {
    rows[row]! += x * x;
  });
  rows.forEach((square, i) => {
    rows[i] = Math.sqrt(square) || 1;
  });
  each(ref, sizes, (x, row, column) => {
    columns[column]! += (x / rows[row]!) ** 2;
  });
  columns.forEach((square, i) => {
    columns[i] = Math.sqrt(square) || 1;
  });
  return { rows, columns };
}

/** Mixes the bits of a place, the same everywhere (the finaliser of MurmurHash3). */
function mixed(place: number): number {
  let x = place | 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

/** How sums are made of a line. */
interface Summing {
  /** Of magnitudes, less their mean: elements that were turned round, one by one, do not matter. */
  readonly magnitudes: boolean;
  /** Vanilla's element i of a line is element `[i]`; undefined: it is element i. */
  readonly across?: Int32Array | undefined;
}

/** [lines, SUMS], each line of length 1. */
function sumsOf(
  ref: TensorRef,
  sizes: Sizes,
  axis: Axis,
  { rows, columns }: Sizing,
  { magnitudes, across }: Summing,
): Float32Array {
  const length = sizes[axis === 'rows' ? 'columns' : 'rows'];
  const places = new Uint32Array(length);
  for (let i = 0; i < length; i++) places[across?.[i] ?? i] = mixed(i + 1);
  let [mean, count] = [0, 0];
  if (magnitudes) {
    each(ref, sizes, (x, row, column) => {
      mean += Math.abs(x) / (rows[row]! * columns[column]!);
      count++;
    });
    mean /= count || 1;
  }
  const sums = new Float32Array(sizes.blocks * sizes[axis] * SUMS);
  each(ref, sizes, (x, row, column) => {
    const [line, place] = axis === 'rows' ? [row, column % length] : [column, row % length];
    const mix = places[place]!;
    const even = x / (rows[row]! * columns[column]!);
    const value = magnitudes ? Math.abs(even) - mean : even;
    sums[line * SUMS + (mix % SUMS)]! += mix & 0x80000000 ? value : -value;
  });
  for (let at = 0; at < sums.length; at += SUMS) {
    let square = 0;
    for (let i = at; i < at + SUMS; i++) square += sums[i]! ** 2;
    const length = Math.sqrt(square) || 1;
    for (let i = at; i < at + SUMS; i++) sums[i]! /= length;
  }
  return sums;
}

/** The cosine of two lines, turned round or not. */
function cosine(own: Float32Array, i: number, others: Float32Array, j: number): number {
  let dot = 0;
  for (let k = 0, a = i * SUMS, b = j * SUMS; k < SUMS; k++, a++, b++) dot += own[a]! * others[b]!;
  return Math.abs(dot);
}

/**
 * The order in which the suspect has the vanilla matrix' rows, or its columns, whatever they were multiplied with; undefined where half
 * of them are found nowhere. Each is the one whose nearest it is; those left over fill the places that are left.
 * @param suspect of the same shape as `vanilla`
 */
export function orderOf(suspect: TensorRef, vanilla: TensorRef, { residual }: Known = {}): Order | undefined {
  const sizes = sizesOf(vanilla);
  const [theirs, ours] = [sizing(suspect, sizes), sizing(vanilla, sizes)];
  const moved = residual?.();
  const orders = moved ? [undefined, moved] : [undefined];
  for (const across of orders)
    for (const magnitudes of [false, true])
      for (const axis of ['rows', 'columns'] as const) {
        const other = axis === 'rows' ? 'columns' : 'rows';
        if (sizes[other] < SHORT || sizes[axis] < SHORT) continue;
        if (across && across.length !== sizes[other]) continue;
        const found = linesIn(
          sumsOf(suspect, sizes, axis, theirs, { magnitudes, across }),
          sumsOf(vanilla, sizes, axis, ours, { magnitudes }),
          sizes[axis],
        );
        if (found) return { [axis]: found, ...(across && { [other]: inEachBlock(across, sizes.blocks) }) };
      }
  return undefined;
}

const inEachBlock = (order: Int32Array, blocks: number): Int32Array =>
  Int32Array.from(
    { length: blocks * order.length },
    (_, i) => i - (i % order.length) + order[i % order.length]!,
  );

/** `Known.residual`, by the columns of an embedding [V, E] whose rows are where they were. */
export function residualOrder(suspect: TensorRef, vanilla: TensorRef): Int32Array | undefined {
  if (String(suspect.shape) !== String(vanilla.shape)) return undefined;
  const sizes = sizesOf(vanilla);
  if (sizes.rows < SHORT || sizes.columns < SHORT) return undefined;
  const sums = (ref: TensorRef) => sumsOf(ref, sizes, 'columns', sizing(ref, sizes), { magnitudes: false });
  const found = linesIn(sums(suspect), sums(vanilla), sizes.columns);
  return found?.every((line, i) => line === i) ? undefined : found;
}

/** @param per lines of a block: each block has an order of its own */
function linesIn(suspect: Float32Array, vanilla: Float32Array, per: number): Int32Array | undefined {
  const count = vanilla.length / SUMS;
  const step = Math.max(1, Math.floor(count / PROBES));
  let [probes, known] = [0, 0];
  for (let i = 0; i < count; i += step, probes++) {
    const from = i - (i % per);
    for (let j = from; j < from + per; j++)
      if (cosine(vanilla, i, suspect, j) > SAME) {
        known++;
        break;
      }
  }
  if (2 * known < probes) return undefined;
  const lines = new Int32Array(count).fill(-1);
  const taken = new Uint8Array(count);
  let found = 0;
  for (let from = 0; from < count; from += per)
    for (const [i, line] of mutual(suspect, vanilla, from, from + per)) {
      lines[i] = line;
      taken[line] = 1;
      found++;
    }
  if (2 * found < count) return undefined;
  for (let from = 0; from < count; from += per) {
    let free = from;
    for (let i = from; i < from + per; i++) {
      if (lines[i]! >= 0) continue;
      while (taken[free]) free++;
      lines[i] = free++;
    }
  }
  return lines;
}

/** Of lines from..to-1: vanilla's and the suspect's that are each other's nearest. */
function mutual(suspect: Float32Array, vanilla: Float32Array, from: number, to: number): [number, number][] {
  const nearest = (): Int32Array => new Int32Array(to - from).fill(-1);
  const [theirs, ours] = [nearest(), nearest()];
  const best = new Float64Array(to - from).fill(SAME);
  for (let i = from; i < to; i++) {
    let most = SAME;
    for (let j = from; j < to; j++) {
      const alike = cosine(vanilla, i, suspect, j);
      if (alike > most) [most, theirs[i - from]] = [alike, j];
      if (alike > best[j - from]!) [best[j - from], ours[j - from]] = [alike, i];
    }
  }
  return [...theirs].flatMap((j, i): [number, number][] =>
    j >= 0 && ours[j - from] === from + i ? [[from + i, j]] : [],
  );
}

/** Parts of the tensor as `tensorParts` has them, its lines in this order; memory for a part, and the rows that it lies in. */
export function* reorderedParts(
  ref: TensorRef,
  { rows: ofRows, columns: ofColumns }: Order,
): Generator<{ readonly from: number; readonly values: Float32Array }> {
  const { rows, columns } = sizesOf(ref);
  const dtype = floatDtype(ref);
  const bytes = new Uint8Array(columns * BYTES_PER_ELEMENT[dtype]);
  const reader = new BoundedReader(ref.file);
  const rowAt = (row: number): Float32Array => {
    reader.readInto(bytes, ref.offset + (ofRows?.[row] ?? row) * bytes.length);
    const values = toFloat32(bytes, dtype);
    if (!ofColumns) return values.slice();
    const first = Math.floor(row / rows) * columns;
    return Float32Array.from({ length: columns }, (_, i) => values[ofColumns[first + i]! - first]!);
  };
  try {
    const total = elements(ref.shape);
    let row = -1;
    let current: Float32Array = new Float32Array(0);
    for (let from = 0; from < total; from += PART) {
      const values = new Float32Array(Math.min(PART, total - from));
      for (let i = 0; i < values.length; ) {
        const [wanted, at] = [Math.floor((from + i) / columns), (from + i) % columns];
        if (wanted !== row) [row, current] = [wanted, rowAt(wanted)];
        const length = Math.min(columns - at, values.length - i);
        values.set(current.subarray(at, at + length), i);
        i += length;
      }
      yield { from, values };
    }
  } finally {
    reader.close();
  }
}
