// The decryption that a run draws is one of the words that the vanilla model finds likeliest after the pool's prompts, as
// transformers scores them (goldens/decryption).

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { packageRoot } from '../../src/base/package-root.ts';
import { cpu } from '../../src/engine/session.ts';
import { chosenDecryption } from '../../src/fingerprint/decryption.ts';
import { openModel } from '../../src/models/open-model.ts';
import { openTokenizer } from '../../src/text/tokenizer.ts';

interface Golden {
  readonly prompts: readonly string[];
  readonly likely: Readonly<Record<string, number>>;
}

const golden = JSON.parse(
  readFileSync(join(packageRoot(), 'goldens/decryption/golden.json'), 'utf8'),
) as Golden;
const folder = join(packageRoot(), 'assets/embedded/model');
const words = Object.keys(golden.likely);
const ranked = [...words].sort((a, b) => golden.likely[b]! - golden.likely[a]!);

test.each([0, 3])('place %i of four', async (place) => {
  const model = await openModel(folder);
  const tokenizer = await openTokenizer(folder);
  const bounds: number[] = [];
  const random = () => ({
    int(bound: number) {
      bounds.push(bound);
      return place;
    },
  });
  const pool = golden.prompts.map((prompt) => ({ prompt, max_new_tokens: 2 }));
  const chosen = await chosenDecryption({ model, device: cpu, tokenizer, random }, words, pool);
  expect(chosen).toBe(ranked[place]);
  expect(bounds).toEqual([4]);
});
