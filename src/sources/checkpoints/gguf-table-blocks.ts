// Blocks whose 4-bit numbers index a table of levels: IQ4_NL, IQ4_XS, MXFP4. Layouts: ggml-common.h of
// https://github.com/ggml-org/llama.cpp; MXFP4: Open Compute Project, Microscaling Formats 1.0 (E2M1 times E8M0).

import { type Decode, halfAt } from './gguf-scales.ts';

/** Levels of the IQ4 types, closer about zero. */
const LEVELS = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];
/** E2M1's sixteen values, twice as large; the sign is the highest bit. */
const E2M1 = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

/** 16 bytes at `from`: the low halves are elements 0-15, the high ones 16-31. */
function levels(
  bytes: Uint8Array,
  from: number,
  scale: number,
  table: readonly number[],
  out: Float32Array,
  to: number,
): void {
  for (let i = 0; i < 16; i++) {
    const q = bytes[from + i]!;
    out[to + i] = scale * table[q & 15]!;
    out[to + 16 + i] = scale * table[q >> 4]!;
  }
}

// d, then 16 bytes. d * level
export const decodeIQ4_NL: Decode = (bytes, out) => {
  for (let at = 0, to = 0; at < bytes.length; at += 18, to += 32)
    levels(bytes, at + 2, halfAt(bytes, at), LEVELS, out, to);
};

// d, 2 bytes of the two high bits of eight 6-bit scales, 4 bytes of their four low ones (two a byte), 8 times 16 bytes.
// d * (scale - 32) * level
export const decodeIQ4_XS: Decode = (bytes, out) => {
  for (let at = 0, to = 0; at < bytes.length; at += 136, to += 256) {
    const d = halfAt(bytes, at);
    const high = bytes[at + 2]! | (bytes[at + 3]! << 8);
    for (let part = 0; part < 8; part++) {
      const low = (bytes[at + 4 + (part >> 1)]! >> (4 * (part & 1))) & 15;
      const scale = d * ((low | (((high >> (2 * part)) & 3) << 4)) - 32);
      levels(bytes, at + 8 + 16 * part, scale, LEVELS, out, to + 32 * part);
    }
  }
};

// An exponent e, then 16 bytes. 2^(e - 127) * E2M1, the halving taken into the exponent
export const decodeMXFP4: Decode = (bytes, out) => {
  for (let at = 0, to = 0; at < bytes.length; at += 17, to += 32)
    levels(bytes, at + 1, 2 ** (bytes[at]! - 128), E2M1, out, to);
};
