// Blocks as gguf-py and ggml's reference make them, byte for byte (goldens/gguf/make_quantise.py).

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { BLOCKS, dequantize } from '../../src/sources/checkpoints/gguf-blocks.ts';
import { quantise, type WritableType } from '../../src/sources/checkpoints/gguf-quantise.ts';

interface Golden {
  kinds: string[];
  columns: number;
  rows: string;
  blocks: Record<'Q8_0' | 'Q5_0' | 'Q4_0' | 'Q4_K', string>;
}
const golden = JSON.parse(
  readFileSync(fileURLToPath(new URL('../../goldens/gguf/quantise.json', import.meta.url)), 'utf8'),
) as Golden;
const bytesOf = (base64: string) => new Uint8Array(Buffer.from(base64, 'base64'));
const rows = new Float32Array(bytesOf(golden.rows).buffer);
const row = (i: number) => rows.subarray(i * golden.columns, (i + 1) * golden.columns);

describe.each(Object.entries(golden.blocks))('%s', (type, base64) => {
  const blocks = bytesOf(base64);
  const size = blocks.length / golden.kinds.length;

  it.each(golden.kinds.map((kind, i) => ({ kind, i })))('row $i: $kind', ({ i }) => {
    const made = quantise(type as WritableType, row(i));
    expect([...made]).toEqual([...blocks.subarray(i * size, (i + 1) * size)]);
  });

  it('is the same for all rows at once', () => {
    expect(Buffer.compare(quantise(type as WritableType, rows), blocks)).toBe(0);
  });

  it('what is read is near what was written', () => {
    const block = BLOCKS[type as WritableType];
    const read = dequantize(type as WritableType, quantise(type as WritableType, row(0)));
    const bits = (8 * block.bytes) / block.elements;
    const worst = Math.max(...read.map((value, i) => Math.abs(value - row(0)[i]!)));
    expect(worst).toBeLessThan((2 * Math.max(...row(0).map(Math.abs))) / 2 ** Math.floor(bits - 0.5));
  });
});
