// The real SmolLM2-135M-Instruct against transformers (goldens/smollm2): logits, greedy text, gradient to rows.
// Needs WHORL_SMOLLM2=<the package's .gguf>; see CONTRIBUTING.md.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { gradients } from '../../src/engine/autodiff.ts';
import { Graph } from '../../src/engine/graph.ts';
import { mul, neg } from '../../src/engine/ops/arithmetic.ts';
import { input } from '../../src/engine/ops/leaves.ts';
import { sumAll } from '../../src/engine/ops/shape.ts';
import { Program } from '../../src/engine/program.ts';
import { generateAll } from '../../src/lm/ask.ts';
import { LocalModel } from '../../src/lm/local-model.ts';
import { openModel } from '../../src/models/open-model.ts';
import { overlayInputs, overlayShape, PUBLISHED } from '../../src/models/overlay.ts';
import { frozenWeights } from '../../src/models/prompt.ts';
import { readTensor, readTensorRows } from '../../src/sources/checkpoints/read.ts';
import { readSafetensorsHeader } from '../../src/sources/checkpoints/safetensors.ts';
import { batchFeeds, labelLogprobs } from '../../src/train/forward.ts';

const gguf = process.env.WHORL_SMOLLM2;
const goldens = new URL('../../goldens/smollm2/', import.meta.url).pathname;

interface Golden {
  texts: { text: string; input_ids: number[]; probe_positions: number[] }[];
  prompts: { prompt: string; input_ids: number[]; generated_ids: number[] }[];
  gradient: { texts: number[]; label_rows: number[][]; loss: number };
}

describe.skipIf(gguf === undefined)('SmolLM2-135M-Instruct', () => {
  const golden = JSON.parse(readFileSync(join(goldens, 'golden.json'), 'utf8')) as Golden;
  const { tensors } = readSafetensorsHeader(join(goldens, 'golden.safetensors'));
  const floats = (name: string) => readTensor(tensors.get(name)!).data;
  const ids = (name: string): number[] => {
    const { file, offset, length } = tensors.get(name)!;
    const bytes = readFileSync(file).subarray(offset, offset + length);
    return Array.from({ length: length / 8 }, (_, i) => Number(bytes.readBigInt64LE(8 * i)));
  };
  const cacheDir = mkdtempSync(join(tmpdir(), 'whorl-slow-'));
  let model: LocalModel;
  beforeAll(async () => {
    // From the GGUF, by way of the safetensors folder that is written from it: one test for both.
    model = await LocalModel.open(await openModel(gguf!, { cacheDir }));
  });
  afterAll(async () => {
    await model?.release();
    rmSync(cacheDir, { recursive: true, force: true });
  });

  test('token ids of the 50 texts', async () => {
    const got = await model.tokenizer.encodeBatch(golden.texts.map(({ text }) => text));
    golden.texts.forEach(({ input_ids }, i) => expect(got[i]).toEqual(input_ids));
  });

  test('logits of 50 texts within 1e-3', async () => {
    const E = model.model.decoder.config.hidden_size;
    const probes = ids('probe_ids');
    const rows = readTensorRows(model.model.tensors.get(model.model.decoder.head)!, probes);
    let worst = 0;
    for (const [i, { input_ids, probe_positions }] of golden.texts.entries()) {
      const [hidden] = await model.encoder.hidden([{ tokens: input_ids, wanted: probe_positions }]);
      const expected = floats(`probe_logits.${i}`);
      probe_positions.forEach((_, p) => {
        probes.forEach((_, v) => {
          let logit = 0;
          for (let e = 0; e < E; e++) logit += hidden![p * E + e]! * rows[v * E + e]!;
          worst = Math.max(worst, Math.abs(logit - expected[p * probes.length + v]!));
        });
      });
    }
    expect(worst).toBeLessThan(1e-3);
  });

  test('greedy text of 20 prompts, 40 tokens, in one batch', async () => {
    const got = await generateAll(
      model,
      golden.prompts.map(({ prompt }) => ({ prompt, max_new_tokens: 40 })),
    );
    golden.prompts.forEach(({ generated_ids }, i) => expect(got[i]!.generated_token).toEqual(generated_ids));
  });

  test('gradient to embedding rows within 1e-4', async () => {
    const { model: bound } = model;
    const chosen = Int32Array.from(ids('gradient_ids'));
    const table = bound.tensors.get(bound.decoder.embedding)!;
    const overlay = { ids: chosen, rows: readTensorRows(table, chosen) };
    const graph = new Graph('gradient');
    const inputs = overlayInputs(graph, bound.decoder, overlayShape(overlay)!);
    const logprobs = labelLogprobs(graph, bound, frozenWeights(graph, bound), inputs);
    const loss = neg(sumAll(mul(logprobs, input(graph, 'fire', 'float32', ['L']))));
    graph.output('loss', loss);
    graph.output('gradient', gradients(loss, [inputs.rows])[0]!);
    const program = await Program.compile(graph, bound.weightsFolder);
    const count = golden.gradient.label_rows.flat().length;
    const encoded = golden.gradient.texts.map((i) => golden.texts[i]!.input_ids);
    const batch = encoded.map((tokens, i) => ({
      tokens,
      variant: PUBLISHED,
      labels: golden.gradient.label_rows[i]!.map((row) => ({
        row,
        token: tokens[row + 1]!,
        kind: 'fire' as const,
        weight: 1 / count,
      })),
    }));
    const out = await program.run(batchFeeds(bound, batch, overlay, false));
    expect(out.loss!.data[0] as number).toBeCloseTo(golden.gradient.loss, 4);
    const expected = floats('gradient_rows');
    const got = out.gradient!.data as Float32Array;
    const scale = expected.reduce((most, g) => Math.max(most, Math.abs(g)), 0);
    const worst = got.reduce((most, g, i) => Math.max(most, Math.abs(g - expected[i]!)), 0);
    expect(worst / scale).toBeLessThan(1e-4);
    await program.release();
  });
});
