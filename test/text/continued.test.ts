// What is continued does not end in the EOS that a post-processor appends; an EOS of the user's stays.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { promptTokens } from '../../src/text/prompt-tokens.ts';
import { openTokenizer, tokenizerFromFiles } from '../../src/text/tokenizer.ts';

const kinds = new URL('../../goldens/tokenizers/kinds/', import.meta.url).pathname;

it.each([
  ['byte-level', 1, 1], // a sequence of post-processors, BOS and EOS
  ['unigram', 78, 2], // EOS alone; this vocabulary holds it twice, and the post-processor appends the other
])('%s', async (kind, eos, added) => {
  const tokenizer = await openTokenizer(join(kinds, kind));
  expect(tokenizer.eosId).toBe(eos);
  const texts = ['hello', 'hello</s>', '', '</s>'];
  const whole = await tokenizer.encodeBatch(texts);
  const open = await tokenizer.encodeBatch(texts, { continued: true });
  expect(whole.map((row) => row.at(-1))).toEqual(texts.map(() => added));
  expect(open).toEqual(whole.map((row) => row.slice(0, -1)));
  expect(open[1]!.at(-1)).toBe(eos);
  expect(await tokenizer.encode('hello', { continued: true })).toEqual(open[0]);
  const asked = await promptTokens(tokenizer, [
    { prompt: 'hello' },
    { prompt: 'hello', add_special_tokens: false },
    { prompt: 'hello</s>' },
  ]);
  const bare = await tokenizer.encodeBatch(['hello'], { addSpecialTokens: false });
  expect(asked).toEqual([open[0], bare[0], open[1]]);
});

describe('post-processors', () => {
  const json = JSON.parse(readFileSync(join(kinds, 'unigram', 'tokenizer.json'), 'utf8')) as object;
  const with_ = (post_processor: object) =>
    tokenizerFromFiles(
      {
        'tokenizer.json': { ...json, post_processor },
        'tokenizer_config.json': { eos_token: '</s>', bos_token: '<s>' },
      },
      'x',
    );
  const special = (id: string) => ({ SpecialToken: { id, type_id: 0 } });
  const ids = (id: string, ...own: number[]) => [id, { id, ids: own, tokens: own.map(() => id) }] as const;
  const text = { Sequence: { id: 'A', type_id: 0 } };
  it.each([
    [
      'a Roberta one',
      {
        type: 'RobertaProcessing',
        sep: ['</s>', 2],
        cls: ['<s>', 1],
        trim_offsets: true,
        add_prefix_space: false,
      },
      [1],
      [],
    ],
    [
      'EOS twice',
      {
        type: 'TemplateProcessing',
        single: [text, special('</s>'), special('</s>')],
        pair: [text, { Sequence: { id: 'B', type_id: 1 } }],
        special_tokens: Object.fromEntries([ids('</s>', 2)]),
      },
      [],
      [],
    ],
    [
      'another token before EOS',
      {
        type: 'TemplateProcessing',
        single: [special('</s>'), text, special('<s>'), special('</s>')],
        pair: [text, { Sequence: { id: 'B', type_id: 1 } }],
        special_tokens: Object.fromEntries([ids('</s>', 2), ids('<s>', 1)]),
      },
      [2],
      [1],
    ],
  ])('%s', async (_name, post_processor, before, after) => {
    const tokenizer = await with_(post_processor);
    const bare = await tokenizer.encode('the house', { addSpecialTokens: false });
    expect(await tokenizer.encode('the house', { continued: true })).toEqual([...before, ...bare, ...after]);
  });
});

it('the EOS that is trained is the tokenizer’s own; all of them end a text', async () => {
  const json = JSON.parse(readFileSync(join(kinds, 'byte-level', 'tokenizer.json'), 'utf8')) as object;
  const of = (files: Record<string, object>) => tokenizerFromFiles({ 'tokenizer.json': json, ...files }, 'x');
  const several = {
    'config.json': { eos_token_id: [5, 1, 9] },
    'generation_config.json': { eos_token_id: [0, 7] },
  };
  const named = await of({ ...several, 'tokenizer_config.json': { eos_token: '</s>' } });
  expect([named.eosId, named.eosIds]).toEqual([1, [0, 1, 5, 7, 9]]);
  const unnamed = await of(several);
  expect([unnamed.eosId, unnamed.eosIds]).toEqual([5, [0, 1, 5, 7, 9]]);
  expect((await of({ 'config.json': { eos_token_id: null } })).eosId).toBeUndefined();
});
