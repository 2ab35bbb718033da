import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { drawStamp } from '../../src/claim/stamp.ts';
import { fillDirection } from '../../src/stamp/direction.ts';
import { normalCells } from '../../src/stamp/normal-cells.ts';
import { matrixSums, pooled, zOf } from '../../src/stamp/read-stamp.ts';
import { figuresOf, stampedBytes } from '../../src/stamp/stamp-tensor.ts';
import { log10EValue, log10Tail } from '../../src/stamp/tail.ts';
import { fromFloat32, toFloat32 } from '../../src/tensor/convert.ts';
import type { FloatDtype, TensorRef } from '../../src/tensor/tensor.ts';

interface Sums {
  readonly dot: number;
  readonly squares: number;
  readonly z: number;
}
interface GoldenMatrix {
  readonly name: string;
  readonly dtype: FloatDtype;
  readonly shape: readonly number[];
  readonly key: string;
  readonly scale: number;
  readonly deviation: number;
  readonly before_sha256: string;
  readonly after_sha256: string;
  readonly elements: number;
  readonly left_out: number;
  readonly against: Sums;
  readonly alone: Sums;
  readonly 'dead against': Sums & { readonly elements: number };
  readonly 'dead alone': Sums & { readonly elements: number };
  readonly coarse: Sums & { readonly step: number; readonly zeros: number; readonly elements: number };
}
interface Golden {
  readonly cells: { readonly sha256: string; readonly some: Readonly<Record<string, number>> };
  readonly keys: readonly {
    readonly owner_seed: string;
    readonly root: string;
    readonly randomness: string;
    readonly name: string;
    readonly key: string;
  }[];
  readonly direction: {
    readonly key: string;
    readonly count: number;
    readonly sha256: string;
    readonly first: readonly number[];
  };
  readonly matrices: readonly GoldenMatrix[];
  readonly pooled: { readonly against: number; readonly alone: number };
  readonly tails: readonly { readonly z: number; readonly log10_tail: string; readonly log10_e: string }[];
}
const golden = JSON.parse(
  readFileSync(new URL('../../goldens/stamp/golden.json', import.meta.url), 'utf8'),
) as Golden;

