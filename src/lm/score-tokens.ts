// Context and continuation as tokens, split as lm-evaluation-harness splits them (`_encode_pair` of its TemplateLM):
// white space that ends a context begins the continuation, because it belongs to the token that follows.

import { WhorlError } from '../base/error.ts';
import { rstrip } from '../base/python-space.ts';
import { promptTokens } from '../text/prompt-tokens.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import type { ScoreRequest } from './language-model.ts';

export interface ScoredTokens {
  /** What an encoder-decoder reads; `tokens` are then its decoder's. */
  readonly source?: readonly number[];
  readonly tokens: readonly number[];
  /** Where the continuation's tokens begin; at least 1. */
  readonly from: number;
}

/** How an evaluation wants its rows scored, beyond what is asked about each. */
export interface ScoringRules {
  /** Whether a text gets the special tokens that its tokenizer adds by default; default: yes. */
  readonly specialTokens?: boolean;
  /** What stands before a continuation without a context: BOS where there is one (default), or EOS first. */
  readonly beginning?: 'bos' | 'eos';
  /** Whether the beginning of a row that is longer than the model's positions is cut off; default: no. */
  readonly cutsLeft?: boolean;
}

/**
 * One entry a request: its tokens, or what is wrong with it.
 * @param beginning the token that stands before a continuation without a context
 * @param specialTokens whether the tokenizer adds those it adds by default
 */
export async function scoreTokens(
  tokenizer: Tokenizer,
  requests: readonly ScoreRequest[],
  beginning: readonly [number] | WhorlError,
  specialTokens = true,
): Promise<(ScoredTokens | WhorlError)[]> {
  const pairs = requests.map(({ context, continuation }) => {
    const kept = rstrip(context);
    return { context: kept, whole: context + continuation, empty: context === '' };
  });
  // A text that begins with BOS, as a rendered chat template may, gets no second one.
  const { bos_token: bos = '' } = tokenizer.specialTokens;
  const added = pairs.map(({ whole }) => specialTokens && !(bos !== '' && whole.startsWith(bos)));
  const tokensOf = (texts: readonly string[]) =>
    promptTokens(
      tokenizer,
      texts.map((prompt, i) => ({ prompt, add_special_tokens: added[i]! })),
    );
  const contexts = await tokensOf(pairs.map(({ context }) => context));
  const wholes = await tokensOf(pairs.map(({ whole }) => whole));
  // Without a context nothing is added: the beginning stands there instead, unless the text begins with it.
  const alone = await tokenizer.encodeBatch(
    pairs.map(({ whole, empty }) => (empty ? whole : '')),
    { addSpecialTokens: false, continued: true },
  );
  return pairs.map(({ empty }, i) => {
    const start = contexts[i]!.length;
    const own = empty ? alone[i]! : wholes[i]!;
    if (!empty && start > 0) return continued(own, start);
    if (beginning instanceof WhorlError) return beginning;
    return continued(own[0] === beginning[0] ? own : [...beginning, ...own], 1);
  });
}

/**
 * The same for an encoder-decoder, as lm-evaluation-harness has it: the context, ended as the tokenizer ends a text, is
 * the source; the continuation's tokens alone follow the decoder's `start`.
 * @param beginning stands for a context that is empty, and is then no token of the continuation
 */
export async function scoreSources(
  tokenizer: Tokenizer,
  requests: readonly ScoreRequest[],
  beginning: readonly [number] | WhorlError,
  start: number,
): Promise<(ScoredTokens | WhorlError)[]> {
  const kept = requests.map(({ context }) => rstrip(context));
  const sources = await tokenizer.encodeBatch(kept);
  const answers = await tokenizer.encodeBatch(
    requests.map(({ context, continuation }, i) => context.slice(kept[i]!.length) + continuation),
    { addSpecialTokens: false },
  );
  return requests.map(({ context }, i) => {
    const answer = answers[i]!;
    if (context === '' && beginning instanceof WhorlError) return beginning;
    const source = context === '' ? (beginning as readonly [number]) : sources[i]!;
    const rest = context === '' && answer[0] === source[0] ? answer.slice(1) : answer;
    const scored = continued([start, ...rest], 1);
    return scored instanceof WhorlError ? scored : { source, ...scored };
  });
}

/** The last tokens that a model of `longest` positions sees: its inputs, and the label of the last one. */
export function cutLeft({ tokens, from }: ScoredTokens, longest: number): ScoredTokens | WhorlError {
  const cut = Math.max(0, tokens.length - longest - 1);
  return from - cut >= 1
    ? { tokens: tokens.slice(cut), from: from - cut }
    : new WhorlError(
        'usage',
        `a continuation of ${tokens.length - from} tokens exceeds the model's ${longest} positions`,
        'give a shorter continuation',
      );
}

const continued = (tokens: readonly number[], from: number): ScoredTokens | WhorlError =>
  from < tokens.length
    ? { tokens, from }
    : new WhorlError('usage', 'the continuation adds no token to its context', 'give a longer continuation');
