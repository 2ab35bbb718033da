// What T6 ranks: log-probabilities of everything that could have been drawn, behind the keys as they were asked. A function of
// the suspect and of what was committed before the draw; asked after the last answer.

import { WhorlError } from '../base/error.ts';
import type { OnEvent } from '../base/events.ts';
import { CLAIM_KINDS } from '../claim/kinds.ts';
import type { ClaimKind, ClaimPlan } from '../claim/plan.ts';
import { scoreAll } from '../lm/ask.ts';
import type { LanguageModel, Question, ScoreRequest } from '../lm/language-model.ts';
import type { Scores } from './exact/t6.ts';

/** A word with and without the space before it: which of them a model learnt depends on its tokenizer. */
const FORMS = [(word: string) => word, (word: string) => ` ${word}`] as const;

/**
 * What must be scored: each candidate in each form, key by key.
 * @param questions the keys of from..to-1 as they were asked
 * @param fix what to do where these cannot be scored
 * @throws WhorlError `unsupported` for turns, and for texts that hold their special tokens
 */
export function rankRequests(
  plan: ClaimPlan,
  from: number,
  questions: readonly Question[],
  fix = 'name another --wrapper, or leave --ranks out',
): ScoreRequest[] {
  return questions.flatMap((question, i) => {
    if (question.messages || question.add_special_tokens === false)
      throw new WhorlError(
        'unsupported',
        'ranks are scored behind a text, and this wrapper is a chat template',
        fix,
      );
    return candidatesOf(plan, from + i).flatMap((word) =>
      FORMS.map((form) => ({ context: question.prompt, continuation: form(word) })),
    );
  });
}

const candidatesOf = <K extends ClaimKind>(plan: ClaimPlan<K>, i: number): readonly string[] =>
  CLAIM_KINDS[plan.kind as K].candidates(plan, i);

/** How many that will be. */
export const rankCount = (
  plan: ClaimPlan,
  { from, to }: { readonly from: number; readonly to: number },
): number => {
  let count = 0;
  for (let i = from; i < to; i++) count += FORMS.length * candidatesOf(plan, i).length;
  return count;
};

const HARMLESS: ScoreRequest = { context: 'Hello', continuation: ' world' };

/** Scores something harmless: who gives no log-probabilities learns no key by it. @throws WhorlError `unsupported` */
export const checkScores = (model: LanguageModel): Promise<unknown> => scoreAll(model, [HARMLESS]);

/** Of what `rankRequests` made: of a candidate the log-probability of any of its forms. Undefined where nothing is asked for. */
export async function rankScores(
  model: LanguageModel,
  requests: readonly ScoreRequest[],
  keys: number,
  onEvent: OnEvent,
): Promise<Scores | undefined> {
  if (requests.length === 0) return undefined;
  const scores = await scoreAll(model, requests, { name: 'ranking', onEvent });
  const each = requests.length / keys;
  return Array.from({ length: keys }, (_, i) =>
    Array.from({ length: each / FORMS.length }, (_, j) => {
      const at = i * each + j * FORMS.length;
      return logSum(scores.slice(at, at + FORMS.length).map(({ logprob }) => logprob));
    }),
  );
}

function logSum(logs: readonly number[]): number {
  const most = Math.max(...logs);
  return Number.isFinite(most)
    ? most + Math.log(logs.reduce((sum, log) => sum + Math.exp(log - most), 0))
    : most;
}
