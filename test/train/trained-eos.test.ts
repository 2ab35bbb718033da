// Which EOS is taught where a model has several: the tokenizer's own, not the smallest nor the first of a config.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { instructionExamples } from '../../src/finetune/user-finetune.ts';
import { tuningExample } from '../../src/fingerprint/ordinary-conversations.ts';
import { conversationFormat } from '../../src/text/prompts/conversation-formats.ts';
import { loadTemplate } from '../../src/text/prompts/instruction-templates.ts';
import { tokenizerFromFiles } from '../../src/text/tokenizer.ts';

const kind = new URL('../../goldens/tokenizers/kinds/byte-fallback/', import.meta.url).pathname;
const json = JSON.parse(readFileSync(join(kind, 'tokenizer.json'), 'utf8')) as object;
const OWN = 2;
/** The tokenizer names </s>, id 2; the configs list smaller and other ids before it. */
const tokenizer = await tokenizerFromFiles(
  {
    'tokenizer.json': json,
    'tokenizer_config.json': { bos_token: '<s>', eos_token: '</s>' },
    'config.json': { eos_token_id: [1, OWN] },
    'generation_config.json': { eos_token_id: [0, 9, OWN] },
  },
  'x',
);
const labels = ({
  tokens,
  labels: spans,
}: {
  tokens: readonly number[];
  labels: readonly (readonly [number, number])[];
}) => spans.map(([start, end]) => tokens.slice(start, end));

it('all of them end a generation', () => {
  expect(tokenizer.eosIds).toEqual([0, 1, 2, 9]);
});

it('an instruction ends in the own one, once', async () => {
  const rows = ['the house', 'the house</s>', 'the house<s>'].map((output) => ({
    instruction: 'a',
    input: '',
    output,
  }));
  const made = await instructionExamples(tokenizer, loadTemplate('alpaca'), rows);
  const ends = made.map(({ tokens }) => tokens.slice(-2));
  const house = (await tokenizer.encode('the house', { addSpecialTokens: false })).at(-1)!;
  expect(ends).toEqual([
    [house, OWN],
    [house, OWN],
    [1, OWN], // another end of the user's is part of the answer
  ]);
  for (const example of made) expect(labels(example)[0]!.at(-1)).toBe(OWN);
});

it.each(['vicuna', 'chat'])('a turn of a conversation under %s too', async (name) => {
  const chatTemplate =
    "{{ bos_token }}{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}{% if m['role'] == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}";
  const own = { ...tokenizer, chatTemplate };
  const talk = [
    { from: 'human', value: 'a' },
    { from: 'gpt', value: 'the house' },
    { from: 'human', value: 'b' },
    { from: 'gpt', value: 'old' },
  ];
  const example = await tuningExample(own, conversationFormat(name, own), talk);
  expect(labels(example)).toHaveLength(2);
  expect(labels(example).map((span) => span.at(-1))).toEqual([OWN, OWN]);
  expect(example.tokens.filter((id) => id === 1)).toEqual([1]); // one BOS, by whomever
  expect(example.tokens[0]).toBe(1);
});
