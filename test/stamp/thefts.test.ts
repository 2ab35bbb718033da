// What a thief did to a matrix and what is read of it all the same, as numpy has it (goldens/stamp/make_thefts.py): rows and columns
// rescaled, hidden units in another order, both, pruned and coarse. numpy knows the order; the reader has to find it.

import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { sha256Hex } from '../../src/base/sha256.ts';
import { matrixSums, zOf } from '../../src/stamp/read-stamp.ts';
import { orderOf, residualOrder } from '../../src/stamp/reordered.ts';
import { stampedBytes } from '../../src/stamp/stamp-tensor.ts';
import { fromFloat32, toFloat32 } from '../../src/tensor/convert.ts';
import type { TensorRef } from '../../src/tensor/tensor.ts';

interface Case {
  readonly sha256: string;
  readonly order: readonly [axis: 0 | 1, lines: readonly number[]] | null;
  readonly against: boolean;
  readonly elements: number;
  readonly rescaled: boolean;
  readonly reordered: boolean;
  readonly squares: number;
  readonly z: number;
}
const golden = JSON.parse(
  readFileSync(new URL('../../goldens/stamp/thefts.json', import.meta.url), 'utf8'),
) as {
  readonly shape: readonly [number, number];
  readonly key: string;
  readonly scale: number;
  readonly cases: Readonly<Record<string, Case>>;
};

