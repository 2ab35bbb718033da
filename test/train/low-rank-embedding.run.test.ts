// A low-rank map on the input embedding, where the head is the same matrix and where not: what trains is what the merged
// weights compute, and it learns through what is looked up alone, as `lookups` does.

import { expect, test } from 'vitest';
import type { Example } from '../../src/models/example.ts';
import type { ModelWeights } from '../../src/models/model.ts';
import { ADAMW } from '../../src/train/optimiser.ts';
import type { TrainState } from '../../src/train/step.ts';
import { Trainer } from '../../src/train/trainer.ts';
import { EMBEDDING, EVERYTHING, lowRank, type Trains } from '../../src/train/trains.ts';
import { load, randomBatch } from './tiny.ts';

const [RANK, ALPHA] = [3, 6];
const SCALE = ALPHA / RANK;

function batchOf({ decoder: { encoder, config } }: ModelWeights): Example[] {
  const batch = randomBatch(4, 11, config.vocab_size);
  return encoder
    ? batch.map((example, i) => ({ ...example, source: [7 + i, ...example.tokens.slice(1), encoder.end] }))
    : batch;
}

/** Loss and gradients at a state that `change` has made of the beginning. */
async function at(model: ModelWeights, trains: Trains, change: (state: TrainState) => void) {
  const trainer = await Trainer.compile(model, { trains, settings: ADAMW });
  const state = trainer.start(1n);
  change(state);
  const { loss, gradients } = await trainer.gradients(state, batchOf(model));
  const copies = new Map([...gradients].map(([name, values]) => [name, values.slice()]));
  const merged = trainer.trained.tensor(model.decoder.embedding, state);
  await trainer.release();
  return { loss, gradients: copies, merged, state };
}

test.each(['llama-tied', 'llama-untied', 'gpt2', 'gemma', 't5'])('%s', async (name) => {
  const model = load(name);
  const { embedding, config } = model.decoder;
  const [V, E] = [config.vocab_size, config.hidden_size];
  const module = embedding.replace(/\.weight$/, '');
  const trains = lowRank(['embedding'], RANK, ALPHA);
  const fresh = await at(model, trains, () => undefined);
  const low = await at(model, trains, ({ slots }) => {
    slots.get(`${module}.lora_embedding_A`)!.value.forEach((_, i, a) => void (a[i] = Math.sin(i) / 8));
  });
  const merged = ({ slots }: TrainState) => slots.get(embedding)!.value.set(low.merged);
  const vanilla = await at(model, EVERYTHING, () => undefined);
  const whole = await at(model, EVERYTHING, merged);
  const { gradients } = await at(model, EMBEDDING, merged);
  expect(fresh.loss).toBeCloseTo(vanilla.loss, 5);
  expect(low.loss).toBeCloseTo(whole.loss, 4);
  expect(Math.abs(low.loss - vanilla.loss)).toBeGreaterThan(1e-2);

  // W = W₀ + s·(B·A)ᵀ, so dA = s·(dW·B)ᵀ and dB = s·(A·dW)ᵀ.
  const [a, b] = ['A', 'B'].map((part) => low.state.slots.get(`${module}.lora_embedding_${part}`)!.value);
  const [ga, gb] = ['A', 'B'].map((part) => low.gradients.get(`${module}.lora_embedding_${part}`)!);
  const g = gradients.get(embedding)!;
  const sum = (count: number, term: (i: number) => number): number =>
    SCALE * Array.from({ length: count }, (_, i) => term(i)).reduce((x, y) => x + y, 0);
  const wantedA = Array.from(ga!, (_, i) => {
    const [r, v] = [Math.floor(i / V), i % V];
    return sum(E, (e) => g[v * E + e]! * b![e * RANK + r]!);
  });
  const wantedB = Array.from(gb!, (_, i) => {
    const [e, r] = [Math.floor(i / RANK), i % RANK];
    return sum(V, (v) => g[v * E + e]! * a![r * V + v]!);
  });
  const far = (got: Float32Array, wanted: readonly number[]): number =>
    Math.max(...wanted.map((x, i) => Math.abs(x - got[i]!)));
  expect(far(ga!, wantedA)).toBeLessThan(1e-4);
  expect(far(gb!, wantedB)).toBeLessThan(1e-4);
  expect(Math.max(...wantedA.map(Math.abs))).toBeGreaterThan(1e-2);

  const seen = new Set(batchOf(model).flatMap(({ tokens, source = [] }) => [...tokens, ...source]));
  const moved = new Set([...ga!.keys()].filter((i) => ga![i] !== 0).map((i) => i % V));
  expect([...moved].every((id) => seen.has(id))).toBe(true);
  expect(moved.size).toBeGreaterThan(5);
  expect(moved.size).toBeLessThan(V);
});
