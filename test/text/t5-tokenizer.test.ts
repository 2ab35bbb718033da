// T5's spiece.model without tokenizer.json, against transformers' T5Tokenizer (goldens/tokenizers/make_t5.py).

import { cpSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { openTokenizer } from '../../src/text/tokenizer.ts';

const GOLDEN = new URL('../../goldens/tokenizers/t5', import.meta.url).pathname;

interface Golden {
  readonly texts: readonly string[];
  readonly settings: readonly {
    readonly 'tokenizer_config.json': object;
    readonly length: number;
    readonly ids: readonly (readonly number[])[];
    readonly bare: readonly (readonly number[])[];
    readonly text: readonly string[];
  }[];
}
const golden = JSON.parse(readFileSync(join(GOLDEN, 'ids.json'), 'utf8')) as Golden;

const scratch = realpathSync(mkdtempSync(join(tmpdir(), 'whorl-t5-')));
afterAll(() => rmSync(scratch, { recursive: true }));

function folderWith(name: string, settings: object): string {
  const folder = join(scratch, name);
  cpSync(GOLDEN, folder, { recursive: true });
  writeFileSync(join(folder, 'tokenizer_config.json'), JSON.stringify(settings));
  return folder;
}

describe.each(golden.settings.map((settings, i) => [i, settings] as const))('settings %i', (i, wanted) => {
  test('ids and text of every text, sentinels, names', async () => {
    const tokenizer = await openTokenizer(folderWith(`s${i}`, wanted['tokenizer_config.json']));
    expect(tokenizer.vocab_size).toBe(wanted.length);
    expect(tokenizer.idOf('<extra_id_0>')).toBe(wanted.length - 1);
    expect(tokenizer.eosIds).toEqual([1]);
    expect(tokenizer.padId).toBe(0);
    expect(tokenizer.bosId).toBeUndefined();
    const ids = await tokenizer.encodeBatch(golden.texts);
    golden.texts.forEach((text, n) => expect(ids[n], text).toEqual(wanted.ids[n]));
    expect(await tokenizer.encodeBatch(golden.texts, { addSpecialTokens: false })).toEqual(wanted.bare);
    expect(await tokenizer.decodeBatch(wanted.ids)).toEqual(wanted.text);
  });
});

test('a class that reads the file otherwise, and a count that is none, are refused', async () => {
  await expect(openTokenizer(folderWith('p', { tokenizer_class: 'PegasusTokenizer' }))).rejects.toThrow(
    'is read by a "PegasusTokenizer"',
  );
  await expect(openTokenizer(folderWith('n', { extra_ids: -1 }))).rejects.toThrow('extra_ids is -1');
});
