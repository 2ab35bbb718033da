// Tokenizers as a GGUF's keys and back again: the same ids; `tokenizer.ggml.pre` by what a pre-tokenizer does; what a GGUF
// cannot say is refused by name.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { CUTS } from '../../src/text/gguf-cuts.ts';
import { tokenizerFilesFromGguf } from '../../src/text/gguf-tokenizer.ts';
import { ggufVocabulary } from '../../src/text/gguf-vocabulary.ts';
import { openTokenizedFiles, type TokenizerFiles, tokenizerFromFiles } from '../../src/text/tokenizer.ts';

const goldens = fileURLToPath(new URL('../../goldens/tokenizers', import.meta.url));
type Json = Record<string, unknown>;
const read = <T>(...path: string[]): T => JSON.parse(readFileSync(join(goldens, ...path), 'utf8')) as T;
const { texts } = read<{ texts: string[] }>('kinds', 'texts.json');

interface TokenizerJson extends Json {
  model: Json & { vocab: Record<string, number>; merges: [string, string][] };
  added_tokens: Json[];
}
/** A golden tokenizer with added tokens of no flags, which a GGUF has no place for. */
function files(
  kind: string,
  change: (json: TokenizerJson) => void = () => {},
): TokenizerFiles & { 'tokenizer.json': TokenizerJson } {
  const json = read<TokenizerJson>('kinds', kind, 'tokenizer.json');
  for (const token of json.added_tokens)
    Object.assign(token, { lstrip: false, rstrip: false, single_word: false, normalized: false });
  change(json);
  return { 'tokenizer.json': json, 'tokenizer_config.json': { bos_token: '<s>', eos_token: '</s>' } };
}

async function written(from: TokenizerFiles, rows = 700) {
  const opened = await openTokenizedFiles(from, 'tokenizer.json');
  const { entries, lost } = await ggufVocabulary(opened, rows, 'model');
  const metadata = Object.fromEntries([...entries].map(([key, { value }]) => [key, value]));
  return { metadata, lost, before: opened.tokenizer };
}
const again = (metadata: Json) => tokenizerFromFiles(tokenizerFilesFromGguf(metadata), 'again');

describe.each(['byte-level', 'byte-fallback', 'byte-fallback-first'])('%s', (kind) => {
  it('gives the same ids when it is read back', async () => {
    const { metadata, before, lost } = await written(files(kind));
    const after = await again(metadata);
    const [ours, theirs] = [await after.encodeBatch(texts), await before.encodeBatch(texts)];
    const added = [...before.addedIds].map((id) => before.tokenOf(id)!);
    // What the report of such a one says: a space more where one stands already, and behind added tokens.
    const same = (text: string) =>
      kind !== 'byte-fallback-first' || !(/^[ ▁]/.test(text) || added.some((token) => text.includes(token)));
    expect(texts.filter(same).length).toBeGreaterThan(15);
    expect(lost.length).toBe(kind === 'byte-fallback-first' ? 1 : 0);
    const differ = texts.filter((_, i) => String(ours[i]) !== String(theirs[i]));
    expect(differ.filter(same)).toEqual([]);
    expect(await after.decodeBatch(theirs)).toEqual(await before.decodeBatch(theirs));
    expect([after.bosId, after.eosId, after.eosIds]).toEqual([before.bosId, before.eosId, before.eosIds]);
  });

  it('has a token for every row of the embedding', async () => {
    const { metadata, before } = await written(files(kind));
    const [tokens, types] = [metadata['tokenizer.ggml.tokens'], metadata['tokenizer.ggml.token_type']] as [
      string[],
      number[],
    ];
    expect([tokens.length, types.length]).toEqual([700, 700]);
    expect(tokens[699]).toBe('[PAD699]');
    expect(types[699]).toBe(5);
    expect([...before.specialIds].map((id) => types[id])).toEqual(
      [...before.specialIds].map((id) => (before.tokenOf(id) === '<unk>' ? 2 : 3)),
    );
  });

  it('more ids than rows are of another model', async () => {
    await expect(written(files(kind), 400)).rejects.toMatchObject({ code: 'mismatch' });
  });
});

it('what is put around a text is told by what the tokenizer does', async () => {
  const flags = async (from: TokenizerFiles) => {
    const { metadata } = await written(from);
    return [metadata['tokenizer.ggml.add_bos_token'], metadata['tokenizer.ggml.add_eos_token']];
  };
  expect(await flags(files('byte-level'))).toEqual([true, true]);
  expect(await flags(files('byte-fallback'))).toEqual([true, false]);
  expect(await flags(files('byte-level', (json) => (json.post_processor = null)))).toEqual([false, false]);
});

it('flags of added tokens are said to be lost', async () => {
  const from = files('byte-level', (json) => Object.assign(json.added_tokens.at(-1)!, { rstrip: true }));
  expect((await written(from)).lost).toEqual([expect.stringContaining('"<right>"')]);
});

