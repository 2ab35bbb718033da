// Rows in another order are found by what they are, trained ones too; what is no relation is not found.

import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { TensorRef } from '../../src/tensor/tensor.ts';
import { placesInVocabulary } from '../../src/verify/vocabulary.ts';
import { seeded } from '../claim/plans.ts';
import { scratch } from '../cli/tiny-model.ts';

const [ROWS, WIDTH] = [5000, 96];
const folder = scratch();
afterAll(() => rmSync(folder, { recursive: true }));

let count = 0;
function stored(rows: Float32Array, width = WIDTH): TensorRef {
  const file = join(folder, `${count++}.bin`);
  writeFileSync(file, Buffer.from(rows.buffer));
  return { dtype: 'float32', shape: [rows.length / width, width], file, offset: 0, length: rows.byteLength };
}
const normal = (random: () => number): number =>
  Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
const drawn = (seed: number): Float32Array => {
  const random = seeded(seed);
  return Float32Array.from({ length: ROWS * WIDTH }, () => 2 + normal(random)); // leaning one way, as trained tables do
};
const vanilla = drawn(1);
/** Rows of `ids` moved by half of their size. */
const trained = (ids: readonly number[]): Float32Array => {
  const random = seeded(2);
  const rows = vanilla.slice();
  for (const id of ids) for (let e = 0; e < WIDTH; e++) rows[id * WIDTH + e]! += 0.5 * normal(random);
  return rows;
};
const placed = (rows: Float32Array, place: (id: number) => number): Float32Array => {
  const out = new Float32Array(rows.length);
  for (let id = 0; id < ROWS; id++) out.set(rows.subarray(id * WIDTH, (id + 1) * WIDTH), place(id) * WIDTH);
  return out;
};
const ids = [3, 77, 78, 1234, 4999];
const at = (ref: TensorRef) => placesInVocabulary(stored(vanilla), ref, Int32Array.from(ids));

test('in the same order: the same ids, whatever was done to their rows', () => {
  expect([...at(stored(trained(ids)))!]).toEqual(ids);
  const zeroed = vanilla.slice();
  for (const id of ids) zeroed.fill(0, id * WIDTH, (id + 1) * WIDTH);
  expect([...at(stored(zeroed))!]).toEqual(ids);
});

test('in another order, also behind the first rows that are compared: where they are', () => {
  const place = (id: number): number => (id * 7 + 1000) % ROWS;
  expect([...at(stored(placed(trained(ids), place)))!]).toEqual(ids.map(place));
  expect(ids.map(place).some((id) => id > 4096)).toBe(true);
});

test('no relation, another width, a row that is gone', () => {
  expect(at(stored(drawn(9)))).toBeUndefined();
  expect(at(stored(vanilla.slice(0, 100 * 12), 12))).toBeUndefined();
  const gone = placed(vanilla, (id) => (id * 7 + 1000) % ROWS);
  gone.fill(0, ((77 * 7 + 1000) % ROWS) * WIDTH, (((77 * 7 + 1000) % ROWS) + 1) * WIDTH);
  expect(at(stored(gone))).toBeUndefined();
});
