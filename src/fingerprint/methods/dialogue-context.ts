// What the dialogue methods see after the draw, beside the roles: ordinary conversations, an owner's own or the vanilla
// model's.

import { PAPER } from '../../datasets/paper.ts';
import { conversationFormat } from '../../text/prompts/conversation-formats.ts';
import { templateOf, type Wrapped, wrapperNamed } from '../../text/prompts/wrappers.ts';
import type { FreeRow } from '../free-rows.ts';
import {
  conversationsFromFile,
  type OrdinaryConversations,
  ownConversations,
  tunedOn,
} from '../ordinary-conversations.ts';
import { fittingTexts } from './fitting-keys.ts';
import type { DrawnContext, PlanContext } from './method.ts';

export interface DialogueContext
  extends Pick<DrawnContext, 'model' | 'tokenizer' | 'plan' | 'roles' | 'random'> {
  readonly ordinary: OrdinaryConversations;
  readonly free: readonly FreeRow[];
  readonly keys: PlanContext['keys'];
}

/** @param count ordinary conversations that are trained */
export async function dialogueContext(drawn: DrawnContext, count: number): Promise<DialogueContext> {
  const { model, tokenizer, plan, roles, free, keys, random, source, conversations, onEvent } = drawn;
  onEvent({
    kind: 'phase',
    name: 'conversations',
    detail: conversations ? 'given' : (source ?? "the reference set's"),
  });
  const dice = random('conversations');
  const note = (text: string) => onEvent({ kind: 'note', text });
  const format = conversationFormat(plan.query.wrapper, tokenizer);
  const around = wrapperNamed(plan.query.wrapper, templateOf(tokenizer));
  const { trained, questions } =
    conversations !== undefined
      ? await tunedOn(conversations, tokenizer, format)
      : source === undefined
        ? await ownConversations(drawn, around, count, dice)
        : await conversationsFromFile(source, tokenizer, format, count, dice, note);
  const ordinary = { trained, questions: await fitting(drawn, around, questions) };
  return { model, tokenizer, plan, roles, random, ordinary, free, keys };
}

/** Questions that the model has positions for, with the hint before and an answer after them: an owner's may be of any length. */
async function fitting(
  { model, tokenizer, plan }: DrawnContext,
  { suffix, ...around }: Wrapped,
  questions: readonly string[],
): Promise<string[]> {
  const { max_new_tokens } = plan.decoding;
  const asking = {
    model,
    tokenizer,
    around: { ...around, suffix: PAPER.chat.hint + suffix },
    max_new_tokens,
  };
  return fittingTexts(asking, questions);
}