describe('tokenizer.ggml.pre', () => {
  it.each([...CUTS])('%s is found by its cut, its normaliser and what is ignored', async (name, cut) => {
    const from = files('byte-level', (json) => {
      const { pre_tokenizer, normalizer } = cut;
      Object.assign(json, { pre_tokenizer, normalizer });
      json.model.ignore_merges = cut.ignore_merges;
    });
    const found = (await written(from)).metadata['tokenizer.ggml.pre'] as string;
    expect(CUTS.get(found)).toEqual(CUTS.get(name));
  });

  it('spelt otherwise, it is the same cut', async () => {
    const { pattern } = (
      files('byte-level')['tokenizer.json'].pre_tokenizer as { pretokenizers: { pattern: object }[] }
    ).pretokenizers[0]!;
    const spelt = (pre_tokenizer: object) => async () =>
      (await written(files('byte-level', (json) => (json.pre_tokenizer = pre_tokenizer)))).metadata[
        'tokenizer.ggml.pre'
      ];
    const bytes = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false };
    const removed = { type: 'Split', pattern, behavior: 'Removed', invert: true };
    expect(await spelt({ type: 'Sequence', pretokenizers: [removed, bytes] })()).toBe('llama-bpe');
    const nested = {
      type: 'Sequence',
      pretokenizers: [{ type: 'Sequence', pretokenizers: [removed] }, bytes],
    };
    expect(await spelt(nested)()).toBe('llama-bpe');
  });
});

describe('refused by name', () => {
  const bytes = { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true };
  it.each<[string, TokenizerFiles, string]>([
    [
      'a cut that llama.cpp does not know',
      files(
        'byte-level',
        (json) =>
          (json.pre_tokenizer = {
            type: 'Sequence',
            pretokenizers: [
              { type: 'Digits', individual_digits: false },
              { ...bytes, add_prefix_space: false },
            ],
          }),
      ),
      'pre_tokenizer',
    ],
    [
      'a space in front of byte-level text',
      files('byte-level', (json) => (json.pre_tokenizer = bytes)),
      'pre_tokenizer',
    ],
    [
      'a merge list that is ignored where llama.cpp heeds it',
      files('byte-level', (json) =>
        Object.assign(json, { pre_tokenizer: { ...bytes, add_prefix_space: false } }),
      ),
      'ignore_merges',
    ],
    [
      'a normaliser',
      files('byte-level', (json) => (json.normalizer = { type: 'Lowercase' })),
      'the normalizer Lowercase',
    ],
    [
      'a normaliser of a SentencePiece vocabulary',
      files('byte-fallback', (json) =>
        (json.normalizer as { normalizers: object[] }).normalizers.push({ type: 'NFKC' }),
      ),
      'the normalizer NFKC',
    ],
    ['a Unigram model', files('unigram'), 'a Unigram model'],
    [
      'no bytes for what is unknown',
      files('byte-fallback', (json) => (json.model.byte_fallback = false)),
      'model.byte_fallback',
    ],
    [
      'merges that no scores give',
      files('byte-fallback', (json) =>
        json.model.merges.splice(
          json.model.merges.findIndex(([a, b]) => a === 'aa' && b === 'aa'),
          1,
        ),
      ),
      '"aaaa"',
    ],
    [
      'other tokens around a text',
      files('byte-level', (json) => {
        const [post] = (json.post_processor as { processors: { single?: object[] }[] }).processors.slice(-1);
        post!.single!.unshift({ SpecialToken: { id: '</s>', type_id: 0 } });
      }),
      'post_processor',
    ],
  ])('%s', async (_, from, says) => {
    await expect(written(from)).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining(says) as string,
    });
  });
});

it('the ends of a text are those of the folder', async () => {
  const from = { ...files('byte-level'), 'generation_config.json': { eos_token_id: [1, 5, 7] } };
  const { metadata, before } = await written(from);
  expect(before.eosIds).toEqual([1, 5, 7]);
  expect((await again(metadata)).eosIds).toEqual([1, 5, 7]);
});

it('ends that the two keys have no room for, and names that llama.cpp takes for ends, are said to be lost', async () => {
  const ends = { ...files('byte-level'), 'generation_config.json': { eos_token_id: [1, 5, 7, 9] } };
  const { metadata, lost, before } = await written(ends);
  const after = await again(metadata);
  expect(after.eosIds).toEqual([1, 5, 7]);
  expect(lost).toEqual([`that ${JSON.stringify(before.tokenOf(9))} ends a text`]);
  const named = await written(
    files('byte-level', (json) => {
      const [[token, id]] = Object.entries(json.model.vocab).slice(-1) as [[string, number]];
      delete json.model.vocab[token];
      json.model.merges = json.model.merges.filter(([a, b]) => ![a, b, a + b].includes(token));
      json.model.vocab['<|im_end|>'] = id;
    }),
  );
  const { eosIds, tokenOf } = await again(named.metadata);
  expect(eosIds.map(tokenOf)).toEqual(['</s>', '<|im_end|>']);
  expect(named.before.eosIds.length).toBe(1);
  expect(named.lost).toEqual(['that "<|im_end|>" ends no text']);
});
