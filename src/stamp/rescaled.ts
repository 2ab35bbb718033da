// What a thief multiplied rows or columns of a matrix with (hidden units rescaled, a norm's weights folded in: the model does the
// same) is undone before it is read. A function of suspect and vanilla alone, so z stays normal (docs/claims.md, section 10).

import type { TensorRef } from '../tensor/tensor.ts';

/** A row or column counts as rescaled where undoing leaves less than this share of what it differs by. */
const LEFT = 0.5;
/** Read alone, a row or column is uneven beyond so many times the median, or below one over it. */
const UNEVEN = 4;
/** Nothing is undone for fewer rows or columns than one in so many: weights that do nothing are left out anyway. */
const FEW = 8;
/** A row or column of fewer elements tells nothing by what it is multiplied with. */
const SHORT = 64;
const PASSES = 8;

/** Element i lies in row ⌊i/columns⌋, and in a column of its own block of `rows`. */
interface Lines {
  readonly rows: number;
  readonly columns: number;
  readonly count: { readonly rows: number; readonly columns: number };
}

/** What each element is multiplied with: its row's number times its column's. */
export interface Scales extends Lines {
  readonly ofRows: Float64Array;
  readonly ofColumns: Float64Array;
}

/** Suspect and vanilla in parts, as they lie in their files. */
export type Parts = () => Iterable<{
  readonly from: number;
  readonly values: Float32Array;
  readonly other: Float32Array | undefined;
}>;

/** Of the elements of one row or column that are numbers and not 0: ⟨s,s⟩, ⟨s,w⟩, ⟨w,w⟩, how many; s the suspect's, scaled. */
interface Products {
  readonly ss: Float64Array;
  readonly sw: Float64Array;
  readonly ww: Float64Array;
  readonly n: Float64Array;
}

const linesOf = ({ shape }: Pick<TensorRef, 'shape'>): Lines => {
  const [columns = 1, rows = 1] = [...shape].reverse();
  const blocks = shape.slice(0, -2).reduce((a, b) => a * b, 1);
  return { rows, columns, count: { rows: blocks * rows, columns: blocks * columns } };
};

const column = (i: number, { rows, columns }: Lines): number =>
  Math.floor(i / (rows * columns)) * columns + (i % columns);

/** What `values` become, whose first is element `from`. */
export function scaled(values: Float32Array, from: number, scales: Scales): Float64Array {
  const { ofRows, ofColumns, columns } = scales;
  return Float64Array.from(
    values,
    (x, i) => x * ofRows[Math.floor((from + i) / columns)]! * ofColumns[column(from + i, scales)]!,
  );
}

export interface Undone {
  /** Undefined where nothing is to be undone. */
  readonly scales: Scales | undefined;
  /** Whether rows, once undone, have half of their squares in common with the vanilla ones; null where it is read alone. */
  readonly alike: boolean | null;
}

/** Reads both as often as there are rows and columns left to undo, once at least. */
export function undoing(ref: TensorRef, parts: Parts): Undone {
  const lines = linesOf(ref);
  const scales: Scales = {
    ...lines,
    ofRows: new Float64Array(lines.count.rows).fill(1),
    ofColumns: new Float64Array(lines.count.columns).fill(1),
  };
  let touched = false;
  for (let pass = 0; ; pass++) {
    const { ofRows, ofColumns, alone } = products(parts, scales);
    const factor = alone ? evened : fitted;
    const found = [
      { products: ofRows, scale: scales.ofRows, length: lines.columns },
      { products: ofColumns, scale: scales.ofColumns, length: lines.rows },
    ]
      .filter(({ length }) => length >= SHORT)
      .map(({ products, scale }) => ({ scale, ...factor(products) }))
      .sort((a, b) => b.share - a.share)[0];
    if (!found || FEW * found.share < 1 || pass === PASSES)
      return { scales: touched ? scales : undefined, alike: alone ? null : isAlike(ofRows) };
    found.factors.forEach((by, i) => {
      found.scale[i]! *= by;
    });
    touched = true;
  }
}

function products(parts: Parts, scales: Scales) {
  const make = (size: number): Products => ({
    ...{ ss: new Float64Array(size), sw: new Float64Array(size) },
    ...{ ww: new Float64Array(size), n: new Float64Array(size) },
  });
  const [ofRows, ofColumns] = [make(scales.count.rows), make(scales.count.columns)];
  let alone = true;
  for (const { from, values, other } of parts()) {
    alone = other === undefined;
    let [row, at] = [Math.floor(from / scales.columns), from % scales.columns];
    let first = Math.floor(row / scales.rows) * scales.columns;
    for (let i = 0; i < values.length; i++) {
      const s = values[i]! * scales.ofRows[row]! * scales.ofColumns[first + at]!;
      const w = other ? other[i]! : 0;
      if (s !== 0 && Number.isFinite(s) && Number.isFinite(w)) {
        add(ofRows, row, s, w);
        add(ofColumns, first + at, s, w);
      }
      if (++at === scales.columns) {
        [at, row] = [0, row + 1];
        if (row % scales.rows === 0) first += scales.columns;
      }
    }
  }
  return { ofRows, ofColumns, alone };
}

function add({ ss, sw, ww, n }: Products, line: number, s: number, w: number): void {
  ss[line]! += s * s;
  sw[line]! += s * w;
  ww[line]! += w * w;
  n[line]! += 1;
}

interface Factors {
  readonly factors: Float64Array;
  /** Of rows or columns for which they undo something. */
  readonly share: number;
}

/** Against the vanilla matrix: least squares, ⟨s,w⟩/⟨s,s⟩. */
function fitted({ ss, sw, ww }: Products): Factors {
  let undone = 0;
  const factors = ss.map((square, i) => {
    const fit = sw[i]! / square;
    if (!Number.isFinite(fit) || fit === 0) return 1;
    const left = ww[i]! - fit * sw[i]!;
    if (left < LEFT * Math.min(square - 2 * sw[i]! + ww[i]!, ww[i]!)) undone++;
    return fit;
  });
  return { factors, share: undone / factors.length };
}

/** Alone: every row, or column, as large as the median one. */
function evened({ ss, n }: Products): Factors {
  const sizes = ss.map((square, i) => Math.sqrt(square / n[i]!));
  const sorted = sizes.filter((size) => size > 0 && Number.isFinite(size)).sort();
  const middle = sorted[sorted.length >> 1] ?? 1;
  let uneven = 0;
  const factors = sizes.map((size) => {
    const factor = middle / size;
    if (!Number.isFinite(factor) || factor === 0) return 1;
    if (factor > UNEVEN || factor < 1 / UNEVEN) uneven++;
    return factor;
  });
  return { factors, share: uneven / factors.length };
}

function isAlike({ ss, sw, ww }: Products): boolean {
  let [common, all] = [0, 0];
  for (const [i, square] of ss.entries()) {
    if (square > 0) common += sw[i]! ** 2 / square;
    all += ww[i]!;
  }
  return 2 * common >= all;
}
