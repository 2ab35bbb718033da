// What llama.cpp says of GGUFs that we wrote (goldens/gguf/make_llama_cpp.py) against our own engine over the folders that they
// were made of: the same tokens of each prompt, the same greedy text.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { cpu } from '../../src/engine/session.ts';
import { GGUF_FAMILIES } from '../../src/models/families/gguf.ts';
import { openModel } from '../../src/models/open-model.ts';
import { openTokenizer } from '../../src/text/tokenizer.ts';
import { greedyDecoder } from '../lm/greedy.ts';
import { randomFolder } from './random-folder.ts';

const goldens = fileURLToPath(new URL('../../goldens/gguf/', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'whorl-llama-cpp-'));
afterAll(() => rmSync(scratch, { recursive: true }));

const json = (path: string): unknown => JSON.parse(readFileSync(join(goldens, path), 'utf8'));
const configOf = (name: string) =>
  (json(`families/${name}.json`) as { config: Record<string, unknown> }).config;
const { prompts, models } = json('llama-cpp.json') as {
  prompts: string[];
  models: Record<string, { prompt: number[]; tokens: number[]; text: string }[]>;
};

test.each(Object.entries(models))('%s', async (name, answers) => {
  const model = await openModel(randomFolder(join(scratch, name), configOf(name)));
  const tokenizer = await openTokenizer(model.folder);
  expect(await tokenizer.encodeBatch(prompts, { addSpecialTokens: false })).toEqual(
    answers.map(({ prompt }) => prompt),
  );
  const decoder = greedyDecoder(model, cpu);
  const said = await decoder.decode(
    answers.map(({ prompt }) => prompt),
    answers[0]!.tokens.length,
  );
  await decoder.release();
  expect(said).toEqual(answers.map(({ tokens }) => tokens));
  expect(await Promise.all(said.map((tokens) => tokenizer.decode(tokens)))).toEqual(
    answers.map(({ text }) => text),
  );
});

test('every family that we write as GGUF was opened by llama.cpp', () => {
  const opened = new Set(Object.keys(models).map((name) => configOf(name).model_type));
  const written = GGUF_FAMILIES.flatMap(({ config, also = [] }) => [config.model_type, ...also]);
  // A folder of LLaMA's and one of Mistral's make the same file.
  expect(written.filter((type) => !opened.has(type) && type !== 'mistral')).toEqual([]);
});
