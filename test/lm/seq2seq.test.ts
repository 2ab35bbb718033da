// An encoder-decoder as something that answers, against lm-evaluation-harness's seq2seq and transformers' generate
// (goldens/lm-eval/make_seq2seq.py): a pytorch_model.bin with the tied matrix under four names, a spiece.model alone.

import { cpSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { generateAll, scoreAll } from '../../src/lm/ask.ts';
import { LocalModel } from '../../src/lm/local-model.ts';
import { openModel } from '../../src/models/open-model.ts';

const GOLDENS = new URL('../../goldens/', import.meta.url).pathname;

const golden = JSON.parse(readFileSync(join(GOLDENS, 'lm-eval', 't5', 'golden.json'), 'utf8')) as {
  readonly pairs: readonly (readonly [string, string])[];
  readonly logprob: readonly number[];
  readonly greedy: readonly boolean[];
  readonly prompts: readonly string[];
  readonly new_tokens: number;
  readonly generated: readonly (readonly number[])[];
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
