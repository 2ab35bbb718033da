// Tiny random models of every family against transformers: logits and greedy text (goldens/models/make.py).

import { describe, expect, test } from 'vitest';
import { cpu } from '../../src/engine/session.ts';
import { Encoder } from '../../src/models/encode.ts';
import { FAMILIES } from '../../src/models/families/index.ts';
import { languagePart } from '../../src/models/families/wrappers.ts';
import type { Model } from '../../src/models/model.ts';
import { readTensor } from '../../src/sources/checkpoints/read.ts';
import { greedyDecoder } from '../lm/greedy.ts';
import { GOLDEN_MODELS, goldenOf, goldenTensors, openGolden } from './golden-models.ts';

interface Golden {
  input_ids: number[][];
  /** Of an encoder-decoder: what it reads beside each of its decoder's texts. */
  source_ids?: number[][];
  generated: number[][];
}

function load(name: string): { model: Model; golden: Golden; tensor: (name: string) => Float32Array } {
  const tensors = goldenTensors(name);
  return {
    model: openGolden(name),
    golden: goldenOf<Golden>(name),
    tensor: (tensor) => readTensor(tensors.get(tensor)!).data,
  };
}

const sourceOf = ({ source_ids }: Golden, i: number) => (source_ids ? { source: source_ids[i]! } : {});

/** What decoding begins with: the prompts, or the token that every text of an encoder-decoder begins with. */
const promptsOf = ({ decoder: { encoder } }: Model, { input_ids }: Golden): number[][] =>
  encoder ? input_ids.map(() => [encoder.start]) : input_ids;

function logSoftmaxAt(logits: Float32Array, row: number, width: number, token: number): number {
  const values = logits.subarray(row * width, (row + 1) * width);
  const top = Math.max(...values);
  return values[token]! - top - Math.log(values.reduce((sum, v) => sum + Math.exp(v - top), 0));
}

test('every family has a golden model, and is found by what its config says', () => {
  const types = GOLDEN_MODELS.map((name) => {
    const { config, decoder } = openGolden(name);
    const own = languagePart(config, name)?.config ?? config;
    expect(decoder.model_type).toBe(own.model_type);
    return decoder.model_type;
  });
  expect([...new Set(types)].sort()).toEqual(Object.keys(FAMILIES).sort());
});

describe.each(GOLDEN_MODELS)('%s', (name) => {
  test('log-probabilities of every vocabulary entry at every position', async () => {
    const { model, golden, tensor } = load(name);
    const V = model.decoder.config.vocab_size;
    const encoder = new Encoder(model, undefined, cpu);
    for (const [i, tokens] of golden.input_ids.entries()) {
      const logits = tensor(`logits.${i}`);
      const wanted = tokens.flatMap((_, row) => Array.from({ length: V }, () => row));
      const labels = tokens.flatMap(() => Array.from({ length: V }, (_, v) => v));
      const [got] = await encoder.labels([{ tokens, ...sourceOf(golden, i), wanted, labels }]);
      labels.forEach((label, n) =>
        expect(got!.logprobs[n]).toBeCloseTo(logSoftmaxAt(logits, wanted[n]!, V, label), 4),
      );
    }
    await encoder.release();
  });

  test('greedy text of prompts of different lengths in one batch', async () => {
    const { model, golden } = load(name);
    const decoder = greedyDecoder(model, cpu);
    const steps = Math.max(...golden.generated.map((g) => g.length));
    const prompts = promptsOf(model, golden);
    const got = await decoder.decode(prompts, steps, golden.source_ids);
    golden.generated.forEach((tokens, i) => expect(got[i]!.slice(0, tokens.length)).toEqual(tokens));
    for (const [i, prompt] of prompts.entries()) {
      const alone = await decoder.decode([prompt], steps, golden.source_ids && [golden.source_ids[i]!]);
      expect(alone[0]).toEqual(got[i]);
    }
    await decoder.release();
  });

  test('a prompt scores the same bits alone or in any batch', async () => {
    const { model, golden } = load(name);
    const encoder = new Encoder(model, undefined, cpu);
    const requests = golden.input_ids.map((tokens, i) => ({
      tokens,
      ...sourceOf(golden, i),
      wanted: tokens.map((_, i) => i),
      labels: tokens,
    }));
    const together = await encoder.labels(requests);
    for (const [i, request] of requests.entries()) {
      const [alone] = await encoder.labels([request]);
      expect([...alone!.logprobs]).toEqual([...together[i]!.logprobs]);
    }
    await encoder.release();
  });
});
