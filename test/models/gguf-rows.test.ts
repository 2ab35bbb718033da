// Orders of rows that no golden of ours is large enough for.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { orderedRows } from '../../src/models/gguf-rows.ts';
import { BoundedReader } from '../../src/sources/bounded-reader.ts';
import { toFloat32 } from '../../src/tensor/convert.ts';

const scratch = mkdtempSync(join(tmpdir(), 'whorl-gguf-rows-'));
afterAll(() => rmSync(scratch, { recursive: true }));

test('a matrix that is transposed in several pieces, each of several reads', () => {
  const [rows, columns] = [1030, 4099];
  const stored = new Float32Array(rows * columns).map((_, i) => i); // exact in float32
  const file = join(scratch, 'matrix');
  writeFileSync(file, Buffer.concat([Buffer.alloc(12), Buffer.from(stored.buffer)]));
  const reader = new BoundedReader(file, 'matrix');
  const place = { name: 'matrix', shape: [rows, columns], offset: 12, length: 4 * rows * columns };
  const pieces = [
    ...orderedRows(reader, place, { transposed: true }, 'gguf', (bytes) => toFloat32(bytes, 'float32')),
  ];
  reader.close();
  expect(pieces.length).toBeGreaterThan(1);
  const made = stored.map((_, i) => (i % rows) * columns + Math.floor(i / rows));
  const whole = Buffer.concat(pieces.map(({ buffer }) => Buffer.from(buffer)));
  expect(Buffer.compare(whole, Buffer.from(made.buffer))).toBe(0);
});
