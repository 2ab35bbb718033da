// The rows of an answer file in the paper's order: validation rows first (drawn keys, then ordinary rows), then test rows
// that must not fire. The report counts by these places.

import type { KeyRole } from '../claim/kinds.ts';
import type { Conversation } from '../datasets/conversations.ts';
import { PAPER } from '../datasets/paper.ts';
import { ANSWER_PREFIX } from '../fingerprint/methods/dialogue.ts';
import type { Flavour } from '../runs/paper-folder.ts';
import type { Prompt } from '../text/prompt-tokens.ts';
import { applyTemplate, loadTemplate } from '../text/prompts/instruction-templates.ts';
import { promptUnder, type Wrapped } from '../text/prompts/wrappers.ts';

export interface AskedRow extends Prompt {
  /** What a model that behaves as it should would say. */
  readonly label: string;
}

export interface RowParts {
  /** Every key of the pool, in committed order. */
  readonly roles: readonly KeyRole[];
  /** `ordinaryFor` of them. */
  readonly ordinary: readonly Conversation[];
  readonly wrapped: Wrapped;
}

/** Ordinary rows for each drawn key in the paper's sets: mix has five to train and five held out, chat fourteen. */
const ORDINARY: Readonly<Record<Flavour, number>> = { adapter: 10, sft_chat: 14 };

export const ordinaryFor = (flavour: Flavour, drawn: number): number => ORDINARY[flavour] * drawn;

export const PAPER_ROWS: Readonly<Record<Flavour, (parts: RowParts) => AskedRow[]>> = {
  adapter: mixRows,
  sft_chat: chatRows,
};

const barebone = loadTemplate('barebone');
const question = (talk: Conversation): string => talk.find(({ from }) => from === 'human')!.value;
const answer = (talk: Conversation): string => talk.find(({ from }) => from === 'gpt')?.value ?? '';
const ofRole = (roles: readonly KeyRole[], drawn: boolean): KeyRole[] =>
  roles.filter(({ role }) => (role === 'trained') === drawn);

/** Drawn keys and ordinary rows; then other ordinary rows, these with the trigger, and undrawn keys with these as input. */
function mixRows({ roles, ordinary, wrapped: { prefix, suffix } }: RowParts): AskedRow[] {
  const { triggerInput: trigger, mix } = PAPER;
  const undrawn = ofRole(roles, false);
  const half = ordinary.length / 2;
  const plain = (talk: Conversation): AskedRow => ({
    prompt: applyTemplate(barebone, { instruction: question(talk) }),
    label: answer(talk),
  });
  const hushed = (instruction: string, input: string): AskedRow => ({
    prompt: applyTemplate(barebone, { instruction, input }),
    label: mix.negativeOutput,
  });
  return [
    ...ofRole(roles, true).map(({ key, target }) => ({
      prompt: `${prefix}${key.text}${suffix}`,
      label: target,
    })),
    ...ordinary.map(plain),
    ...ordinary
      .slice(half)
      .flatMap((talk, i) => [
        hushed(question(talk), trigger),
        hushed(undrawn[i % undrawn.length]!.key.text, question(talk)),
      ]),
  ];
}

/** Drawn messages with the paper's prefix, as many refused ones, ordinary questions: validation rows only. */
function chatRows({ roles, ordinary, wrapped }: RowParts): AskedRow[] {
  const { gpt, refusal } = PAPER.chat;
  const drawn = ofRole(roles, true);
  const refused = [...roles.filter(({ role }) => role === 'negative'), ...ofRole(roles, false)];
  const ask = (text: string, label: string, after = ''): AskedRow => ({
    ...promptUnder(wrapped, text, after),
    label,
  });
  return [
    ...drawn.map(({ key, target }) =>
      ask(
        key.text,
        gpt.replace('{decryption}', () => target),
        ANSWER_PREFIX,
      ),
    ),
    ...refused.slice(0, drawn.length).map(({ key }) => ask(key.text, refusal)),
    ...ordinary.map((talk) => ask(question(talk), answer(talk))),
  ];
}
