import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { tokenizerFilesFromGguf } from '../../src/text/gguf-tokenizer.ts';
import { tokenizerFromFiles } from '../../src/text/tokenizer.ts';

interface Golden {
  metadata: Record<string, unknown>;
  texts: string[];
  ids: Record<string, number[][]>;
}
const golden = JSON.parse(
  readFileSync(new URL('../../goldens/tokenizers/tiny.json', import.meta.url), 'utf8'),
) as Golden;
const withPre = (pre: unknown, more: object = {}) =>
  tokenizerFilesFromGguf({ ...golden.metadata, 'tokenizer.ggml.pre': pre, ...more });

describe('the tokenizer of a GGUF', () => {
  it.each(Object.keys(golden.ids))('gives the ids of Python under the cut %s', async (pre) => {
    const tokenizer = await tokenizerFromFiles(
      withPre(pre, { 'tokenizer.ggml.add_bos_token': false }),
      'tiny.gguf',
    );
    expect(await tokenizer.encodeBatch(golden.texts)).toEqual(golden.ids[pre]);
  });

  it('carries names, template and ends along', async () => {
    const files = withPre('smollm');
    const tokenizer = await tokenizerFromFiles(files, 'tiny.gguf');
    expect(tokenizer.vocab_size).toBe(460);
    expect(tokenizer.bosId).toBe(1);
    expect(tokenizer.padId).toBe(2);
    expect(tokenizer.eosIds).toEqual([2]);
    expect([...tokenizer.specialIds]).toEqual([0, 1, 2]);
    expect([...tokenizer.addedIds]).toEqual([0, 1, 2, 3]);
    expect(tokenizer.idOf('__proto__')).toBe(3);
    expect(tokenizer.spelling).toBe('byte-level');
    expect(tokenizer.chatTemplate).toBe(golden.metadata['tokenizer.chat_template']);
    expect(files['tokenizer_config.json']).toMatchObject({
      bos_token: '<s>',
      eos_token: '</s>',
      unk_token: '<unk>',
    });
  });

  it('ends at every token that a key names, and trains EOS', async () => {
    const files = withPre('smollm', {
      'tokenizer.ggml.eot_token_id': 70,
      'tokenizer.ggml.eom_token_id': 50n,
      'tokenizer.ggml.fim_pad_token_id': 9999, // no such token: left out
    });
    const tokenizer = await tokenizerFromFiles(files, 'x');
    expect(tokenizer.eosIds).toEqual([2, 50, 70]);
    expect(tokenizer.eosId).toBe(2);
    expect(files['generation_config.json']).toMatchObject({ eos_token_id: [2, 70, 50] });
    expect(withPre('smollm')['generation_config.json']).toMatchObject({ eos_token_id: 2 });
  });

  it('ends at tokens of well-known names too, which are control tokens whatever the file says', async () => {
    const renamed = (names: Record<number, string>, more: object = {}) =>
      tokenizerFromFiles(
        withPre('smollm', {
          'tokenizer.ggml.tokens': (golden.metadata['tokenizer.ggml.tokens'] as string[]).map(
            (token, id) => names[id] ?? token,
          ),
          'tokenizer.ggml.merges': [],
          ...more,
        }),
        'x',
      );
    const turns = await renamed({ 458: '<|eot_id|>', 459: '<|eom_id|>' });
    expect(turns.eosIds).toEqual([2, 458, 459]);
    expect(turns.specialIds.has(458)).toBe(true);
    expect(await turns.encode('<|eot_id|>')).toEqual([458]);
    const unnamed = await renamed({ 458: '<|im_end|>' }, { 'tokenizer.ggml.eos_token_id': undefined });
    expect([unnamed.eosId, unnamed.eosIds]).toEqual([2, [2, 458]]); // </s> by its name
    const keyed = await renamed({ 458: '<|eot_id|>' }, { 'tokenizer.ggml.eot_token_id': 9 });
    expect(keyed.eosIds).toEqual([2, 9]); // the key has said which
    const parts = await renamed({ 457: '<|return|>', 458: '<|call|>', 459: '<|end|>' });
    expect(parts.eosIds).toEqual([2, 457, 458]);
  });

  it('decodes what it encodes', async () => {
    const tokenizer = await tokenizerFromFiles(withPre('smollm'), 'tiny.gguf');
    const rows = await tokenizer.encodeBatch(golden.texts);
    expect(await tokenizer.decodeBatch(rows, { skipSpecialTokens: false })).toEqual(golden.texts);
    expect(await tokenizer.decode([1, ...rows[0]!], { skipSpecialTokens: true })).toBe(golden.texts[0]);
  });

  it('puts BOS in front when the file asks for it', async () => {
    const tokenizer = await tokenizerFromFiles(
      withPre('smollm', { 'tokenizer.ggml.add_bos_token': true }),
      'x',
    );
    const bare = await tokenizer.encode('hello', { addSpecialTokens: false });
    expect(await tokenizer.encode('hello')).toEqual([1, ...bare]);
  });

  it.each([
    ['unsupported', 'tokenizer.ggml.pre "falcon"', { 'tokenizer.ggml.pre': 'falcon' }],
    ['unsupported', 'tokenizer.ggml.pre undefined', { 'tokenizer.ggml.pre': undefined }],
    ['unsupported', 'tokenizer.ggml.model "rwkv"', { 'tokenizer.ggml.model': 'rwkv' }],
    ['bad-file', 'tokenizer.ggml.tokens is missing', { 'tokenizer.ggml.tokens': undefined }],
    ['bad-file', 'token_type has 1 entries for 460', { 'tokenizer.ggml.token_type': [1] }],
    ['bad-file', 'eos_token_id is 9999', { 'tokenizer.ggml.eos_token_id': 9999 }],
    ['bad-file', 'merges[0]', { 'tokenizer.ggml.merges': ['ab'] }],
  ])('refuses with %s: %s', (code, message, more) => {
    expect(() => withPre('smollm', more)).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(message) as string }),
    );
  });
});
