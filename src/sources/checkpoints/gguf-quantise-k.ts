// Q4_K: eight parts of 32 elements with a scale and a minimum of six bits each, found by trying 21 scales against a
// weighted squared error. quantize_row_q4_K_ref and make_qkx2_quants of ggml-quants.c, each operation rounded to float32.

import { halfAt, halfBits } from './gguf-scales.ts';

const f = Math.fround;
const SUPER = 256;
const PART = 32;
const PARTS = SUPER / PART;
const BYTES = 144;
const MOST = 15;
const STEPS = 20;

/** Halves to even, as ggml rounds by adding 1.5 · 2^23. */
const nearest = (x: number): number => f(f(x) + 12_582_912) - 12_582_912;
const clamped = (x: number): number => Math.max(0, Math.min(MOST, nearest(x)));

export function quantiseQ4_K(values: Float32Array): Uint8Array {
  const out = new Uint8Array((values.length / SUPER) * BYTES);
  const levels = new Uint8Array(SUPER);
  const [scales, minima] = [new Float32Array(PARTS), new Float32Array(PARTS)];
  for (let from = 0, at = 0; from < values.length; from += SUPER, at += BYTES) {
    const x = values.subarray(from, from + SUPER);
    for (let part = 0; part < PARTS; part++) {
      const own = x.subarray(part * PART, (part + 1) * PART);
      const found = fitted(own, weightsOf(own), levels.subarray(part * PART, (part + 1) * PART));
      [scales[part], minima[part]] = [found.scale, found.minimum];
    }
    const [mostScale, mostMinimum] = [Math.max(0, ...scales), Math.max(0, ...minima)];
    const bytes = out.subarray(at, at + BYTES);
    halfBits(f(mostScale / 63), bytes, 0);
    halfBits(f(mostMinimum / 63), bytes, 2);
    const sixBits = (of: Float32Array, most: number): number[] => {
      const inverse = most > 0 ? f(63 / most) : 0;
      // An uint8 of what may be negative, as in C, before the bound.
      return Array.from(of, (value) => Math.min(63, nearest(f(inverse * value)) & 255));
    };
    const [ls, lm] = [sixBits(scales, mostScale), sixBits(minima, mostMinimum)];
    packScales(bytes, ls, lm);
    const [d, dmin] = [halfAt(bytes, 0), halfAt(bytes, 2)];
    for (let part = 0; part < PARTS; part++) {
      const [scale, minimum] = [f(d * ls[part]!), f(dmin * lm[part]!)];
      if (scale === 0) continue; // the levels that were tried stay
      for (let i = part * PART; i < (part + 1) * PART; i++)
        levels[i] = clamped(f(f(x[i]! + minimum) / scale));
    }
    for (let pair = 0; pair < PARTS / 2; pair++)
      for (let i = 0; i < PART; i++)
        bytes[16 + pair * PART + i] =
          levels[2 * pair * PART + i]! | (levels[(2 * pair + 1) * PART + i]! << 4);
  }
  return out;
}

/** Twelve bytes: `scaleOf` and `minimumOf` of gguf-k-blocks.ts read them. */
function packScales(bytes: Uint8Array, ls: readonly number[], lm: readonly number[]): void {
  for (let part = 0; part < 4; part++) {
    const [later, at] = [part + 4, 4 + part];
    bytes[at] = ls[part]! | ((ls[later]! >> 4) << 6);
    bytes[at + 4] = lm[part]! | ((lm[later]! >> 4) << 6);
    bytes[at + 8] = (ls[later]! & 15) | ((lm[later]! & 15) << 4);
  }
}

/** Root mean square plus |x|. */
function weightsOf(x: Float32Array): Float32Array {
  let squares = 0;
  for (const value of x) squares = f(squares + f(value * value));
  const mean = f(Math.sqrt(f(squares / PART)));
  return x.map((value) => f(mean + Math.abs(value)));
}

/** The scale and the minimum (as what is taken away) of the least error; `levels` get what they give. */
function fitted(
  x: Float32Array,
  weights: Float32Array,
  levels: Uint8Array,
): { readonly scale: number; readonly minimum: number } {
  let [min, max] = [x[0]!, x[0]!];
  let [sumW, sumX] = [weights[0]!, f(weights[0]! * x[0]!)];
  for (let i = 1; i < PART; i++) {
    min = Math.min(min, x[i]!);
    max = Math.max(max, x[i]!);
    sumW = f(sumW + weights[i]!);
    sumX = f(sumX + f(weights[i]! * x[i]!));
  }
  if (min > 0) min = 0;
  if (max === min) {
    levels.fill(0);
    return { scale: 0, minimum: 0 - min };
  }
  const levelsBy = (inverse: number, lowest: number, into: Uint8Array): void => {
    for (let i = 0; i < PART; i++) into[i] = clamped(f(inverse * f(x[i]! - lowest)));
  };
  const errorOf = (scale: number, lowest: number, of: Uint8Array): number => {
    let error = 0;
    for (let i = 0; i < PART; i++) {
      const off = f(f(f(scale * of[i]!) + lowest) - x[i]!);
      error = f(error + f(weights[i]! * f(off * off)));
    }
    return error;
  };
  const inverse = f(MOST / f(max - min));
  let scale = f(1 / inverse);
  levelsBy(inverse, min, levels);
  let best = errorOf(scale, min, levels);
  const tried = new Uint8Array(PART);
  for (let step = 0; step <= STEPS; step++) {
    // The reference goes on from the best minimum so far, and by the range to it.
    levelsBy(f(f(f(-1 + f(f(0.1) * step)) + MOST) / f(max - min)), min, tried);
    let [sumL, sumL2, sumXL] = [0, 0, 0];
    for (let i = 0; i < PART; i++) {
      const [l, w] = [tried[i]!, weights[i]!];
      const weighted = f(w * l);
      sumL = f(sumL + weighted);
      sumL2 = f(sumL2 + f(weighted * l));
      sumXL = f(sumXL + f(weighted * x[i]!));
    }
    const determinant = f(f(sumW * sumL2) - f(sumL * sumL));
    if (determinant <= 0) continue;
    let thisScale = f(f(f(sumW * sumXL) - f(sumX * sumL)) / determinant);
    let thisMin = f(f(f(sumL2 * sumX) - f(sumL * sumXL)) / determinant);
    if (thisMin > 0) [thisMin, thisScale] = [0, f(sumXL / sumL2)];
    const error = errorOf(thisScale, thisMin, tried);
    if (error >= best) continue;
    levels.set(tried);
    [best, scale, min] = [error, thisScale, thisMin];
  }
  return { scale, minimum: 0 - min };
}
