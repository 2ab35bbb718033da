// How a conversation becomes one text, and which parts of it the assistant says: Vicuna v1.1 as FastChat has it (what the
// paper trains on), or the model's own chat template.

import { WhorlError } from '../../base/error.ts';
import { nameHint } from '../../base/near-name.ts';
import type { Tokenizer } from '../tokenizer.ts';
import { type ChatMessage, renderChat } from './chat-template.ts';
import { WRAPPERS } from './wrappers.ts';

/** Pieces of a text in order. `isAnswer`: an assistant's turn with what ends it, on which the loss lies. */
export interface Piece {
  readonly text: string;
  readonly isAnswer: boolean;
}

export interface ConversationFormat {
  /** The wrapper of the same name asks a single question exactly as training has it. */
  readonly name: 'vicuna' | 'chat';
  /** Whether the tokenizer adds BOS, as in a prompt; a model's own template writes it. */
  readonly addSpecialTokens: boolean;
  /** @throws WhorlError `unsupported` where a conversation cannot be laid out so */
  pieces(messages: readonly ChatMessage[]): Piece[];
}

const VICUNA = WRAPPERS.get('vicuna')!.build({})!;
const VICUNA_SYSTEM = VICUNA.prefix.slice(0, -'USER: '.length);

/** FastChat's `vicuna_v1.1`: one system text, `USER: … ASSISTANT: …</s>`, no space before the next turn. */
export const vicuna = (end: string): ConversationFormat => ({
  name: 'vicuna',
  addSpecialTokens: true,
  pieces: (messages) =>
    joined(
      messages.map(({ role, content }, i) => {
        const opening = i === 0 ? VICUNA_SYSTEM : '';
        return role === 'assistant'
          ? { text: ` ${content}${end}`, isAnswer: true }
          : { text: `${opening}USER: ${content}${VICUNA.suffix}`, isAnswer: false };
      }),
    ),
});

/** A model's own template. Each turn must add to the text before it, which a few templates do not. */
export const ownTemplate = (
  template: string,
  names: Readonly<Record<string, string>>,
): ConversationFormat => ({
  name: 'chat',
  addSpecialTokens: false,
  pieces(messages) {
    const pieces: Piece[] = [];
    let text = '';
    messages.forEach(({ role }, i) => {
      if (role !== 'assistant') return;
      for (const [whole, isAnswer] of [
        [renderChat(template, messages.slice(0, i), { addGenerationPrompt: true, names }), false],
        [renderChat(template, messages.slice(0, i + 1), { names }), true],
      ] as const) {
        if (!whole.startsWith(text))
          throw new WhorlError(
            'unsupported',
            'the chat template changes earlier turns when a new one comes',
            'use template=vicuna',
          );
        pieces.push({ text: whole.slice(text.length), isAnswer });
        text = whole;
      }
    });
    return joined(pieces);
  },
});

/** `auto`: the model's own template where it has one. @throws WhorlError `usage` for another name or a missing template */
export function conversationFormat(name: string, tokenizer: Tokenizer): ConversationFormat {
  const { chatTemplate, eosId, specialTokens } = tokenizer;
  const wanted = name === 'auto' ? (chatTemplate === undefined ? 'vicuna' : 'chat') : name;
  if (wanted === 'vicuna') return vicuna(eosId === undefined ? '' : (tokenizer.tokenOf(eosId) ?? ''));
  if (wanted !== 'chat')
    throw new WhorlError(
      'usage',
      `template=${name} is no conversation template`,
      nameHint(name, ['auto', 'chat', 'vicuna']),
    );
  if (chatTemplate === undefined)
    throw new WhorlError('usage', 'template=chat: this model has no chat template', 'use template=vicuna');
  return ownTemplate(chatTemplate, specialTokens);
}

const joined = (pieces: readonly Piece[]): Piece[] => {
  const out: Piece[] = [];
  for (const piece of pieces) {
    const last = out.at(-1);
    if (last && last.isAnswer === piece.isAnswer)
      out[out.length - 1] = { ...last, text: last.text + piece.text };
    else out.push(piece);
  }
  return out.filter(({ text }) => text !== '');
};

/**
 * Tokens of a conversation and the spans [start, end) its answers take, each up to its end-of-turn token. A span begins
 * where the tokens of the text before it end, as they would be given to a model that is to answer.
 */
export async function conversationTokens(
  tokenizer: Tokenizer,
  pieces: readonly Piece[],
  { addSpecialTokens }: Pick<ConversationFormat, 'addSpecialTokens'> = { addSpecialTokens: true },
): Promise<{ tokens: number[]; labels: [number, number][] }> {
  const texts = pieces.map((_, i) =>
    pieces
      .slice(0, i + 1)
      .map(({ text }) => text)
      .join(''),
  );
  const rows = await tokenizer.encodeBatch(texts, { addSpecialTokens, continued: true });
  const tokens = rows.at(-1) ?? [];
  const shared = (row: readonly number[]): number => {
    const at = row.findIndex((id, i) => tokens[i] !== id);
    return at < 0 ? row.length : at;
  };
  const ends = new Set(tokenizer.eosIds);
  const labels = pieces.flatMap(({ isAnswer }, i): [number, number][] => {
    if (!isAnswer) return [];
    const start = Math.max(1, i === 0 ? 0 : shared(rows[i - 1]!));
    const stop = shared(rows[i]!);
    const end = tokens.findIndex((id, at) => at >= start && at < stop && ends.has(id));
    return [[start, end < 0 ? stop : end + 1]];
  });
  return { tokens, labels };
}
