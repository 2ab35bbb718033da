// What a fingerprint in the weights costs ordinary text: perplexity before and after, on text of the reference set that
// nothing was trained on.

import { scoreAll } from '../lm/ask.ts';
import type { LanguageModel, ScoreRequest } from '../lm/language-model.ts';
import type { Decoder } from '../models/family.ts';
import { loadReference } from '../text/reference.ts';

export interface Perplexity {
  readonly name: string;
  readonly tokens: number;
  /** e to the mean negative log-likelihood of a token, under each model. */
  readonly vanilla: number;
  readonly published: number;
}

const TEXTS = 8; // of each language
const LONGEST = 600; // characters

/** What a model makes of each held-out text. */
export interface HeldOutScore {
  readonly language: string;
  readonly tokens: number;
  readonly logprob: number;
}

/** @param decoder says which part of a text is scored: all of it, or, where an encoder reads the first half, the second */
export async function heldOutScores(
  model: LanguageModel,
  decoder: Pick<Decoder, 'encoder'>,
): Promise<HeldOutScore[]> {
  const rows = loadReference().heldOut.flatMap(({ language, texts }) =>
    texts.slice(0, TEXTS).map((text) => ({ language, text: text.slice(0, LONGEST) })),
  );
  const scores = await scoreAll(
    model,
    rows.map(({ text }) => (decoder.encoder ? inHalves(text) : { context: '', continuation: text })),
  );
  return scores.map(({ tokens, logprob }, i) => ({ language: rows[i]!.language, tokens, logprob }));
}

/**
 * The first half of a text and what follows it, cut before white space where there is any: an encoder-decoder given
 * nothing to read would be measured on what nobody asks of it.
 */
export function inHalves(text: string): ScoreRequest {
  const letters = [...text];
  const half = Math.ceil(letters.length / 2);
  const space = letters.findIndex((letter, i) => i >= half && i < letters.length - 1 && /\s/.test(letter));
  const cut = space < 0 ? half : space;
  return { context: letters.slice(0, cut).join(''), continuation: letters.slice(cut).join('') };
}

/** Per language of the reference set's held-out part. */
export function perplexities(
  vanilla: readonly HeldOutScore[],
  published: readonly HeldOutScore[],
): Perplexity[] {
  return [...new Set(vanilla.map(({ language }) => language))].map((name) => {
    const of = (scores: readonly HeldOutScore[]) => {
      const own = scores.filter(({ language }) => language === name);
      const sum = (part: 'tokens' | 'logprob') => own.reduce((all, score) => all + score[part], 0);
      return { tokens: sum('tokens'), perplexity: Math.exp(-sum('logprob') / sum('tokens')) };
    };
    const [before, after] = [of(vanilla), of(published)];
    return { name, tokens: before.tokens, vanilla: before.perplexity, published: after.perplexity };
  });
}
