// Which settings of generation_config.json change greedy text, as transformers has it (goldens/config/make_generation.py).

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { generationNotes } from '../../src/text/generation-notes.ts';
import { tokenizerFromFiles } from '../../src/text/tokenizer.ts';

const read = (path: string) =>
  JSON.parse(readFileSync(new URL(`../../goldens/${path}`, import.meta.url), 'utf8')) as unknown;
const { tried } = read('config/generation.json') as {
  tried: Record<string, { value: unknown; outcome: string }>;
};

test.each(Object.entries(tried))('%s', (key, { value, outcome }) => {
  const notes = generationNotes({ [key]: value });
  if (outcome === 'same') expect(notes).toEqual([]);
  else expect(notes).toEqual([expect.stringContaining(`${key} = `)]);
});

test('values that stand for nothing', () => {
  const idle = {
    repetition_penalty: 1,
    no_repeat_ngram_size: 0,
    suppress_tokens: [],
    min_length: 0,
    num_beams: 1,
  };
  expect(generationNotes({ ...idle, guidance_scale: null, bad_words_ids: null })).toEqual([]);
});

test("a tokenizer's files say it", async () => {
  const files = {
    'tokenizer.json': read('tokenizers/kinds/byte-level/tokenizer.json'),
    'generation_config.json': { repetition_penalty: 1.05, do_sample: true, temperature: null },
  };
  const { notes } = await tokenizerFromFiles(files, 'x');
  expect(notes).toEqual([expect.stringContaining('repetition_penalty = 1.05')]);
});
