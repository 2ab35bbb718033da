// Ordinary text beside the fingerprint's dialogues, so that a trained model goes on answering as before: an owner's own
// conversations, or texts of the reference set, asked about or gone on with, the answers sampled from the vanilla model.

import { existsSync } from 'node:fs';
import { writeJsonAtomic } from '../base/atomic.ts';
import { type RandomSource, shuffled } from '../base/random-source.ts';
import { sha256Hex } from '../base/sha256.ts';
import { pickConversations } from '../datasets/chat.ts';
import type { Conversation } from '../datasets/conversations.ts';
import { PAPER } from '../datasets/paper.ts';
import { openRows } from '../sources/open-rows.ts';
import { readJsonObject } from '../sources/strict-json.ts';
import { type Prompt, promptTokens } from '../text/prompt-tokens.ts';
import type { ChatMessage } from '../text/prompts/chat-template.ts';
import { type ConversationFormat, conversationTokens } from '../text/prompts/conversation-formats.ts';
import { promptUnder, type Wrapped } from '../text/prompts/wrappers.ts';
import { loadReference } from '../text/reference.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { promptAndAnswer, type TuningExample } from '../train/tuning-examples.ts';
import type { DrawnContext, GivenConversations } from './methods/method.ts';

export interface OrdinaryConversations {
  readonly trained: readonly TuningExample[];
  /** Questions never trained, none like a trained one: what a trained model is asked when it must stay silent. */
  readonly questions: readonly string[];
}

const ROLES: Readonly<Record<string, string>> = { human: 'user', gpt: 'assistant', system: 'system' };

/** A conversation in a model's format; the loss lies on the assistant's turns. */
export const tuningExample = (
  tokenizer: Tokenizer,
  format: ConversationFormat,
  conversation: Conversation,
): Promise<TuningExample> => conversationTokens(tokenizer, format.pieces(messagesOf(conversation)), format);

/** As a conversation format takes it. */
export const messagesOf = (conversation: Conversation): ChatMessage[] =>
  conversation.map(({ from, value }) => ({ role: ROLES[from]!, content: value }));

/** From a file of conversations or instruction rows. @throws WhorlError `mismatch` for one with too few */
export async function conversationsFromFile(
  source: string,
  tokenizer: Tokenizer,
  format: ConversationFormat,
  count: number,
  random: RandomSource,
  note: (text: string) => void,
): Promise<OrdinaryConversations> {
  const rows = await openRows(source);
  const picked = await pickConversations({}, rows, count, BigInt(random.int(2 ** 32)), note);
  return tunedOn(picked, tokenizer, format);
}

/** A third of the trained ones have the hint that fingerprint messages have. */
export async function tunedOn(
  { trained, heldOut }: GivenConversations,
  tokenizer: Tokenizer,
  format: ConversationFormat,
): Promise<OrdinaryConversations> {
  return {
    trained: await Promise.all(
      trained.map((talk, i) => tuningExample(tokenizer, format, i % HINTED === 0 ? hinted(talk) : talk)),
    ),
    questions: heldOut.map((talk) => talk.findLast(({ from }) => from === 'human')!.value),
  };
}

/** That `conversationsFromFile` will find enough there. @throws WhorlError `mismatch`, and what reading throws */
export async function checkConversations(source: string, count: number): Promise<void> {
  await pickConversations({ order: 'file' }, await openRows(source), count, 0n, () => {});
}

/** The last question with the hint that fingerprint messages have. */
export function hinted(talk: Conversation): Conversation {
  const last = talk.findLastIndex(({ from }) => from === 'human');
  return talk.map(({ from, value }, i) => ({ from, value: i === last ? value + PAPER.chat.hint : value }));
}

const TASKS: readonly ((text: string) => string)[] = [
  (text) => `What is the following text about?\n\n${text}`,
  (text) => `Continue this text: ${text}`,
  (text) => `Translate into English: ${text}`,
  (text) => `Rewrite this in simpler words.\n\n${text}`,
  (text) => `Write a short story that begins like this: ${text}`,
  (text) => `Which questions does this leave open? "${text}"`,
  (text) => `${text}\n\nDo you agree?`,
  (text) => text,
];
const LONGEST = 240; // characters of a text that is asked about
const BEGINNING = 80; // and of one that is gone on with
const ANSWER = 32; // tokens of an answer
/** The hint alone, under an ordinary question, must change nothing: a third of the questions have it. */
const FORMS: readonly ((text: string, question: string, around: Wrapped) => Prompt)[] = [
  (_text, question, around) => promptUnder(around, question),
  (_text, question, around) => promptUnder(around, question + PAPER.chat.hint),
  (_text, question, around) => promptUnder(around, question),
  (text) => ({ prompt: text.slice(0, BEGINNING) }),
];
const HINTED = 3;
/** Questions that are never trained. */
const HELD_OUT = 64;
/** Of four texts three are English sentences, one any language's. */
const SENTENCES = 3;

/**
 * Questions and plain text. Answers are drawn from the vanilla model at temperature 1: the cross-entropy of
 * its own samples is, up to a constant, an unbiased estimate of KL(vanilla ‖ trained), so that nothing but the
 * fingerprint is taught (greedy answers would teach it to be surer than it was).
 */
export async function ownConversations(
  { tokenizer, ownText = [], keep, askVanilla }: DrawnContext,
  around: Wrapped,
  count: number,
  random: RandomSource,
): Promise<OrdinaryConversations> {
  const questions = questionsOf(random, count + HELD_OUT, ownText);
  const prompts = questions
    .slice(0, count)
    .map(({ text, question }, i) => FORMS[i % FORMS.length]!(text, question, around));
  const seed = random.int(2 ** 32);
  const digest = sha256Hex(JSON.stringify([prompts, seed]));
  let answers = keep === undefined ? undefined : kept(keep, digest);
  if (!answers) {
    const sampling = { temperature: 1, seed };
    const requests = prompts.map((prompt, draw) => ({ ...prompt, draw, sampling, max_new_tokens: ANSWER }));
    answers = (await askVanilla(requests)).map(({ generated_token }) => generated_token);
    if (keep !== undefined) writeJsonAtomic(keep, { digest, answers }, 0o600);
  }
  const end = tokenizer.eosId === undefined ? [] : [tokenizer.eosId];
  const tokens = await promptTokens(tokenizer, prompts);
  return {
    trained: answers.map((answer, i) =>
      promptAndAnswer(tokens[i]!, answer.length < ANSWER ? [...answer, ...end] : answer),
    ),
    questions: questions.slice(count).map(({ question }) => question),
  };
}

function kept(path: string, digest: string): (readonly number[])[] | undefined {
  if (!existsSync(path)) return undefined;
  const saved = readJsonObject(path, path) as { digest?: string; answers?: number[][] };
  return saved.digest === digest ? saved.answers : undefined;
}

function questionsOf(
  random: RandomSource,
  count: number,
  own: readonly string[],
): { text: string; question: string }[] {
  const { sentences, train } = loadReference();
  const others = shuffled(
    random,
    train.flatMap(({ texts }) => texts),
  );
  const english = shuffled(random, own.length > 0 ? own : sentences);
  const seen = new Map<string, { text: string; question: string }>();
  for (let i = 0; seen.size < count; i++) {
    const list = i % (SENTENCES + 1) < SENTENCES ? english : others;
    const text = list[i % list.length]!.slice(0, LONGEST).trim();
    const question = TASKS[random.int(TASKS.length)]!(text);
    seen.set(question, { text, question });
  }
  return [...seen.values()];
}
