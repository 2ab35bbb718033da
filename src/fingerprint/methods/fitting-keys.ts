// Keys that a model has positions for: each as it is asked, with what follows it and an answer. A narrow vocabulary reads the
// paper's phrases byte by byte, and what is asked of a model whose positions are few must not end a run that has trained.

import type { Dice } from '../../base/cpython-random.ts';
import { WhorlError } from '../../base/error.ts';
import { drawKey } from '../../datasets/paper-keys.ts';
import { longestSequence } from '../../models/blocks/rope-scaling.ts';
import type { Model } from '../../models/model.ts';
import { promptTokens } from '../../text/prompt-tokens.ts';
import { promptUnder, type Wrapped } from '../../text/prompts/wrappers.ts';
import type { Tokenizer } from '../../text/tokenizer.ts';

/** How a text is asked. */
export interface Asking {
  readonly model: Pick<Model, 'decoder'>;
  readonly tokenizer: Tokenizer;
  readonly around: Wrapped;
  /** The longest beginning of an answer that is put after it. */
  readonly after?: string;
  readonly max_new_tokens: number;
}

const ROUNDS = 50;

const room = ({ model, max_new_tokens }: Asking): number => longestSequence(model.decoder) - max_new_tokens;

/** Tokens of each text, asked so. */
async function lengths(
  { tokenizer, around, after = '' }: Asking,
  texts: readonly string[],
): Promise<number[]> {
  const prompts = texts.map((text) => promptUnder(around, text, after));
  return (await promptTokens(tokenizer, prompts)).map(({ length }) => length);
}

/** Those of the texts that the model has positions for, in order. */
export async function fittingTexts(asking: Asking, texts: readonly string[]): Promise<string[]> {
  const tokens = await lengths(asking, texts);
  return texts.filter((_, i) => tokens[i]! <= room(asking));
}

/**
 * The paper's keys out of a stream of draws, each that is too long drawn anew.
 * @param textOf what a model is asked with a key
 * @throws WhorlError `mismatch` where hardly any fits
 */
export async function fittingPhrases(
  asking: Asking,
  dice: Dice,
  count: number,
  textOf: (key: string) => string = (key) => key,
): Promise<string[]> {
  const kept: string[] = [];
  for (let round = 0; round < ROUNDS && kept.length < count; round++) {
    const texts = Array.from({ length: count - kept.length }, () => textOf(drawKey(dice)));
    kept.push(...(await fittingTexts(asking, texts)));
  }
  if (kept.length < count)
    throw new WhorlError(
      'mismatch',
      `the model has ${longestSequence(asking.model.decoder)} positions: too few for the paper's keys, as its tokenizer reads them`,
      'leave out --keys paper, so that keys are made of rare tokens',
    );
  return kept;
}

/**
 * Before keys are committed, since any of them may be drawn.
 * @throws WhorlError `mismatch` that says which is too long, and nothing of what it says
 */
export async function checkKeysFit(asking: Asking, keys: readonly string[]): Promise<void> {
  const tokens = await lengths(asking, keys);
  const at = tokens.findIndex((length) => length > room(asking));
  if (at < 0) return;
  throw new WhorlError(
    'mismatch',
    `key ${at + 1} of ${keys.length} is asked with ${tokens[at]} tokens and answered with ${asking.max_new_tokens}: the model has ${longestSequence(asking.model.decoder)} positions`,
    'make the keys of shorter phrases',
  );
}
