// Tiny random LLaMA models against transformers: logits, every gradient, greedy text (goldens/models/make.py).

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { cpu } from '../../src/engine/session.ts';
import { Encoder } from '../../src/models/encode.ts';
import type { Model } from '../../src/models/model.ts';
import { bindModel } from '../../src/models/model.ts';
import { openCheckpoint } from '../../src/sources/checkpoints/checkpoint.ts';
import { readTensor } from '../../src/sources/checkpoints/read.ts';
import { readSafetensorsHeader } from '../../src/sources/checkpoints/safetensors.ts';
import { greedyDecoder } from '../lm/greedy.ts';

const root = new URL('../../goldens/models/', import.meta.url).pathname;
const NAMES = readdirSync(root).filter((name) => name.startsWith('llama-'));

interface Golden {
  input_ids: number[][];
  generated: number[][];
}

function load(name: string): { model: Model; golden: Golden; tensor: (name: string) => Float32Array } {
  const { tensors } = readSafetensorsHeader(join(root, name, 'golden.safetensors'));
  return {
    model: bindModel({ ...openCheckpoint(join(root, name)), source: name }),
    golden: JSON.parse(readFileSync(join(root, name, 'golden.json'), 'utf8')) as Golden,
    tensor: (tensor) => readTensor(tensors.get(tensor)!).data,
  };
}

function logSoftmaxAt(logits: Float32Array, row: number, width: number, token: number): number {
  const values = logits.subarray(row * width, (row + 1) * width);
  const top = Math.max(...values);
  return values[token]! - top - Math.log(values.reduce((sum, v) => sum + Math.exp(v - top), 0));
}

describe.each(NAMES)('%s', (name) => {
  test('log-probabilities of every vocabulary entry at every position', async () => {
    const { model, golden, tensor } = load(name);
    const V = model.decoder.config.vocab_size;
    const encoder = new Encoder(model, undefined, cpu);
    for (const [i, tokens] of golden.input_ids.entries()) {
      const logits = tensor(`logits.${i}`);
      const wanted = tokens.flatMap((_, row) => Array.from({ length: V }, () => row));
      const labels = tokens.flatMap(() => Array.from({ length: V }, (_, v) => v));
      const [got] = await encoder.labels([{ tokens, wanted, labels }]);
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
    const got = await decoder.decode(golden.input_ids, steps);
    golden.generated.forEach((tokens, i) => expect(got[i]!.slice(0, tokens.length)).toEqual(tokens));
    const alone = await decoder.decode([golden.input_ids[1]!], steps);
    expect(alone[0]).toEqual(got[1]);
    await decoder.release();
  });

  test('a prompt scores the same bits alone or in any batch', async () => {
    const { model, golden } = load(name);
    const encoder = new Encoder(model, undefined, cpu);
    const requests = golden.input_ids.map((tokens) => ({
      tokens,
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
