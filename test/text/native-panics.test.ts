// tokenizer.json files that would end the process in the native library, found by bench/fuzz: each is refused by name first.

import { expect, test } from 'vitest';
import { checkTokenizerJson } from '../../src/text/tokenizer-json.ts';

const bpe = (more: object = {}) => ({
  type: 'BPE',
  vocab: { a: 0, '##b': 1, ab: 2 },
  merges: [['a', '##b']],
  ...more,
});
const refusal = (json: object): string => {
  try {
    checkTokenizerJson(json, 'tokenizer.json');
    return '';
  } catch (error) {
    return (error as Error).message;
  }
};

const bos = { SpecialToken: { id: '<s>', type_id: 0 } };
const text = { Sequence: { id: 'A', type_id: 0 } };
const special_tokens = { '<s>': { id: '<s>', ids: [0], tokens: ['<s>'] } };
const template = (single: unknown[], pair: unknown[], tokens: unknown) => ({
  type: 'TemplateProcessing',
  single,
  pair,
  special_tokens: tokens,
});

test.each([
  template([bos, text], [text], {}),
  template([text], [text, bos], { '</s>': {} }),
  template([bos], [], null),
  template([{ SpecialToken: { id: 'toString', type_id: 0 } }], [], {}),
])('a template that names a token it has not: %#', (processor) => {
  for (const post_processor of [processor, { type: 'Sequence', processors: [processor] }])
    expect(refusal({ model: bpe(), post_processor })).toMatch(/special_tokens has no "(<s>|toString)"/);
});

test('one that has them all is taken', () => {
  expect(
    refusal({ model: bpe(), post_processor: template([bos, text], [bos, text, text], special_tokens) }),
  ).toBe('');
});

test.each([
  ['###', [['a', '##b']]],
  ['a'.repeat(5000), ['a ##b']],
  ['##', [['a', 'b']]],
  ['##', ['ab']],
  ['##', [null]],
])('a prefix that a merge does not go on with: %#', (continuing_subword_prefix, merges) => {
  expect(refusal({ model: bpe({ continuing_subword_prefix, merges }) })).toMatch(
    /^tokenizer.json: model.merges\[0\]/,
  );
});

test('merges that go on with it, and no prefix, are taken', () => {
  for (const continuing_subword_prefix of ['##', '', null])
    expect(refusal({ model: bpe({ continuing_subword_prefix }) })).toBe('');
});
