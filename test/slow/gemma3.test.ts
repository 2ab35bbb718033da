// The real Gemma 3 270M (Q4_K_M) against transformers and SentencePiece (goldens/gemma3-270m): ids, greedy text,
// log-probabilities. Needs WHORL_GEMMA3=<the .gguf>; see CONTRIBUTING.md.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { generateAll } from '../../src/lm/ask.ts';
import { LocalModel } from '../../src/lm/local-model.ts';
import { openModel } from '../../src/models/open-model.ts';

const gguf = process.env.WHORL_GEMMA3;

interface Golden {
  sha256: string;
  prompts: { prompt: string; input_ids: number[]; generated_ids: number[]; logprobs: number[] }[];
  passage: { ids: number[]; logprobs: number[] };
  texts: { text: string; ids: number[] }[];
}

describe.skipIf(gguf === undefined)('Gemma 3 270M', () => {
  const golden = JSON.parse(
    readFileSync(new URL('../../goldens/gemma3-270m/golden.json', import.meta.url), 'utf8'),
  ) as Golden;
  const cacheDir = mkdtempSync(join(tmpdir(), 'whorl-gemma3-'));
  let model: LocalModel;
  beforeAll(async () => {
    model = await LocalModel.open(await openModel(gguf!, { cacheDir }));
  });
  afterAll(async () => {
    await model?.release();
    rmSync(cacheDir, { recursive: true, force: true });
  });

  test('is the file that the goldens were made of', () => {
    expect(model.model.gguf?.sha256).toBe(golden.sha256);
  });

  test('token ids are SentencePiece’s', async () => {
    const texts = golden.texts.map(({ text }) => text);
    const got = await model.tokenizer.encodeBatch(texts, { addSpecialTokens: false });
    golden.texts.forEach(({ text, ids }, i) => expect({ text, ids: got[i] }).toEqual({ text, ids }));
  });

  test('a text begins with <bos>', async () => {
    const prompts = golden.prompts.map(({ prompt }) => prompt);
    expect(await model.tokenizer.encodeBatch(prompts)).toEqual(golden.prompts.map((p) => p.input_ids));
  });

  test('greedy text of 20 prompts, 40 tokens, in one batch', async () => {
    const got = await generateAll(
      model,
      golden.prompts.map(({ prompt }) => ({ prompt, max_new_tokens: 40 })),
    );
    golden.prompts.forEach(({ generated_ids }, i) =>
      expect(ended(got[i]!.generated_token)).toEqual(ended(generated_ids)),
    );
  });

  test('log-probabilities within 1e-3, beyond the sliding window too', async () => {
    const sequences = [
      ...golden.prompts.map(({ input_ids, generated_ids, logprobs }) => ({
        ids: [...input_ids, ...generated_ids],
        logprobs,
      })),
      golden.passage,
    ];
    expect(golden.passage.ids.length).toBeGreaterThan(512);
    let worst = 0;
    for (const { ids, logprobs } of sequences) {
      const wanted = logprobs.map((_, row) => row);
      const [got] = await model.encoder.labels([{ tokens: ids, wanted, labels: ids.slice(1) }]);
      logprobs.forEach((value, i) => {
        worst = Math.max(worst, Math.abs(value - got!.logprobs[i]!));
      });
    }
    expect(worst).toBeLessThan(1e-3);
  });
});

/** Without the end-of-text token, which only one side keeps. */
const ended = (ids: readonly number[]): number[] => ids.filter((id) => id !== 1);
