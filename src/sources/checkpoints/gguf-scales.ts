// What GGUF's blocks share: float16 scales, read by table and written.

import { float16Bits, float16Value } from '../../tensor/convert.ts';

/** Writes the values of one block after another from `bytes` to `out`. */
export type Decode = (bytes: Uint8Array, out: Float32Array) => void;

// All 65,536 float16 values (256 KB), made on first use: a block's scale is then one load.
let halves: Float32Array | undefined;
const makeHalves = (): Float32Array => Float32Array.from({ length: 65_536 }, (_, bits) => float16Value(bits));

/** The float16 at `at`. */
export function halfAt(bytes: Uint8Array, at: number): number {
  halves ??= makeHalves();
  return halves[bytes[at]! | (bytes[at + 1]! << 8)]!;
}

/** Writes the float16 nearest to `value`. */
export function halfBits(value: number, bytes: Uint8Array, at: number): void {
  const bits = float16Bits(value);
  [bytes[at], bytes[at + 1]] = [bits & 255, bits >> 8];
}
