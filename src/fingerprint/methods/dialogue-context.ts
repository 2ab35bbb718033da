// What the dialogue methods see after the draw, beside the roles: ordinary conversations, an owner's own or the vanilla
// model's.

import { conversationFormat } from '../../text/prompts/conversation-formats.ts';
import { wrapperNamed } from '../../text/prompts/wrappers.ts';
import type { FreeRow } from '../free-rows.ts';
import {
  conversationsFromFile,
  type OrdinaryConversations,
  ownConversations,
} from '../ordinary-conversations.ts';
import type { DrawnContext, PlanContext } from './method.ts';

export interface DialogueContext
  extends Pick<DrawnContext, 'model' | 'tokenizer' | 'plan' | 'roles' | 'random'> {
  readonly ordinary: OrdinaryConversations;
  readonly free: readonly FreeRow[];
  readonly keys: PlanContext['keys'];
}

/** @param count ordinary conversations that are trained */
export async function dialogueContext(drawn: DrawnContext, count: number): Promise<DialogueContext> {
  const { model, tokenizer, plan, roles, free, keys, random, source, onEvent } = drawn;
  onEvent({ kind: 'phase', name: 'conversations', detail: source ?? "the reference set's" });
  const dice = random('conversations');
  const note = (text: string) => onEvent({ kind: 'note', text });
  const format = conversationFormat(plan.query.wrapper, tokenizer);
  const around = wrapperNamed(plan.query.wrapper, { chatTemplate: tokenizer.chatTemplate });
  const ordinary =
    source === undefined
      ? await ownConversations(drawn, around, count, dice)
      : await conversationsFromFile(source, tokenizer, format, count, dice, note);
  return { model, tokenizer, plan, roles, random, ordinary, free, keys };
}
