// GGUF's K-quants: super-blocks of 256 elements whose parts of 16 or 32 have small integer scales under one float16.
// Layouts: ggml-common.h of https://github.com/ggml-org/llama.cpp.

import { halfAt } from './gguf-scales.ts';

// Scale times part's scale times element has at most 24 bits, so every product below is exact in a double and a value is
// rounded once, when stored, as in ggml and gguf-py.

// 16 bytes (low half scale, high half minimum of a part of 16), 64 bytes of 2-bit numbers, d, dmin.
// Bytes 0-31 hold elements 0-127, two bits at a time: byte b has b, b + 32, b + 64, b + 96; bytes 32-63 the rest.
// d * scale * q - dmin * minimum
export function decodeQ2_K(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, to = 0; at < bytes.length; at += 84, to += 256) {
    const [d, dmin] = [halfAt(bytes, at + 80), halfAt(bytes, at + 82)];
    for (let part = 0; part < 16; part++) {
      const packed = bytes[at + part]!;
      const [scale, minimum] = [d * (packed & 15), dmin * (packed >> 4)];
      const { first, shift } = twoBits(part);
      for (let i = 0; i < 16; i++)
        out[to + 16 * part + i] = scale * ((bytes[at + 16 + first + i]! >> shift) & 3) - minimum;
    }
  }
}

// 32 bytes of third bits (bit k of byte b is element 32k + b; a bit of 0 takes 4 away), 64 bytes as in Q2_K, 12 bytes of
// 6-bit scales less 32, d. d * scale * q
export function decodeQ3_K(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, to = 0; at < bytes.length; at += 110, to += 256) {
    const d = halfAt(bytes, at + 108);
    for (let part = 0; part < 16; part++) {
      // Four low bits in bytes 0-7 (parts 0-7 in the low halves, 8-15 in the high ones), two high bits in bytes 8-11.
      const low = (bytes[at + 96 + (part & 7)]! >> (part < 8 ? 0 : 4)) & 15;
      const high = (bytes[at + 104 + (part & 3)]! >> (2 * (part >> 2))) & 3;
      const scale = d * ((low | (high << 4)) - 32);
      const { first, shift } = twoBits(part);
      for (let i = 0; i < 16; i++) {
        const third = (bytes[at + 16 * (part & 1) + i]! >> (part >> 1)) & 1;
        out[to + 16 * part + i] =
          scale * (((bytes[at + 32 + first + i]! >> shift) & 3) - (third === 1 ? 0 : 4));
      }
    }
  }
}

// d, dmin, 12 bytes of 6-bit scales and minima, 128 bytes of two 4-bit numbers: of 32 bytes the low halves are one part of
// 32, the high ones the next. d * scale * q - dmin * minimum
export function decodeQ4_K(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, to = 0; at < bytes.length; at += 144, to += 256) {
    const [d, dmin] = [halfAt(bytes, at), halfAt(bytes, at + 2)];
    for (let part = 0; part < 8; part++) {
      const [scale, minimum] = [d * scaleOf(bytes, at + 4, part), dmin * minimumOf(bytes, at + 4, part)];
      const [first, shift] = [at + 16 + 32 * (part >> 1), 4 * (part & 1)];
      for (let i = 0; i < 32; i++)
        out[to + 32 * part + i] = scale * ((bytes[first + i]! >> shift) & 15) - minimum;
    }
  }
}

// d, dmin, 12 bytes of scales and minima, 32 bytes of fifth bits (bit k of byte b is element 32k + b), 128 bytes as in Q4_K.
export function decodeQ5_K(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, to = 0; at < bytes.length; at += 176, to += 256) {
    const [d, dmin] = [halfAt(bytes, at), halfAt(bytes, at + 2)];
    for (let part = 0; part < 8; part++) {
      const [scale, minimum] = [d * scaleOf(bytes, at + 4, part), dmin * minimumOf(bytes, at + 4, part)];
      const [first, shift] = [at + 48 + 32 * (part >> 1), 4 * (part & 1)];
      for (let i = 0; i < 32; i++) {
        const fifth = (bytes[at + 16 + i]! >> part) & 1;
        out[to + 32 * part + i] = scale * (((bytes[first + i]! >> shift) & 15) | (fifth << 4)) - minimum;
      }
    }
  }
}

// 128 bytes of four low bits, 64 bytes of two high bits, 16 signed bytes (scales of parts of 16), d. Each half of 128
// elements has 64 and 32 of those bytes. d * scale * (q - 32)
export function decodeQ6_K(bytes: Uint8Array, out: Float32Array): void {
  for (let at = 0, to = 0; at < bytes.length; at += 210, to += 256) {
    const d = halfAt(bytes, at + 208);
    for (let part = 0; part < 16; part++) {
      const scale = d * ((bytes[at + 192 + part]! << 24) >> 24);
      const [half, within] = [part >> 3, part & 7]; // within: 16 elements of the half's 128
      const low = at + 64 * half + 16 * (within & 3);
      const high = at + 128 + 32 * half + 16 * (within & 1);
      for (let i = 0; i < 16; i++) {
        const four = (bytes[low + i]! >> (within < 4 ? 0 : 4)) & 15;
        const two = (bytes[high + i]! >> (2 * (within >> 1))) & 3;
        out[to + 16 * part + i] = scale * ((four | (two << 4)) - 32);
      }
    }
  }
}

/** Where the sixteen 2-bit numbers of a part begin among 64 bytes, and by how much they are shifted. */
const twoBits = (part: number) => ({
  first: 32 * (part >> 3) + 16 * (part & 1),
  shift: 2 * ((part >> 1) & 3),
});

// Twelve bytes hold eight 6-bit scales and eight 6-bit minima. Parts 0-3: the low six bits of bytes 0-3 (scales) and 4-7
// (minima). Parts 4-7: the halves of bytes 8-11, with the two bits left over in bytes 0-7 on top.
const scaleOf = (bytes: Uint8Array, at: number, part: number): number =>
  part < 4 ? bytes[at + part]! & 63 : (bytes[at + 4 + part]! & 15) | ((bytes[at + part - 4]! >> 6) << 4);
const minimumOf = (bytes: Uint8Array, at: number, part: number): number =>
  part < 4 ? bytes[at + 4 + part]! & 63 : (bytes[at + 4 + part]! >> 4) | ((bytes[at + part]! >> 6) << 4);
