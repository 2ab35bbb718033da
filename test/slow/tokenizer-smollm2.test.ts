// SmolLM2's own vocabulary against Python. WHORL_SMOLLM2 names the model's GGUF file; without it this is skipped.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../src/base/random-source.ts';
import { freeRows } from '../../src/fingerprint/free-rows.ts';
import { rareTokenKeys } from '../../src/fingerprint/rare-keys.ts';
import { readGguf } from '../../src/sources/checkpoints/gguf.ts';
import { tokenizerFilesFromGguf } from '../../src/text/gguf-tokenizer.ts';
import { loadReference } from '../../src/text/reference.ts';
import { tokenizerFromFiles } from '../../src/text/tokenizer.ts';

const file = process.env.WHORL_SMOLLM2;
const golden = JSON.parse(
  readFileSync(new URL('../../goldens/tokenizers/smollm2.json', import.meta.url), 'utf8'),
) as { vocab_size: number; rows: { text: string; ids: number[]; decoded: string }[] };

describe.skipIf(file === undefined)('SmolLM2', () => {
  const open = () =>
    tokenizerFromFiles(tokenizerFilesFromGguf(Object.fromEntries(readGguf(file!).metadata)), file!);

  it('gives the ids and the text of Python on a nasty corpus', async () => {
    const tokenizer = await open();
    expect(tokenizer.vocab_size).toBe(golden.vocab_size);
    expect(await tokenizer.encodeBatch(golden.rows.map(({ text }) => text))).toEqual(
      golden.rows.map(({ ids }) => ids),
    );
    expect(
      await tokenizer.decodeBatch(
        golden.rows.map(({ ids }) => ids),
        { skipSpecialTokens: false },
      ),
    ).toEqual(golden.rows.map(({ decoded }) => decoded));
  });

  it('has rows enough for 32 keys of 8 tokens, none of which held-out text uses', async () => {
    const tokenizer = await open();
    const { rows, heldOut } = loadReference();
    const free = await freeRows(tokenizer, rows);
    const keys = await rareTokenKeys({
      advice: ({ keys, tokens }) => `${keys} keys, ${tokens} tokens`,
      tokenizer,
      free: free.rows,
      count: 32,
      length: 8,
      shared: false,
      random: seededRandom(3n),
    });
    const used = new Set(keys.flatMap(({ tokens }) => tokens));
    expect(used.size).toBe(256);
    for (const { texts } of heldOut)
      for (const ids of await tokenizer.encodeBatch(texts))
        expect(ids.filter((id) => used.has(id))).toEqual([]);
  });
});