const scratch = mkdtempSync(join(tmpdir(), 'whorl-stamp-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const hex = (text: string): Uint8Array => Buffer.from(text, 'hex');
const bytesOf = (words: Int16Array): Uint8Array => {
  const out = Buffer.alloc(2 * words.length);
  words.forEach((word, i) => out.writeInt16LE(word, 2 * i));
  return out;
};

let files = 0;
function stored(values: Float32Array, shape: readonly number[], dtype: FloatDtype): TensorRef {
  const file = join(scratch, String(files++));
  const bytes = fromFloat32(values, dtype);
  writeFileSync(file, bytes);
  return { dtype, shape, file, offset: 0, length: bytes.length };
}
const storedBytes = (bytes: Uint8Array, like: TensorRef): TensorRef =>
  stored(toFloat32(bytes, like.dtype as FloatDtype), like.shape, like.dtype as FloatDtype);
/** The fixed matrix of goldens/stamp/make.py. */
const plain = (count: number): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => (((i * 7919 + 104729) % 65521) - 32760) / 2 ** 20);

test('the cells are those of mpmath, every one', () => {
  const cells = normalCells();
  for (const [word, value] of Object.entries(golden.cells.some)) expect(cells[Number(word)]).toBe(value || 0);
  expect(sha256(bytesOf(cells))).toBe(golden.cells.sha256);
});

test('E[exp(λξ)] is at most exp(λ²/2), which makes tails and e-values exact', () => {
  const cells = normalCells();
  for (const lambda of [0.01, 0.3, 1, 2.5, 6, 20]) {
    let sum = 0;
    for (const cell of cells) sum += Math.exp((lambda * cell) / 4096 - (lambda * lambda) / 2);
    expect(sum / cells.length).toBeLessThanOrEqual(1);
  }
});

test('the draw gives each matrix its key, with a beacon another one', () => {
  const plan = { direction: 'shake256-normal-v1', epsilon: 0.001, matrices: [] } as const;
  for (const { owner_seed, root, randomness, name, key } of golden.keys) {
    const { keyOf } = drawStamp({ ...plan, matrices: [] }, root, owner_seed, randomness || null);
    expect(Buffer.from(keyOf(name)).toString('hex')).toBe(key);
  }
});

test('a direction is the same whole and from any block on', () => {
  const { key, count, first } = golden.direction;
  const whole = new Int16Array(count);
  fillDirection(hex(key), 0, whole);
  expect(sha256(bytesOf(whole))).toBe(golden.direction.sha256);
  expect([...whole.subarray(0, 8)].map((x) => x / 4096)).toEqual(first);
  const part = new Int16Array(40_000);
  fillDirection(hex(key), 32_768, part);
  expect(part).toEqual(whole.subarray(32_768, 72_768));
});

describe.each(golden.matrices)('matrix $name, $dtype', (matrix) => {
  const { dtype, shape, key, scale } = matrix;
  const before = stored(plain(shape[0]! * shape[1]!), shape, dtype);
  const stamped = () => Buffer.concat([...stampedBytes(before, hex(key), scale)]);

  test('stamped as torch rounds it', () => {
    const figures = figuresOf(before);
    expect(figures.sha256).toBe(matrix.before_sha256);
    expect(figures.deviation / matrix.deviation).toBeCloseTo(1, 12);
    expect(sha256(stamped())).toBe(matrix.after_sha256);
  });

  test('read as numpy reads it, zeros left out, with the vanilla matrix and without', () => {
    const values = toFloat32(stamped(), dtype).map((x, i) => (i % 3 === 0 ? 0 : x));
    const suspect = stored(values, shape, dtype);
    for (const how of ['against', 'alone'] as const) {
      const sums = matrixSums(hex(key), suspect, how === 'against' ? before : undefined);
      expect(sums).toMatchObject({ elements: matrix.elements, left_out: matrix.left_out });
      expect(zOf(sums)).toBeCloseTo(matrix[how].z, 8);
      expect(sums.squares / matrix[how].squares).toBeCloseTo(1, 10);
      expect(sums.vanilla_sha256).toBe(how === 'against' ? matrix.before_sha256 : null);
    }
  });
});

test.each(golden.matrices)(
  'zeros of a quantiser count, matrix $name',
  ({ key, shape, dtype, scale, coarse }) => {
    const before = stored(plain(shape[0]! * shape[1]!), shape, dtype);
    const bytes = Buffer.concat([...stampedBytes(before, hex(key), scale)]);
    const values = toFloat32(bytes, dtype).map((x) => halfEven(x / coarse.step) * coarse.step);
    const sums = matrixSums(hex(key), stored(values, shape, 'float32'), before);
    expect(coarse.zeros).toBeGreaterThan(1000);
    expect(sums.elements).toBe(coarse.elements);
    expect(zOf(sums)).toBeCloseTo(coarse.z, 8);
  },
);

test.each(golden.matrices)(
  'a neuron that does nothing, its weights as large as a thief likes, is left out, matrix $name',
  ({ key, shape, dtype, scale, ...matrix }) => {
    const [rows, columns] = shape as [number, number];
    const before = stored(plain(rows * columns), shape, dtype);
    const bytes = Buffer.concat([...stampedBytes(before, hex(key), scale)]);
    const values = toFloat32(bytes, dtype).slice();
    const old = toFloat32(fromFloat32(plain(rows * columns), dtype), dtype);
    for (let i = columns; i < 2 * columns; i++) values[i] = Math.sign(old[i]!) * 3;
    const suspect = stored(values, shape, dtype);
    for (const how of ['against', 'alone'] as const) {
      const sums = matrixSums(hex(key), suspect, how === 'against' ? before : undefined);
      const wanted = matrix[`dead ${how}`];
      expect([sums.elements, sums.left_out]).toEqual([wanted.elements, rows * columns - wanted.elements]);
      expect(zOf(sums)).toBeCloseTo(wanted.z, 8);
    }
    expect(matrix['dead against'].z).toBeGreaterThan(100);
  },
);

const SCALES: Readonly<Record<string, (row: number, column: number) => number>> = {
  'rows, by 2⁻⁶ to 2⁶': (row) => 2 ** ((row * 7) % 13) / 64,
  'columns, some turned round': (_, column) => (column % 3 ? 1 : -1) * 2 ** ((column * 5) % 9),
  'rows and columns': (row, column) => 1.01 ** ((row * 7) % 100) * 2 ** ((column * 5) % 9),
  'a little: by 1.02 or not': (row) => (row % 2 ? 1.02 : 1),
};

describe.each(golden.matrices)('rescaled, matrix $name', ({ key, shape, dtype, scale }) => {
  const [rows, columns] = shape as [number, number];
  const before = stored(plain(rows * columns), shape, dtype);
  const old = toFloat32(fromFloat32(plain(rows * columns), dtype), dtype);
  const stamped = toFloat32(Buffer.concat([...stampedBytes(before, hex(key), scale)]), dtype);
  const suspect = (change: (x: number, i: number) => number) => stored(stamped.map(change), shape, 'float32');
  const z = (ref: TensorRef, vanilla: TensorRef | undefined) => zOf(matrixSums(hex(key), ref, vanilla));
  const plainly = z(
    suspect((x) => x),
    before,
  );

  test.each(Object.entries(SCALES))('%s: undone', (_, by) => {
    const thief = suspect((x, i) => x * by(Math.floor(i / columns), i % columns));
    const sums = matrixSums(hex(key), thief, before);
    expect(sums).toMatchObject({ rescaled: true, alike: true });
    expect(zOf(sums) / plainly).toBeGreaterThan(0.7);
    // An innocent one that was rescaled in the same way has nothing.
    const innocent = stored(
      old.map((x, i) => x * 1.001 ** (i % 2) * by(Math.floor(i / columns), i % columns)),
      shape,
      'float32',
    );
    expect(Math.abs(z(innocent, before))).toBeLessThan(5);
  });
  test('half pruned, then rescaled', () => {
    const pruned = suspect((x, i) => (i % 2 ? x : 0));
    const thief = suspect((x, i) =>
      i % 2 ? x * SCALES['rows and columns']!(Math.floor(i / columns), i % columns) : 0,
    );
    expect(z(thief, before) / z(pruned, before)).toBeGreaterThan(0.7);
  });
  test('read alone, rows that somebody made uneven weigh alike', () => {
    const strong = toFloat32(Buffer.concat([...stampedBytes(before, hex(key), 0.005)]), dtype);
    const uneven = strong.map((x, i) => x * 4 ** ((Math.floor(i / columns) * 7) % 13));
    const sums = matrixSums(hex(key), stored(uneven, shape, 'float32'), undefined);
    expect(sums).toMatchObject({ rescaled: true, alike: null });
    expect(zOf(sums) / z(stored(strong, shape, 'float32'), undefined)).toBeGreaterThan(0.9);
  });
  test('rows of another matrix are none of the vanilla one, and it is said; as they are, nothing is undone', () => {
    const turned = suspect((_, i) => Math.sin(i * i) / 64);
    expect(matrixSums(hex(key), turned, before)).toMatchObject({ alike: false });
    expect(
      matrixSums(
        hex(key),
        suspect((x) => x),
        before,
      ),
    ).toMatchObject({ rescaled: false, alike: true });
  });
});

test('nothing but zeros and what is no number', () => {
  const ref = stored(Float32Array.of(0, Number.POSITIVE_INFINITY, 0, -0, Number.NaN), [1, 5], 'float32');
  const key = hex(golden.direction.key);
  expect(matrixSums(key, ref, undefined)).toMatchObject({ elements: 0, left_out: 5, dot: 0, squares: 0 });
  expect(matrixSums(key, ref, ref)).toMatchObject({ elements: 3, left_out: 2, squares: 0 });
});

/** numpy rounds ties to even. */
const halfEven = (x: number): number => (Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : Math.round(x));

test('several matrices pooled', () => {
  for (const how of ['against', 'alone'] as const) {
    const read = golden.matrices.map((matrix) => ({
      scale: matrix.scale,
      sums: { ...matrix[how], elements: matrix.elements, left_out: matrix.left_out, vanilla_sha256: null },
    }));
    expect(pooled(read)).toBeCloseTo(golden.pooled[how], 8);
  }
  expect(pooled([])).toBe(0);
  const nothing = { elements: 5, left_out: 0, dot: 0, squares: 0, vanilla_sha256: null };
  expect(zOf(nothing)).toBe(0);
  expect(pooled([{ scale: 1, sums: nothing }])).toBe(0);
});

test('tails and e-values far beyond doubles', () => {
  for (const { z, log10_tail, log10_e } of golden.tails) {
    const near = (mine: number, theirs: number) =>
      expect(Math.abs(mine - theirs), `z ${z}: ${mine}`).toBeLessThan(1e-13 + 2e-12 * Math.abs(theirs));
    near(log10Tail(z), Number(log10_tail));
    near(log10EValue(z), Number(log10_e));
  }
});

test('what is no number, or would leave the range of its dtype, stays as it was', () => {
  // The direction begins 0.41, -1.84, -1.86, 0.49, 1.90: the second and the last would go beyond float16.
  const values = Float32Array.of(Number.NaN, -65_504, 1, Number.POSITIVE_INFINITY, 65_504);
  const ref = stored(values, [1, 5], 'float16');
  const after = toFloat32(Buffer.concat([...stampedBytes(ref, hex(golden.direction.key), 500)]), 'float16');
  expect([after[0], after[1], after[3], after[4]]).toEqual([
    Number.NaN,
    -65_504,
    Number.POSITIVE_INFINITY,
    65_504,
  ]);
  expect(after[2]).toBe(-929.5); // 1 - 500·1.860595703125 = -929.2978…, between -929 and -929.5
  const sums = matrixSums(
    hex(golden.direction.key),
    storedBytes(fromFloat32(values, 'float16'), ref),
    undefined,
  );
  expect(sums).toMatchObject({ elements: 3, left_out: 2 });
});
