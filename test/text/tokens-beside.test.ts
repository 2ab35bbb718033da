// Tokens beside a vocabulary, against transformers' AutoTokenizer over the same folders (goldens/tokenizers/beside.json).

import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { openTokenizer } from '../../src/text/tokenizer.ts';

interface Case {
  name: string;
  kind: 'json' | 'model';
  files: Record<string, unknown>;
  length: number;
  ids: number[][];
  bare: number[][];
  added: { id: number; content: string; special: boolean }[];
  skipped: number[];
  named: Record<string, [string, number]>;
}
const goldens = new URL('../../goldens/tokenizers/', import.meta.url).pathname;
const { texts, base, cases } = JSON.parse(readFileSync(join(goldens, 'beside.json'), 'utf8')) as {
  texts: string[];
  base: object;
  cases: Case[];
};
const scratch = mkdtempSync(join(tmpdir(), 'whorl-beside-'));
afterAll(() => rmSync(scratch, { recursive: true }));

function folderOf({ name, kind, files }: Pick<Case, 'name' | 'kind' | 'files'>): string {
  const folder = join(scratch, name.replace(/\W/g, '-'));
  mkdirSync(folder, { recursive: true });
  if (kind === 'json') writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(base));
  else cpSync(join(goldens, 'sentencepiece', 'bpe.model'), join(folder, 'tokenizer.model'));
  writeFileSync(join(folder, 'config.json'), '{"model_type":"llama"}');
  for (const [file, content] of Object.entries(files))
    writeFileSync(join(folder, file), JSON.stringify(content));
  return folder;
}

describe.each(cases)('$name', (golden) => {
  it('has the ids, the special flags and the names of transformers', async () => {
    const tokenizer = await openTokenizer(folderOf(golden));
    const own = texts.filter((text) => golden.kind === 'json' || !text.includes('<sep>'));
    expect(await tokenizer.encodeBatch(own, { addSpecialTokens: false })).toEqual(golden.bare);
    // transformers 5 adds no BOS to a bare tokenizer.model, transformers 4 and llama.cpp do: so do we.
    if (golden.name !== 'model: no config') expect(await tokenizer.encodeBatch(own)).toEqual(golden.ids);
    expect([...tokenizer.specialIds].sort((a, b) => a - b)).toEqual(golden.skipped);
    expect(tokenizer.specialTokens).toEqual(
      Object.fromEntries(Object.entries(golden.named).map(([name, [token]]) => [name, token])),
    );
    const { eos_token, bos_token, pad_token } = golden.named;
    expect([tokenizer.eosId, tokenizer.bosId, tokenizer.padId]).toEqual([
      eos_token?.[1],
      bos_token?.[1],
      pad_token?.[1],
    ]);
    expect(tokenizer.vocab_size).toBe(golden.length);
    // A user-defined piece of SentencePiece is no added token of ours: it is cut out of the normalised text.
    for (const { id, content } of golden.added.filter(({ content }) => content !== '<sep>')) {
      expect(tokenizer.idOf(content)).toBe(id);
      expect(tokenizer.tokenOf(id)).toBe(content);
      expect(tokenizer.addedIds.has(id), content).toBe(true);
    }
    const skip = await tokenizer.decodeBatch(golden.added.map(({ id }) => [id]));
    expect(skip.map((text) => text === '')).toEqual(
      golden.added.map(({ id }) => golden.skipped.includes(id)),
    );
  });
});

it.each([
  ['added_tokens.json', { 'added_tokens.json': { '<|a|>': 'x' } }],
  ['added_tokens_decoder', { 'tokenizer_config.json': { added_tokens_decoder: { x: { content: 'a' } } } }],
  ['added_tokens_decoder', { 'tokenizer_config.json': { added_tokens_decoder: { 7: 'a' } } }],
])('a malformed %s is refused with the file and the entry', async (name, files) => {
  const folder = folderOf({ name: `malformed ${name} ${JSON.stringify(files).length}`, kind: 'json', files });
  await expect(openTokenizer(folder)).rejects.toMatchObject({
    code: 'bad-file',
    message: expect.stringContaining('is malformed') as string,
  });
});

it('a tokenizer that cuts special tokens up is refused by name', async () => {
  const folder = folderOf({
    name: 'split',
    kind: 'json',
    files: { 'tokenizer_config.json': { split_special_tokens: true } },
  });
  await expect(openTokenizer(folder)).rejects.toMatchObject({
    code: 'unsupported',
    message: expect.stringMatching(/split_special_tokens .* take it out/) as string,
  });
});
