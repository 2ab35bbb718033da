// float32 into GGUF's blocks, bit for bit as gguf-py and ggml's reference quantisers with fused multiplication and
// addition. ggml-quants.c of https://github.com/ggml-org/llama.cpp (`quantize_row_*_ref`); Q4_K: gguf-quantise-k.ts.

import { fromFloat32 } from '../../tensor/convert.ts';
import { quantiseQ4_K } from './gguf-quantise-k.ts';
import { halfBits } from './gguf-scales.ts';

/** Types that can be written. */
export type WritableType = 'F32' | 'F16' | 'BF16' | 'Q8_0' | 'Q5_0' | 'Q4_0' | 'Q4_K';

const f = Math.fround;

/** @param values whole blocks of the type */
export const quantise = (type: WritableType, values: Float32Array): Uint8Array => QUANTISERS[type](values);

const QUANTISERS: Readonly<Record<WritableType, (values: Float32Array) => Uint8Array>> = {
  F32: (values) => fromFloat32(values, 'float32'),
  F16: (values) => fromFloat32(values, 'float16'),
  BF16: (values) => fromFloat32(values, 'bfloat16'),
  Q8_0: quantiseQ8_0,
  Q5_0: quantiseQ5_0,
  Q4_0: quantiseQ4_0,
  Q4_K: quantiseQ4_K,
};

const BLOCK = 32;

// d = max |x| / 127; q = x / d, halves away from zero
function quantiseQ8_0(values: Float32Array): Uint8Array {
  const out = new Uint8Array((values.length / BLOCK) * 34);
  for (let from = 0, at = 0; from < values.length; from += BLOCK, at += 34) {
    let most = 0;
    for (let i = 0; i < BLOCK; i++) most = Math.max(most, Math.abs(values[from + i]!));
    const d = f(most / 127);
    const inverse = d === 0 ? 0 : f(1 / d);
    halfBits(d, out, at);
    for (let i = 0; i < BLOCK; i++) {
      const x = f(values[from + i]! * inverse);
      out[at + 2 + i] = Math.sign(x) * Math.floor(Math.abs(x) + 0.5);
    }
  }
  return out;
}

/** The element furthest from zero, the first of several; its sign is the scale's. */
function furthest(values: Float32Array, from: number): number {
  let [most, signed] = [0, 0];
  for (let i = 0; i < BLOCK; i++) {
    const x = values[from + i]!;
    if (most < Math.abs(x)) [most, signed] = [Math.abs(x), x];
  }
  return signed;
}

// d = the furthest element / −8; q = x / d + 8.5, cut off, at most 15
function quantiseQ4_0(values: Float32Array): Uint8Array {
  const out = new Uint8Array((values.length / BLOCK) * 18);
  for (let from = 0, at = 0; from < values.length; from += BLOCK, at += 18) {
    const d = f(furthest(values, from) / -8);
    const inverse = d === 0 ? 0 : f(1 / d);
    halfBits(d, out, at);
    const q = (i: number) => Math.min(15, Math.trunc(f(values[from + i]! * inverse + 8.5)));
    for (let i = 0; i < 16; i++) out[at + 2 + i] = q(i) | (q(i + 16) << 4);
  }
  return out;
}

// As Q4_0 with 16 for 8; the fifth bits of all elements before the sixteen bytes of the other four
function quantiseQ5_0(values: Float32Array): Uint8Array {
  const out = new Uint8Array((values.length / BLOCK) * 22);
  for (let from = 0, at = 0; from < values.length; from += BLOCK, at += 22) {
    const d = f(furthest(values, from) / -16);
    const inverse = d === 0 ? 0 : f(1 / d);
    halfBits(d, out, at);
    const q = (i: number) => Math.min(31, Math.trunc(f(values[from + i]! * inverse + 16.5)));
    for (let i = 0; i < 16; i++) {
      const [low, high] = [q(i), q(i + 16)];
      out[at + 6 + i] = (low & 15) | ((high & 15) << 4);
      out[at + 2 + (i >> 3)]! |= (low >> 4) << (i & 7);
      out[at + 4 + (i >> 3)]! |= (high >> 4) << (i & 7);
    }
  }
  return out;
}
