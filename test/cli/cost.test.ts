// The formulas behind `whorl doctor` against counts made by hand.

import { expect, test } from 'vitest';
import { memoryEstimate, modelSize, trainingCost } from '../../src/models/cost.ts';
import { smollm2 } from '../models/smollm2.ts';

test('a tied head is counted once, and is no part of the body', () => {
  const tied = modelSize(smollm2());
  expect(tied).toEqual({ parameters: 134_515_008, embedding: 28_311_552, body: 106_168_320 });
  expect(modelSize(smollm2(false))).toEqual({ ...tied, parameters: tied.parameters + tied.embedding });
});

test('four operations a parameter and token, and a label row of the head like it', () => {
  const run = { tokensPerStep: 100, steps: 10, rows: 8, labelsPerStep: 5 };
  expect(trainingCost(smollm2(), run)).toEqual({
    tokens: 1000,
    flops: 10 * 4 * (106_168_320 * 100 + 28_311_552 * 5),
  });
});

test('memory lies within a tenth of what was measured on SmolLM2', () => {
  for (const [tokensPerStep, labelsPerStep, measured] of [
    [256, 16, 1098e6],
    [864, 54, 1953e6],
  ] as const) {
    const { total } = memoryEstimate(smollm2(), {
      tokensPerStep,
      labelsPerStep,
      steps: 1,
      rows: 256,
      dtype: 'float32',
    });
    expect(total / measured).toBeGreaterThan(0.9);
    expect(total / measured).toBeLessThan(1.1);
  }
});
