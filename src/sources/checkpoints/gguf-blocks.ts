// GGUF's tensor types: how many bytes a block of elements takes and what values it stands for.
// Block layouts: ggml-common.h of https://github.com/ggml-org/llama.cpp.

import { toFloat32 } from '../../tensor/convert.ts';
import { decodeQ2_K, decodeQ3_K, decodeQ4_K, decodeQ5_K, decodeQ6_K } from './gguf-k-blocks.ts';
import { type Decode, halfAt } from './gguf-scales.ts';
import { decodeIQ4_NL, decodeIQ4_XS, decodeMXFP4 } from './gguf-table-blocks.ts';

export type GgufType =
  | 'F32'
  | 'F16'
  | 'BF16'
  | 'Q4_0'
  | 'Q4_1'
  | 'Q5_0'
  | 'Q5_1'
  | 'Q8_0'
  | 'Q2_K'
  | 'Q3_K'
  | 'Q4_K'
  | 'Q5_K'
  | 'Q6_K'
  | 'IQ4_NL'
  | 'IQ4_XS'
  | 'MXFP4';

interface Block {
  readonly elements: number;
  readonly bytes: number;
  readonly decode: Decode;
}

export const BLOCKS: Readonly<Record<GgufType, Block>> = {
  F32: { elements: 1, bytes: 4, decode: (bytes, out) => out.set(toFloat32(bytes, 'float32')) },
  F16: { elements: 1, bytes: 2, decode: (bytes, out) => out.set(toFloat32(bytes, 'float16')) },
  BF16: { elements: 1, bytes: 2, decode: (bytes, out) => out.set(toFloat32(bytes, 'bfloat16')) },
  Q4_0: { elements: 32, bytes: 18, decode: decodeQ4_0 },
  Q4_1: { elements: 32, bytes: 20, decode: decodeQ4_1 },
  Q5_0: { elements: 32, bytes: 22, decode: decodeQ5_0 },
  Q5_1: { elements: 32, bytes: 24, decode: decodeQ5_1 },
  Q8_0: { elements: 32, bytes: 34, decode: decodeQ8_0 },
  Q2_K: { elements: 256, bytes: 84, decode: decodeQ2_K },
  Q3_K: { elements: 256, bytes: 110, decode: decodeQ3_K },
  Q4_K: { elements: 256, bytes: 144, decode: decodeQ4_K },
  Q5_K: { elements: 256, bytes: 176, decode: decodeQ5_K },
  Q6_K: { elements: 256, bytes: 210, decode: decodeQ6_K },
  IQ4_NL: { elements: 32, bytes: 18, decode: decodeIQ4_NL },
  IQ4_XS: { elements: 256, bytes: 136, decode: decodeIQ4_XS },
  MXFP4: { elements: 32, bytes: 17, decode: decodeMXFP4 },
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
    NVFP4: 40,
    Q1_0: 41,
  }).map(([name, id]) => [id, name]),
); // prettier-ignore

/** The values of whole blocks. `bytes.length` must be a multiple of the block's. */
export function dequantize(type: GgufType, bytes: Uint8Array): Float32Array {
  const block = BLOCKS[type];
  const out = new Float32Array((bytes.length / block.bytes) * block.elements);
  block.decode(bytes, out);
  return out;
}

// Of each decoder below: a scale d is a float16 and a whole number q has at most 8 bits, so d * q and d * q + m are
// exact in a double and rounded once, when stored. That is what ggml and gguf-py get in float32.

// d, then 16 bytes of two 4-bit numbers each: the low halves are elements 0-15, the high ones 16-31. (q - 8) * d
function decodeQ4_0(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, to = 0; at < bytes.length; at += 18, to += 32) {
    const d = halfAt(bytes, at);
    for (let i = 0; i < 16; i++) {
      const q = bytes[at + 2 + i]!;
      out[to + i] = d * ((q & 15) - 8);
      out[to + 16 + i] = d * ((q >> 4) - 8);
    }
  }
}

// d, m, then the same sixteen bytes. q * d + m
function decodeQ4_1(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, to = 0; at < bytes.length; at += 20, to += 32) {
    const [d, m] = [halfAt(bytes, at), halfAt(bytes, at + 2)];
    for (let i = 0; i < 16; i++) {
      const q = bytes[at + 4 + i]!;
      out[to + i] = d * (q & 15) + m;
      out[to + 16 + i] = d * (q >> 4) + m;
    }
  }
}

// d, then a fifth bit for each of the 32 elements in order, then the sixteen bytes of the other four. (q - 16) * d
function decodeQ5_0(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, to = 0; at < bytes.length; at += 22, to += 32) {
    const d = halfAt(bytes, at);
    for (let i = 0; i < 16; i++) {
      const [low, high] = fiveBits(bytes, at + 2, i);
      out[to + i] = d * (low - 16);
      out[to + 16 + i] = d * (high - 16);
    }
  }
}

// d, m, then as Q5_0. q * d + m
function decodeQ5_1(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, to = 0; at < bytes.length; at += 24, to += 32) {
    const [d, m] = [halfAt(bytes, at), halfAt(bytes, at + 2)];
    for (let i = 0; i < 16; i++) {
      const [low, high] = fiveBits(bytes, at + 4, i);
      out[to + i] = d * low + m;
      out[to + 16 + i] = d * high + m;
    }
  }
}

/** Elements i and i + 16 of a block whose 4 bytes of fifth bits and 16 bytes of four bits begin at `at`. */
function fiveBits(bytes: Uint8Array, at: number, i: number): readonly [number, number] {
  const q = bytes[at + 4 + i]!;
  const fifth = (element: number): number => ((bytes[at + (element >> 3)]! >> (element & 7)) & 1) << 4;
  return [(q & 15) | fifth(i), (q >> 4) | fifth(i + 16)];
}

// d, then 32 signed bytes. q * d
function decodeQ8_0(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, to = 0; at < bytes.length; at += 34, to += 32) {
    const d = halfAt(bytes, at);
    for (let i = 0; i < 32; i++) out[to + i] = d * ((bytes[at + 2 + i]! << 24) >> 24);
  }
}