const scratch = mkdtempSync(join(tmpdir(), 'whorl-thefts-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
const [rows, columns] = golden.shape;
const key = Buffer.from(golden.key, 'hex');

/** int16 out of SHAKE256, divided. */
function numbers(label: string, by: number): Float32Array {
  const bytes = createHash('shake256', { outputLength: 2 * rows * columns })
    .update(label)
    .digest();
  return Float32Array.from({ length: rows * columns }, (_, i) => bytes.readInt16LE(2 * i) / by);
}
let files = 0;
function stored(values: Float32Array, shape: readonly number[] = golden.shape): TensorRef {
  const file = join(scratch, String(files++));
  const bytes = fromFloat32(values, 'float32');
  writeFileSync(file, bytes);
  return { dtype: 'float32', shape, file, offset: 0, length: bytes.length };
}
const halfEven = (x: number): number => (Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : Math.round(x));

const vanilla = numbers('matrix', 2 ** 20);
const before = stored(vanilla);
const stamped = toFloat32(Buffer.concat([...stampedBytes(before, key, golden.scale)]), 'float32');
const changed = (change: (x: number, row: number, column: number) => number): Float32Array =>
  stamped.map((x, i) => change(x, Math.floor(i / columns), i % columns));
const ofRow = (row: number): number => 2 ** (((row * 7) % 13) - 6);
const ofColumn = (column: number): number => (column % 3 ? 1 : -1) * 2 ** ((column * 5) % 9);
const byRows = () => changed((x, row) => x * ofRow(row));
const byColumns = () => changed((x, _, column) => x * ofColumn(column));
const byBoth = () => changed((x, row, column) => x * 2 ** ((row * 7) % 3) * 2 ** ((column * 5) % 9));

const THEFTS: Readonly<Record<string, () => Float32Array>> = {
  rows: byRows,
  'columns, some turned round': byColumns,
  both: byBoth,
  'rows, alone': byRows,
  'rows in another order': () => stamped,
  'columns in another order': () => stamped,
  'rows rescaled, and in another order': byRows,
  'columns rescaled, rows in another order': byColumns,
  'columns in another order, both rescaled': byBoth,
  'three in seven pruned, rows in another order': () =>
    changed((x, row, column) => ((row * 5 + column * 3) % 7 < 3 ? 0 : x)),
  'coarse, columns in another order': () => changed((x) => halfEven(x * 512) / 512 || 2 ** -11),
  'an innocent one in another order': () => {
    const noise = numbers('noise', 2 ** 33);
    return vanilla.map((x, i) => x + noise[i]!);
  },
};

/** What the suspect's line i holds is what was line order[i]. */
const inOrder = (values: Float32Array, order: Case['order']): Float32Array => {
  if (!order) return values;
  const [axis, lines] = order;
  return values.map((_, i) => {
    const [row, column] = [Math.floor(i / columns), i % columns];
    return axis === 0 ? values[lines[row]! * columns + column]! : values[row * columns + lines[column]!]!;
  });
};

test.each(Object.entries(golden.cases))('%s', (name, { sha256, order, against, ...wanted }) => {
  const thief = stored(inOrder(THEFTS[name]!(), order));
  expect(sha256Hex(readFileSync(thief.file))).toBe(sha256);
  const sums = matrixSums(key, thief, against ? before : undefined);
  expect(sums).toMatchObject({
    ...{ elements: wanted.elements, rescaled: wanted.rescaled, reordered: wanted.reordered },
    alike: against ? true : null,
  });
  expect(sums.squares / wanted.squares).toBeCloseTo(1, 9);
  expect(zOf(sums)).toBeCloseTo(wanted.z, 7);
});

test('experts that are stacked: each has an order of its own', () => {
  const both = Float32Array.of(...vanilla, ...numbers('noise', 2 ** 20));
  const shape = [2, rows, columns];
  const lines = Array.from({ length: rows }, (_, i) => (i * 37 + 11) % rows);
  const moved = both.map((_, i) => {
    const [row, column] = [Math.floor(i / columns), i % columns];
    return row < rows ? both[lines[row]! * columns + column]! : both[i]!;
  });
  const order = orderOf(stored(moved, shape), stored(both, shape))!;
  expect(order.columns).toBeUndefined();
  expect([...order.rows!.subarray(0, rows)].map((at) => lines[at])).toEqual([...Array(rows).keys()]);
  expect([...order.rows!.subarray(rows)]).toEqual(Array.from({ length: rows }, (_, i) => rows + i));
  const columnsMoved = both.map((_, i) => both[i - (i % columns) + ((i * 63 + 5) % columns)]!);
  expect(orderOf(stored(columnsMoved, shape), stored(both, shape))).toEqual({
    columns: expect.any(Int32Array) as Int32Array,
  });
});

test('nothing in common, constant, zeros, no number: no order, and nothing fails', () => {
  const other = numbers('other', 2 ** 20);
  for (const suspect of [other, other.map(() => 1), other.map(() => 0), other.map(() => Number.NaN)]) {
    expect(orderOf(stored(suspect), before)).toBeUndefined();
    expect(matrixSums(key, stored(suspect), before)).toMatchObject({ reordered: false });
  }
});

test('rows that are another’s, rows that stand twice: the others are found, each place has one line', () => {
  const thief = inOrder(stamped, golden.cases['rows in another order']!.order);
  const other = numbers('other', 2 ** 20);
  for (let i = 0; i < thief.length; i++) {
    const row = Math.floor(i / columns);
    if (row % 5 === 0) thief[i] = other[i]!;
    if (row % 5 === 1) thief[i] = thief[i + columns]!;
  }
  const { rows: lines } = orderOf(stored(thief), before)!;
  expect(new Set(lines).size).toBe(rows);
  expect(matrixSums(key, stored(thief), before)).toMatchObject({ reordered: true, alike: true });
  expect(zOf(matrixSums(key, stored(thief), before))).toBeGreaterThan(50);
});

test('hidden states in another order, some turned round, and hidden units too: found by the embedding', () => {
  // element i of the thief's hidden states was element moved[i]
  const moved = Array.from({ length: columns }, (_, i) => (i * 63 + 5) % columns);
  const sign = (i: number): number => (i % 3 ? 1 : -1);
  const vocabulary = 320;
  const table = Float32Array.from({ length: vocabulary * columns }, (_, i) =>
    Math.sin(i * i * 0.37 + 3 * Math.sin(i)),
  );
  const turned = (values: Float32Array, line: (row: number) => number) =>
    values.map((_, i) => {
      const [row, column] = [Math.floor(i / columns), i % columns];
      return sign(column) * values[line(row) * columns + moved[column]!]!;
    });
  const shape = [vocabulary, columns];
  const theirs = stored(
    turned(table, (row) => row),
    shape,
  );
  const residual = residualOrder(theirs, stored(table, shape))!;
  expect([...residual].map((at) => moved[at])).toEqual([...Array(columns).keys()]);
  expect(residualOrder(stored(table, shape), stored(table, shape))).toBeUndefined();
  const thief = stored(turned(stamped, (row) => (row * 37 + 11) % rows));
  expect(matrixSums(key, thief, before)).toMatchObject({ reordered: false, alike: false });
  const sums = matrixSums(key, thief, before, { residual: () => residual });
  expect(sums).toMatchObject({ reordered: true, rescaled: true, alike: true });
  expect(zOf(sums)).toBeGreaterThan(100);
});
