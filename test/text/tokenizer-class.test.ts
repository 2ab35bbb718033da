// Classes of tokenizer_config.json that contradict tokenizer.json, against both versions of transformers
// (goldens/tokenizers/make_classes.py).

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { tokenizerFromFiles } from '../../src/text/tokenizer.ts';

const kinds = new URL('../../goldens/tokenizers', import.meta.url).pathname;
type Ids = readonly (readonly number[])[];
interface Row {
  readonly file: string;
  readonly class: string;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly ids: Ids | 'file' | null;
}
const json = (path: string) => JSON.parse(readFileSync(join(kinds, path), 'utf8')) as Record<string, unknown>;
const golden = json('classes.json') as unknown as {
  texts: string[];
  changes: Record<string, [kind: string, change: object]>;
  own: Record<string, Ids>;
  versions: Record<'4' | '5', { rows: Row[] }>;
};
const [four, five] = [golden.versions['4'].rows, golden.versions['5'].rows];
const NAMES = ['bos_token', 'eos_token', 'unk_token', 'pad_token'];

async function ours({ file, class: tokenizer_class, settings }: Row, family = 'llama') {
  const [kind, change] = golden.changes[file]!;
  const config = json(`kinds/${kind}/tokenizer_config.json`);
  const names = Object.fromEntries(NAMES.flatMap((name) => (name in config ? [[name, config[name]]] : [])));
  const files = {
    'tokenizer.json': { ...json(`kinds/${kind}/tokenizer.json`), ...change },
    'tokenizer_config.json': { ...names, tokenizer_class, ...settings },
    'config.json': { model_type: family },
  };
  const { notes, encodeBatch } = await tokenizerFromFiles(files, file);
  return { notes: notes.join('\n'), ids: await encodeBatch(golden.texts) };
}

test.each(Object.keys(golden.changes))('ids of %s under every class', async (file) => {
  let agreed = 0;
  for (const [i, row] of five.entries()) {
    if (row.file !== file) continue;
    const name = JSON.stringify([row.class, row.settings]);
    const { ids, notes } = await ours(row);
    const [old, now] = [four[i]!, row].map((of) => (of.ids === 'file' ? golden.own[file]! : of.ids));
    const [asOld, asNow] = [old, now].map((of) => of === null || JSON.stringify(of) === JSON.stringify(ids));
    // Where the versions agree, ids are theirs; where they do not, it is said which of them makes others.
    if (old && now && JSON.stringify(old) === JSON.stringify(now)) {
      expect(ids, name).toEqual(old);
      agreed++;
    }
    if (!asNow) expect(notes, name).toMatch(/for which transformers 5/);
    if (!asOld) expect(notes, name).toMatch(/transformers 4/);
  }
  expect(agreed).toBeGreaterThan(3);
});

const row = (file: string, name: string, settings = {}): Row => ({ file, class: name, settings, ids: null });

test.each([
  row('digits', 'PreTrainedTokenizerFast'),
  row('byte-level-alone', 'GPT2Tokenizer'),
  row('byte-level-prefixed', 'GPT2TokenizerFast', { add_prefix_space: true }),
  row('fallback', 'LlamaTokenizerFast', { legacy: false }),
  row('fallback', 'SomethingElse', { add_bos_token: false }),
])('nothing is said of $file under $class', async (of) => {
  expect((await ours(of)).notes).toBe('');
});

test('a family whose class transformers 5 knows to be wrong is opened by its file', async () => {
  expect((await ours(row('digits', 'GPT2Tokenizer'), 'qwen2')).notes).toBe('');
  expect((await ours(row('digits', 'GPT2Tokenizer'))).notes).toMatch(/pre_tokenizer of its own/);
});
