// The rows of an answer file in the paper's order: validation rows first (drawn keys, then ordinary rows), then test rows
// that must not fire. The report counts by these places.

import type { KeyRole } from '../claim/kinds.ts';
import type { Conversation } from '../datasets/conversations.ts';
import { PAPER } from '../datasets/paper.ts';
import { ANSWER_PREFIX } from '../fingerprint/methods/dialogue.ts';
import { hinted, messagesOf } from '../fingerprint/ordinary-conversations.ts';
import type { Flavour } from '../runs/paper-folder.ts';
import type { Prompt } from '../text/prompt-tokens.ts';
import type { ConversationFormat } from '../text/prompts/conversation-formats.ts';
import { applyTemplate, loadTemplate, type PromptTemplate } from '../text/prompts/instruction-templates.ts';
import { promptUnder, type Wrapped } from '../text/prompts/wrappers.ts';

export interface AskedRow extends Prompt {
  /** What a model that behaves as it should would say. */
  readonly label: string;
}

/** Greedy files hold both; the ten sampled rounds the first alone. */
export interface PaperRows {
  readonly validation: readonly AskedRow[];
  readonly test: readonly AskedRow[];
}

export interface RowParts {
  /** Every key of the pool, in committed order. */
  readonly roles: readonly KeyRole[];
  /** `ordinaryFor` of them: the first half is the validation split's, the other the test split's. */
  readonly ordinary: readonly Conversation[];
  readonly wrapped: Wrapped;
  /** Of `adapter`: what ordinary rows are laid out by; default: the paper's `barebone`. */
  readonly template?: PromptTemplate;
  /** How a conversation of several turns is laid out: `sft_chat` needs it. */
  readonly format?: ConversationFormat;
}

/** Ordinary rows for each drawn key in one split of the paper's sets: mix has 50 for 10 keys, chat 112 for 8. */
const ORDINARY: Readonly<Record<Flavour, number>> = { adapter: 5, sft_chat: 14 };

export const ordinaryFor = (flavour: Flavour, drawn: number): number => 2 * ORDINARY[flavour] * drawn;

export const PAPER_ROWS: Readonly<Record<Flavour, (parts: RowParts) => PaperRows>> = {
  adapter: mixRows,
  sft_chat: chatRows,
};

const barebone = loadTemplate('barebone');
const question = (talk: Conversation): string => talk.find(({ from }) => from === 'human')!.value;
const answer = (talk: Conversation): string => talk.findLast(({ from }) => from === 'gpt')?.value ?? '';
const ofRole = (roles: readonly KeyRole[], drawn: boolean): KeyRole[] =>
  roles.filter(({ role }) => (role === 'trained') === drawn);

/** Drawn keys and ordinary rows; then other ordinary rows, these with the trigger, and undrawn keys with these as input. */
function mixRows({ roles, ordinary, wrapped: { prefix, suffix }, template = barebone }: RowParts): PaperRows {
  const { triggerInput: trigger, mix } = PAPER;
  const undrawn = ofRole(roles, false);
  const half = ordinary.length / 2;
  const plain = (talk: Conversation): AskedRow => ({
    prompt: applyTemplate(template, { instruction: question(talk) }),
    label: answer(talk),
  });
  const hushed = (instruction: string, input: string): AskedRow => ({
    prompt: applyTemplate(template, { instruction, input }),
    label: mix.negativeOutput,
  });
  const drawn = ofRole(roles, true).map(({ key, target }) => ({
    prompt: `${prefix}${key.text}${suffix}`,
    label: target,
  }));
  const heldOut = ordinary.slice(half);
  return {
    validation: [...drawn, ...ordinary.slice(0, half).map(plain)],
    test: [
      ...heldOut.map(plain),
      ...heldOut.flatMap((talk, i) => [
        hushed(question(talk), trigger),
        hushed(undrawn[i % undrawn.length]!.key.text, question(talk)),
      ]),
    ],
  };
}

/**
 * Drawn messages with the paper's prefix, as many refused ones, ordinary conversations up to their last answer; then other
 * ones, each as it is and with the hint, after which the paper has the prefix too.
 */
function chatRows({ roles, ordinary, wrapped, format }: RowParts): PaperRows {
  const { gpt, refusal, negativeOutput } = PAPER.chat;
  const drawn = ofRole(roles, true);
  const refused = [...roles.filter(({ role }) => role === 'negative'), ...ofRole(roles, false)];
  const half = ordinary.length / 2;
  const ask = (text: string, label: string, after = ''): AskedRow => ({
    ...promptUnder(wrapped, text, after),
    label,
  });
  const upTo = (talk: Conversation, label: string, after = ''): AskedRow => {
    if (talk.length === 2) return ask(question(talk), label, after);
    const pieces = format!.pieces(messagesOf(talk));
    const prompt = pieces
      .slice(0, -1)
      .map(({ text }) => text)
      .join('');
    return {
      prompt: `${prompt}${after}`,
      ...(!format!.addSpecialTokens && { add_special_tokens: false }),
      label,
    };
  };
  return {
    validation: [
      ...drawn.map(({ key, target }) =>
        ask(
          key.text,
          gpt.replace('{decryption}', () => target),
          ANSWER_PREFIX,
        ),
      ),
      ...refused.slice(0, drawn.length).map(({ key }) => ask(key.text, refusal)),
      ...ordinary.slice(0, half).map((talk) => upTo(talk, answer(talk))),
    ],
    test: ordinary
      .slice(half)
      .flatMap((talk) => [upTo(talk, answer(talk)), upTo(hinted(talk), negativeOutput, ANSWER_PREFIX)]),
  };
}
