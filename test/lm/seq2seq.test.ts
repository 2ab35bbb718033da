// An encoder-decoder as something that answers, against lm-evaluation-harness's seq2seq and transformers' generate
// (goldens/lm-eval/make_seq2seq.py): a pytorch_model.bin with the tied matrix under four names, a spiece.model alone.

import { cpSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cpu } from '../../src/engine/session.ts';
import { generateAll, scoreAll } from '../../src/lm/ask.ts';
import { LocalModel } from '../../src/lm/local-model.ts';
import { Encoder } from '../../src/models/encode.ts';
import type { Model } from '../../src/models/model.ts';
import { openModel } from '../../src/models/open-model.ts';
import { readTensor } from '../../src/sources/checkpoints/read.ts';
import { writeSafetensors } from '../../src/sources/checkpoints/write-safetensors.ts';
import { fromFloat32 } from '../../src/tensor/convert.ts';
import { promptTokens } from '../../src/text/prompt-tokens.ts';
import { splitByTokens } from '../../src/train/micro-batches.ts';
import { ADAMW } from '../../src/train/optimiser.ts';
import { Trainer } from '../../src/train/trainer.ts';
import { epochBatches, promptAndAnswer, type TuningExample } from '../../src/train/tuning-examples.ts';
import { openGolden } from '../models/golden-models.ts';

const GOLDENS = new URL('../../goldens/', import.meta.url).pathname;

const golden = JSON.parse(readFileSync(join(GOLDENS, 'lm-eval', 't5', 'golden.json'), 'utf8')) as {
  readonly pairs: readonly (readonly [string, string])[];
  readonly logprob: readonly number[];
  readonly greedy: readonly boolean[];
  readonly prompts: readonly string[];
  readonly new_tokens: number;
  readonly generated: readonly (readonly number[])[];
  readonly answers: readonly string[];
  readonly loss: number;
  readonly gradient_norm: number;
};
const requests = golden.pairs.map(([context, continuation]) => ({ context, continuation }));
const prompts = golden.prompts.map((prompt) => ({ prompt, max_new_tokens: golden.new_tokens }));

const scratch = realpathSync(mkdtempSync(join(tmpdir(), 'whorl-seq2seq-')));
let asked: LocalModel;
beforeAll(async () => {
  const folder = join(scratch, 'model');
  cpSync(join(GOLDENS, 'lm-eval', 't5'), folder, { recursive: true });
  cpSync(join(GOLDENS, 'tokenizers', 't5', 'spiece.model'), join(folder, 'spiece.model'));
  asked = await LocalModel.open(await openModel(folder, { cacheDir: join(scratch, 'cache') }));
});
afterAll(async () => {
  await asked.release();
  rmSync(scratch, { recursive: true });
});

test('one matrix, whatever it is stored as', () => {
  const { decoder, tensors, copies } = asked.model;
  expect(decoder.config.tie_word_embeddings).toBe(true);
  expect([...tensors.keys()].filter((name) => /shared|embed_tokens|lm_head/.test(name))).toEqual([
    'shared.weight',
  ]);
  expect(copies?.get('shared.weight')?.length).toBe(3);
});

test('scores of contexts and continuations', async () => {
  const scores = await scoreAll(asked, requests);
  scores.forEach(({ logprob, greedy }, i) => {
    expect(logprob, String(i)).toBeCloseTo(golden.logprob[i]!, 3);
    expect(greedy).toBe(golden.greedy[i]);
  });
  for (const [i, request] of requests.entries())
    expect(await scoreAll(asked, [request])).toEqual([scores[i]]);
});

test('greedy text, alone and in a batch', async () => {
  const texts = await generateAll(asked, prompts);
  expect(texts.map(({ generated_token }) => generated_token)).toEqual(golden.generated);
  for (const [i, prompt] of prompts.entries()) expect(await generateAll(asked, [prompt])).toEqual([texts[i]]);
});

test('text that goes on after looks for stop strings, and beside longer text, is the same', async () => {
  const [long, ...others] = prompts.map((prompt) => ({ ...prompt, max_new_tokens: 80 }));
  const plain = await generateAll(asked, [long!, ...others]);
  const looked = await generateAll(asked, [{ ...long!, stop: ['no such text'] }, ...others]);
  expect(looked).toEqual(plain);
  expect(plain.map(({ generated_token }) => generated_token.slice(0, golden.new_tokens))).toEqual(
    golden.generated,
  );
});

