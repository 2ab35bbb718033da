// GGUF's tensor types: how many bytes a block of elements takes and what values it stands for.
// Block layouts: ggml-common.h of https://github.com/ggml-org/llama.cpp.

import { float16Value, toFloat32 } from '../../tensor/convert.ts';

export type GgufType = 'F32' | 'F16' | 'BF16' | 'Q4_0' | 'Q4_1' | 'Q8_0';

interface Block {
  readonly elements: number;
  readonly bytes: number;
  /** Writes one block after another from `bytes` to `out`. */
  readonly decode: (bytes: Uint8Array, out: Float32Array) => void;
}

export const BLOCKS: Readonly<Record<GgufType, Block>> = {
  F32: { elements: 1, bytes: 4, decode: (bytes, out) => out.set(toFloat32(bytes, 'float32')) },
  F16: { elements: 1, bytes: 2, decode: (bytes, out) => out.set(toFloat32(bytes, 'float16')) },
  BF16: { elements: 1, bytes: 2, decode: (bytes, out) => out.set(toFloat32(bytes, 'bfloat16')) },
  Q4_0: { elements: 32, bytes: 18, decode: decodeQ4_0 },
  Q4_1: { elements: 32, bytes: 20, decode: decodeQ4_1 },
  Q8_0: { elements: 32, bytes: 34, decode: decodeQ8_0 },
};

/** Names of ggml's types by number, so that one we do not read can be named. */
export const GGML_TYPE_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries({
    F32: 0,
    F16: 1,
    Q4_0: 2,
    Q4_1: 3,
    Q5_0: 6,
    Q5_1: 7,
    Q8_0: 8,
    Q8_1: 9,
    Q2_K: 10,
    Q3_K: 11,
    Q4_K: 12,
    Q5_K: 13,
    Q6_K: 14,
    Q8_K: 15,
    IQ2_XXS: 16,
    IQ2_XS: 17,
    IQ3_XXS: 18,
    IQ1_S: 19,
    IQ4_NL: 20,
    IQ3_S: 21,
    IQ2_S: 22,
    IQ4_XS: 23,
    I8: 24,
    I16: 25,
    I32: 26,
    I64: 27,
    F64: 28,
    IQ1_M: 29,
    BF16: 30,
    TQ1_0: 34,
    TQ2_0: 35,
    MXFP4: 39,
  }).map(([name, id]) => [id, name]),
); // prettier-ignore

/** The values of whole blocks. `bytes.length` must be a multiple of the block's. */
export function dequantize(type: GgufType, bytes: Uint8Array): Float32Array {
  const block = BLOCKS[type];
  const out = new Float32Array((bytes.length / block.bytes) * block.elements);
  block.decode(bytes, out);
  return out;
}

// All 65,536 float16 values (256 KB), made on first use: a block's scale is then one load.
let halves: Float32Array | undefined;
const halfTable = (): Float32Array =>
  (halves ??= Float32Array.from({ length: 65_536 }, (_, bits) => float16Value(bits)));

// d, then 16 bytes of two 4-bit numbers each: the low halves are elements 0-15, the high ones 16-31. (q - 8) * d
function decodeQ4_0(bytes: Uint8Array, out: Float32Array): void {
  const half = halfTable();
  for (let at = 0, to = 0; at < bytes.length; at += 18, to += 32) {
    const d = half[bytes[at]! | (bytes[at + 1]! << 8)]!;
    for (let i = 0; i < 16; i++) {
      const q = bytes[at + 2 + i]!;
      out[to + i] = d * ((q & 15) - 8);
      out[to + 16 + i] = d * ((q >> 4) - 8);
    }
  }
}

// d, m, then the same sixteen bytes. q * d + m, which a double holds exactly, so it is rounded once
function decodeQ4_1(bytes: Uint8Array, out: Float32Array): void {
  const half = halfTable();
  for (let at = 0, to = 0; at < bytes.length; at += 20, to += 32) {
    const d = half[bytes[at]! | (bytes[at + 1]! << 8)]!;
    const m = half[bytes[at + 2]! | (bytes[at + 3]! << 8)]!;
    for (let i = 0; i < 16; i++) {
      const q = bytes[at + 4 + i]!;
      out[to + i] = d * (q & 15) + m;
      out[to + 16 + i] = d * (q >> 4) + m;
    }
  }
}

// d, then 32 signed bytes. q * d
function decodeQ8_0(bytes: Uint8Array, out: Float32Array): void {
  const half = halfTable();
  for (let at = 0, to = 0; at < bytes.length; at += 34, to += 32) {
    const d = half[bytes[at]! | (bytes[at + 1]! << 8)]!;
    for (let i = 0; i < 32; i++) out[to + i] = d * ((bytes[at + 2 + i]! << 24) >> 24);
  }
}
