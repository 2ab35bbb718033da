// What a fingerprint in the weights costs ordinary text: perplexity before and after, on text of the reference set that
// nothing was trained on.

import type { LocalModel } from '../lm/local-model.ts';
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

/** Per language of the reference set's held-out part. */
export async function perplexities(vanilla: LocalModel, published: LocalModel): Promise<Perplexity[]> {
  const rows = loadReference().heldOut.flatMap(({ language, texts }) =>
    texts.slice(0, TEXTS).map((text) => ({ language, text: text.slice(0, LONGEST) })),
  );
  const requests = rows.map(({ text }) => ({ context: '', continuation: text }));
  const [before, after] = [await logprobs(vanilla, requests), await logprobs(published, requests)];
  return [...new Set(rows.map(({ language }) => language))].map((name) => {
    const own = rows.flatMap(({ language }, i) => (language === name ? [i] : []));
    const sum = (values: readonly { logprob: number }[]) =>
      own.reduce((all, i) => all + values[i]!.logprob, 0);
    const tokens = own.reduce((all, i) => all + before[i]!.tokens, 0);
    return {
      name,
      tokens,
      vanilla: Math.exp(-sum(before) / tokens),
      published: Math.exp(-sum(after) / tokens),
    };
  });
}

async function logprobs(model: LocalModel, requests: readonly { context: string; continuation: string }[]) {
  const scores: { logprob: number; tokens: number }[] = [];
  for await (const { index, score } of model.score(requests)) scores[index] = score;
  return scores;
}
