import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { tokenizerFilesFromGguf } from '../../src/text/gguf-tokenizer.ts';
import { loadReference } from '../../src/text/reference.ts';
import { openTokenizer, tokenizerFromFiles } from '../../src/text/tokenizer.ts';
import { candidateWords, commonWords } from '../../src/text/words.ts';

it('the parts of the reference set share no paragraph, and the digest is of 32 bytes', () => {
  const { rows, train, heldOut, digest } = loadReference();
  expect(digest).toMatch(/^[0-9a-f]{64}$/);
  const parts = [rows.texts, train.flatMap(({ texts }) => texts), heldOut.flatMap(({ texts }) => texts)];
  // Headings such as "Article 3" are the same in kindred languages; running text may not be.
  const [a, b, c] = parts.map((texts) => new Set(texts.filter((text) => text.length > 60)));
  for (const text of c!) expect(a!.has(text) || b!.has(text), text).toBe(false);
  expect(heldOut.map(({ language }) => language)).toEqual([
    'English',
    'Chinese',
    'Japanese',
    'Russian',
    'Emoji',
    'Code',
    'Mathematics',
  ]);
  expect(train.length).toBeGreaterThan(80);
});

it('no common word begins another', () => {
  const words = commonWords();
  expect(words.length).toBeGreaterThan(600);
  for (let i = 1; i < words.length; i++) expect(words[i]!.startsWith(words[i - 1]!)).toBe(false);
});

it('candidate words bring both forms', async () => {
  const { metadata } = JSON.parse(
    readFileSync(new URL('../../goldens/tokenizers/tiny.json', import.meta.url), 'utf8'),
  ) as { metadata: Record<string, unknown> };
  const tokenizer = await tokenizerFromFiles(
    tokenizerFilesFromGguf({ ...metadata, 'tokenizer.ggml.pre': 'smollm' }),
    'x',
  );
  const words = await candidateWords(tokenizer, 20);
  for (const { word, bare, spaced } of words) {
    expect(await tokenizer.decode(bare)).toBe(word);
    expect(await tokenizer.decode(spaced)).toBe(` ${word}`);
  }
  await expect(candidateWords(tokenizer, 10_000)).rejects.toMatchObject({ code: 'usage' });
});

it('a word that was said is no candidate', async () => {
  const tokenizer = await openTokenizer(
    fileURLToPath(new URL('../../assets/embedded/model', import.meta.url)),
  );
  const before = (await candidateWords(tokenizer, 20)).map(({ word }) => word);
  const after = (
    await candidateWords(tokenizer, 20, [`The ${before[3]!.toUpperCase()}, and ${before[7]}s`])
  ).map(({ word }) => word);
  expect(after).not.toContain(before[3]);
  expect(after).toContain(before[7]);
  expect(after).toHaveLength(20);
});
