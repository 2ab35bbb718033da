// Rows of float32 as whole numbers of 8 or 4 bits with a scale for each block: the scale is the element furthest from zero
// over −2^(bits − 1), so that it is met exactly, and zero always is.

import { type Packing, packedBlocks } from '../engine/packing.ts';

/** @param values rows [n, width]; `packed` [n, blocks, block · bits / 8], `scales` float32 [n, blocks], as bytes */
export function packRows(
  values: Float32Array,
  width: number,
  packing: Packing,
): { readonly packed: Uint8Array; readonly scales: Uint8Array } {
  const { bits, block } = packing;
  const [rows, blocks] = [values.length / width, packedBlocks(packing, width)];
  const [middle, most] = [2 ** (bits - 1), 2 ** bits - 1];
  const scales = new Float32Array(rows * blocks);
  const bytes = (block * bits) / 8;
  // What fills a row up stands for zero.
  const packed = new Uint8Array(rows * blocks * bytes).fill(bits === 4 ? middle * 17 : middle);
  for (let row = 0; row < rows; row++)
    for (let b = 0; b < blocks; b++) {
      const part = values.subarray(row * width + b * block, row * width + Math.min(width, (b + 1) * block));
      let furthest = 0;
      for (const x of part) if (Math.abs(x) > Math.abs(furthest)) furthest = x;
      const scale = Math.fround(furthest / -middle);
      const at = row * blocks + b;
      scales[at] = scale;
      if (scale === 0) continue;
      part.forEach((x, i) => {
        const q = Math.max(0, Math.min(most, Math.round(x / scale) + middle));
        if (bits === 8) packed[at * bytes + i] = q;
        else {
          const to = at * bytes + (i >> 1);
          packed[to] = i % 2 === 0 ? (packed[to]! & 0xf0) | q : (packed[to]! & 15) | (q << 4);
        }
      });
    }
  return { packed, scales: new Uint8Array(scales.buffer) };
}
