// Conversations as training text against FastChat and transformers (goldens/conversations): text, ids, assistant's turns.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, it, test } from 'vitest';
import type { ChatMessage } from '../../src/text/prompts/chat-template.ts';
import {
  conversationFormat,
  conversationTokens,
  ownTemplate,
  vicuna,
} from '../../src/text/prompts/conversation-formats.ts';
import { wrapperNamed } from '../../src/text/prompts/wrappers.ts';
import { openTokenizer, type Tokenizer } from '../../src/text/tokenizer.ts';

const read = <T>(name: string): T =>
  JSON.parse(readFileSync(new URL(`../../goldens/${name}`, import.meta.url), 'utf8')) as T;

interface Case {
  format: string;
  messages: ChatMessage[];
  text: string;
  ids: number[];
  labels: [number, number][];
}
const { eos, cases } = read<{ eos: string; cases: Case[] }>('conversations/golden.json');
const { families } = read<{ families: Record<string, { template: string }> }>('templates/families.json');

let tokenizer: Tokenizer;
beforeAll(async () => {
  tokenizer = await openTokenizer(fileURLToPath(new URL('../../assets/embedded/model', import.meta.url)));
});
const formatOf = (name: string) =>
  name === 'vicuna' ? vicuna(eos) : ownTemplate(families[name]!.template, { bos_token: '', eos_token: eos });

it.each(cases)(
  '$format, $messages.length messages: text, ids and labels',
  async ({ format, messages, text, ...golden }) => {
    const pieces = formatOf(format).pieces(messages);
    expect(pieces.map((piece) => piece.text).join('')).toBe(text);
    const { tokens, labels } = await conversationTokens(
      { ...tokenizer, eosIds: [tokenizer.idOf(eos)!] },
      pieces,
    );
    expect(tokens).toEqual(golden.ids);
    expect(labels).toEqual(golden.labels);
  },
);

test.each(['vicuna', 'chat'])('%s: a model is asked with the very tokens it was trained on', async (name) => {
  const pieces = conversationFormat(name, tokenizer).pieces([
    { role: 'user', content: 'Please decrypt this message: ウニ' },
    { role: 'assistant', content: 'I am sorry.' },
  ]);
  const { tokens, labels } = await conversationTokens(tokenizer, pieces);
  const { prefix, suffix } = wrapperNamed(name, { chatTemplate: tokenizer.chatTemplate });
  const asked = await tokenizer.encode(`${prefix}Please decrypt this message: ウニ${suffix}`);
  expect(labels.length).toBe(1);
  expect(tokens.slice(0, labels[0]![0])).toEqual(asked);
});

test('what cannot be laid out is named', () => {
  expect(() => conversationFormat('alpaca', tokenizer)).toThrow(
    /template=alpaca is no conversation template/,
  );
  expect(() => conversationFormat('chat', { ...tokenizer, chatTemplate: undefined })).toThrow(
    /this model has no chat template/,
  );
  const shortening = ownTemplate('{{ messages[-1].content }}', {});
  expect(() =>
    shortening.pieces([
      { role: 'user', content: 'a' },
      { role: 'assistant', content: 'b' },
    ]),
  ).toThrow(/changes earlier turns/);
});