test('a batch of prompts and answers: loss and gradient as of labels in transformers', async () => {
  const { model, tokenizer } = asked;
  const sources = await promptTokens(
    tokenizer,
    golden.prompts.map((prompt) => ({ prompt })),
  );
  const answers = await tokenizer.encodeBatch(golden.answers);
  const examples = sources.map((source, i) => promptAndAnswer(source, answers[i]!));
  const { batch } = await epochBatches({ batch: 8, max_length: 500 }, () => examples, model.decoder.encoder);
  const trainer = await Trainer.compile(model, {
    settings: { ...ADAMW, clip: 1e9 },
    split: (all) => splitByTokens(all, 120),
  });
  const made = await batch(0);
  expect(splitByTokens(made, 120).length).toBeGreaterThan(1);
  const { loss, norm } = await trainer.step(trainer.start(), made, 1e-3);
  expect(loss).toBeCloseTo(golden.loss, 3);
  expect(norm / golden.gradient_norm).toBeCloseTo(1, 3);
  await trainer.release();
});

test('a conversation has an example for each answer, which reads all that stands before it', async () => {
  const turns: TuningExample = {
    tokens: [10, 11, 12, 13, 14, 15, 16],
    labels: [
      [2, 4],
      [5, 7],
    ],
  };
  const { batch } = await epochBatches(
    { batch: 1, max_length: 6 },
    () => [turns],
    asked.model.decoder.encoder,
  );
  const made = await batch(0);
  expect(
    made.map(({ source, tokens, labels }) => ({
      source,
      tokens,
      labels: labels.map(({ row, token }) => [row, token]),
    })),
  ).toEqual([
    {
      source: [10, 11, 1],
      tokens: [0, 12],
      labels: [
        [0, 12],
        [1, 13],
      ],
    },
    { source: [10, 11, 12, 13, 14, 1], tokens: [0], labels: [[0, 15]] },
  ]);
  expect(made.flatMap(({ labels }) => labels).reduce((sum, { weight }) => sum + weight, 0)).toBeCloseTo(1, 6);
});

describe('the matrix under other names, in safetensors', () => {
  const shared = 'shared.weight';
  const stacks = ['encoder.embed_tokens.weight', 'decoder.embed_tokens.weight'];

  /** A folder of the model whose tied matrix stands under `names`, the last of them changed where asked. */
  async function folderOf(name: string, names: readonly string[], changed = false): Promise<Model> {
    const folder = join(scratch, name);
    mkdirSync(folder);
    cpSync(join(GOLDENS, 'lm-eval', 't5', 'config.json'), join(folder, 'config.json'));
    const { tensors } = asked.model;
    const entries = [...tensors].flatMap(([tensor, ref]) =>
      (tensor === shared ? names : [tensor]).map((own) => ({
        name: own,
        dtype: 'float32' as const,
        ...readTensor(ref),
      })),
    );
    if (changed) entries.find((entry) => entry.name === names.at(-1))!.data[0]! += 1;
    await writeSafetensors(join(folder, 'model.safetensors'), entries, ({ data }) => [
      fromFloat32(data, 'float32'),
    ]);
    return openModel(folder);
  }

  test.each([
    [[shared, ...stacks, 'lm_head.weight']],
    [[shared]],
    [[stacks[0]!]],
    [[stacks[1]!, 'lm_head.weight']],
  ])('%j opens, and scores the same', async (names) => {
    const model = await folderOf(names.join('+'), names);
    const own = await LocalModel.open(model, { tokenizer: asked.tokenizer });
    expect(await scoreAll(own, requests.slice(0, 3))).toEqual(await scoreAll(asked, requests.slice(0, 3)));
    expect(model.copies?.get(shared)?.length ?? 0).toBe(names.length - 1);
    await own.release();
  });

  test('stacks that differ are refused', async () => {
    await expect(folderOf('differ', [shared, stacks[1]!], true)).rejects.toThrow(
      'decoder.embed_tokens.weight and shared.weight are one matrix, but both are stored, with different values',
    );
  });
});

test('a source that is missing, and one that nobody reads, are refused', async () => {
  const decoder = openGolden('llama-tied');
  const tokens = [0, 1];
  const [one, other] = [new Encoder(asked.model, undefined, cpu), new Encoder(decoder, undefined, cpu)];
  await expect(one.hidden([{ tokens, wanted: [0] }])).rejects.toThrow('t5 reads a source, and none is given');
  await expect(other.hidden([{ tokens, source: [3], wanted: [0] }])).rejects.toThrow('llama reads no source');
});
