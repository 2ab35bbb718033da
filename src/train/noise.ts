// Gaussian noise for training: fast, and the same for the same seed. Nothing secret is made of it.

import { waveStart } from './schedule.ts';

/** `count` draws of N(0, 1) from a 32-bit seed (mulberry32 and Box-Muller). */
export function gaussian(seed: number, count: number): Float32Array {
  let state = seed >>> 0;
  const uniform = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 2 ** 32;
  };
  const out = new Float32Array(count);
  for (let i = 0; i < count; i += 2) {
    const radius = Math.sqrt(-2 * Math.log(uniform()));
    const angle = 2 * Math.PI * uniform();
    out[i] = radius * Math.cos(angle);
    if (i + 1 < count) out[i + 1] = radius * Math.sin(angle);
  }
  return out;
}

/** `count` draws of N(0, share²). */
export const shares = (share: number, seed: number, count: number): Float32Array =>
  gaussian(seed, count).map((x) => share * x);

/** Noise on trained rows, a function of the step (from 0): what share of a row's size (a float32), and a seed of 32 bits. */
export interface Shaking {
  share(step: number): number;
  seed(step: number): number;
}

/**
 * Noise that grows to its share over `noise_steps` steps, in each wave of a training of `steps` anew: a key that is shaken
 * before it was learnt at all may never be.
 */
export const growingNoise = (
  {
    noise,
    noise_steps,
    steps,
  }: { readonly noise: number; readonly noise_steps: number; readonly steps: number },
  seed: (step: number) => number,
): Shaking => ({
  seed,
  share(step) {
    const grown = noise_steps === 0 ? 1 : Math.min(1, (step - waveStart(step, steps)) / noise_steps);
    return Math.fround(noise * grown); // as a job holds it
  },
});

/** Noise of `share` of each row's root mean square: [R, E]. */
export function rowNoise(rows: Float32Array, width: number, share: number, seed: number): Float32Array {
  const noise = gaussian(seed, rows.length);
  for (let at = 0; at < rows.length; at += width) {
    const row = rows.subarray(at, at + width);
    const scale = share * Math.sqrt(row.reduce((sum, x) => sum + x * x, 0) / width);
    for (let i = at; i < at + width; i++) noise[i]! *= scale;
  }
  return noise;
}
