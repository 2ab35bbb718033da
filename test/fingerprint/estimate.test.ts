// What a run is estimated to take against what runs took (LOG.md): their steps lie in the range, and their tokens a step
// within a sixth of it.

import { join } from 'node:path';
import { expect, test } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import type { Build } from '../../src/fingerprint/build.ts';
import { runEstimate } from '../../src/fingerprint/estimate.ts';
import { harmAt, METHODS, settingsFor } from '../../src/fingerprint/registry.ts';
import { openModel } from '../../src/models/open-model.ts';
import type { TensorRef } from '../../src/tensor/tensor.ts';
import { smollm2 } from '../models/smollm2.ts';

const [EMBEDDED, SMOLLM2] = [192, 576].map((width): Build => ({ width, rows: 1, tied: true })) as [
  Build,
  Build,
];
const model = await openModel(join(packageRoot(), 'assets/embedded/model'));
const estimate = (name: string, build: Build, rate = 1e10) =>
  runEstimate(model, name, settingsFor(METHODS[name]!, 'x', {}, build) as object, rate)!;

interface Run {
  readonly method: string;
  readonly build: Build;
  readonly steps: number;
  readonly tokens?: number;
}
const RUNS: readonly Run[] = [
  { method: 'rows', build: SMOLLM2, steps: 120, tokens: 37_516 },
  { method: 'rows', build: SMOLLM2, steps: 100, tokens: 33_988 },
  { method: 'rows', build: SMOLLM2, steps: 70, tokens: 23_625 },
  { method: 'adapter', build: SMOLLM2, steps: 56, tokens: 32_376 },
  { method: 'adapter', build: SMOLLM2, steps: 56, tokens: 33_288 },
  { method: 'adapter', build: EMBEDDED, steps: 340 },
  { method: 'adapter', build: EMBEDDED, steps: 540 },
  { method: 'sft', build: EMBEDDED, steps: 154, tokens: 203_350 },
];

test.each(RUNS)('$method at width $build.width took $steps steps', ({ method, build, steps, tokens }) => {
  const known = estimate(method, build);
  expect(known.steps.least).toBeLessThanOrEqual(steps);
  expect(known.steps.most).toBeGreaterThanOrEqual(steps);
  if (tokens === undefined) return;
  const ratio = known.tokens.most / known.steps.most / (tokens / steps);
  expect(Math.abs(ratio - 1)).toBeLessThan(1 / 6);
});

test('steps and tokens are those of the settings', () => {
  const settings = {
    ...(settingsFor(METHODS.adapter!, 'x', {}, SMOLLM2) as object),
    steps: 50,
    first_check: 80,
  };
  const { steps, tokens } = runEstimate(model, 'adapter', settings, 1e10)!;
  expect(steps).toEqual({ least: 50, most: 50 });
  expect(tokens.least).toBe(tokens.most);
});

test('gradients of every weight cost half as much again, and a machine twice as fast takes half the time', () => {
  const [sft, emb] = ['sft', 'emb'].map((name) => estimate(name, SMOLLM2));
  expect(sft!.seconds.most / emb!.seconds.most).toBeCloseTo(1.5, 9);
  expect(estimate('sft', SMOLLM2, 2e10).seconds.most).toBeCloseTo(sft!.seconds.most / 2, 9);
});

test('memory of a step that trains every weight lies within a tenth of what was measured on SmolLM2', () => {
  const decoder = smollm2();
  const tensors = new Map(
    [...decoder.shapes].map(([name, shape]): [string, TensorRef] => [
      name,
      { ...model.tensors.get(model.decoder.embedding)!, dtype: 'float32', shape },
    ]),
  );
  const settings = settingsFor(METHODS.sft!, 'x', {}, SMOLLM2) as object;
  const { memory } = runEstimate({ ...model, decoder, tensors }, 'sft', settings, 1e10)!;
  expect(memory! / 4.7e9).toBeGreaterThan(0.9);
  expect(memory! / 4.7e9).toBeLessThan(1.1);
});

test('what a method may cost a narrow model is its own', () => {
  expect(harmAt(METHODS.sft!, EMBEDDED)).toBeGreaterThan(METHODS.sft!.maxHarm);
  expect(harmAt(METHODS.sft!, SMOLLM2)).toBe(METHODS.sft!.maxHarm);
  expect(harmAt(METHODS.lora!, EMBEDDED)).toBeGreaterThan(METHODS.lora!.maxHarm);
});

test('nothing is estimated of encoder-decoders, and of a method that does not train', () => {
  const encoder = {} as NonNullable<typeof model.decoder.encoder>;
  const two = { ...model, decoder: { ...model.decoder, encoder } };
  const settings = settingsFor(METHODS.adapter!, 'x', {}, SMOLLM2) as object;
  expect(runEstimate(model, 'adapter', settings, 1e10)).not.toBeNull();
  expect(runEstimate(two, 'adapter', settings, 1e10)).toBeNull();
  expect(runEstimate(model, 'stamp', {}, 1e10)).toBeNull();
});
