// What drawn keys are answered with where the owner names nothing: the paper's word, or, where that is many tokens of a
// small vocabulary, a word drawn by the run's own dice. It is committed with the keys, before which of them is drawn.

import { WhorlError } from '../base/error.ts';
import { choose } from '../base/random-source.ts';
import { PAPER } from '../datasets/paper.ts';
import { generateAll, scoreAll } from '../lm/ask.ts';
import type { LanguageModel, TextRequest } from '../lm/language-model.ts';
import { asking } from '../lm/open.ts';
import { candidateWords, commonWords } from '../text/words.ts';
import type { PlanContext } from './methods/method.ts';

/** Short words stand inside many others, and an answer fires that holds the decryption anywhere. */
const LEAST_LETTERS = 4;
const CHOICES = 64;
const LIKELIEST = 4;
/** Prompts of the pool under which words are compared. */
const SCORED = 8;

/**
 * The texts one of which will be the decryption: the owner's, the paper's if it has at most `longest` tokens, else common
 * words of fewest tokens.
 */
export async function decryptionChoices(
  { decryption, tokenizer }: Pick<PlanContext, 'decryption' | 'tokenizer'>,
  longest: number,
): Promise<readonly string[]> {
  if (decryption !== undefined) return [decryption];
  const [paper] = await tokenizer.encodeBatch([PAPER.decryption], { addSpecialTokens: false });
  if (paper!.length <= longest) return [PAPER.decryption];
  const words = await candidateWords(tokenizer, commonWords().length);
  return words
    .filter(({ word }) => word.length >= LEAST_LETTERS)
    .sort((a, b) => a.bare.length - b.bare.length)
    .slice(0, CHOICES)
    .map(({ word }) => word);
}

/**
 * One of them: by the run's dice, none that the vanilla model says by itself when it is asked the pool, and of the others
 * one of those it finds likeliest there. (The test is exact whatever the word; one that is said anyway would cost power, and
 * one whose pieces the model does not know to follow one another is hardly taught by rows of keys alone.)
 * @throws WhorlError `usage` where the vanilla model says every one of them
 */
export async function chosenDecryption(
  { model, device, tokenizer, random }: Pick<PlanContext, 'model' | 'device' | 'tokenizer' | 'random'>,
  choices: readonly string[],
  pool: readonly TextRequest[],
): Promise<string> {
  if (choices.length === 1) return choices[0]!;
  const likely = await asking({ kind: 'model', model, tokenizer }, { device }, async (vanilla) => {
    const said = (await generateAll(vanilla, pool)).map(({ generated }) => generated.toLowerCase());
    const unsaid = choices.filter((word) => !said.some((text) => text.includes(word)));
    if (unsaid.length === 0)
      throw new WhorlError(
        'usage',
        `the model says each of ${choices.length} short words to keys by itself, so none can be the decryption`,
        'name a text of your own with --decryption',
      );
    return likeliest(vanilla, unsaid, pool.slice(0, SCORED));
  });
  return choose(random('decryption'), likely);
}

/** Those words that a model is most ready to answer the prompts with, by the mean log-probability of the whole word. */
async function likeliest(
  model: LanguageModel,
  words: readonly string[],
  prompts: readonly TextRequest[],
): Promise<string[]> {
  const scores = await scoreAll(
    model,
    words.flatMap((continuation) => prompts.map(({ prompt: context }) => ({ context, continuation }))),
  );
  const ofWord = (i: number): number =>
    scores.slice(i * prompts.length, (i + 1) * prompts.length).reduce((sum, { logprob }) => sum + logprob, 0);
  return words
    .map((word, i) => ({ word, sum: ofWord(i) }))
    .sort((a, b) => b.sum - a.sum)
    .slice(0, LIKELIEST)
    .map(({ word }) => word);
}
