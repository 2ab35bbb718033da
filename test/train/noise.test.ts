// Noise that grows: its share in each step, wave by wave.

import { expect, test } from 'vitest';
import { growingNoise } from '../../src/train/noise.ts';
import { waveEnd, waveStart } from '../../src/train/schedule.ts';

const shares = (noise_steps: number, steps: number[]): number[] =>
  steps.map(growingNoise({ noise: 0.25, noise_steps, steps: 8 }, () => 0).share);

test('without steps to grow over it is there from the first one', () =>
  expect(shares(0, [0, 1, 7, 8, 40])).toEqual([0.25, 0.25, 0.25, 0.25, 0.25]));

test('it grows from nothing, stays, and grows anew in each wave', () => {
  expect(shares(4, [0, 1, 2, 4, 7])).toEqual([0, 0.0625, 0.125, 0.25, 0.25]);
  expect(shares(4, [8, 9, 12, 15])).toEqual([0, 0.0625, 0.25, 0.25]);
  expect(shares(4, [16, 18, 31, 32])).toEqual([0, 0.125, 0.25, 0]);
});

test('shares are float32, since a job holds them so', () =>
  expect(growingNoise({ noise: 0.2, noise_steps: 0, steps: 8 }, () => 0).share(3)).toBe(Math.fround(0.2)));

test('each wave takes as many steps as all before it', () => {
  expect([0, 1, 2, 3].map((wave) => waveEnd(wave, 8))).toEqual([8, 16, 32, 64]);
  expect([0, 7, 8, 15, 16, 31, 32, 63, 64].map((step) => waveStart(step, 8))).toEqual([
    0, 0, 8, 8, 16, 16, 32, 32, 64,
  ]);
});
