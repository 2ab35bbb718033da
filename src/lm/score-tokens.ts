// Context and continuation as tokens, split as lm-evaluation-harness splits them (`_encode_pair` of its TemplateLM):
// white space that ends a context begins the continuation, because it belongs to the token that follows.

import { WhorlError } from '../base/error.ts';
import { rstrip } from '../base/python-space.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import type { ScoreRequest } from './language-model.ts';

export interface ScoredTokens {
  /** What an encoder-decoder reads; `tokens` are then its decoder's. */
  readonly source?: readonly number[];
  readonly tokens: readonly number[];
  /** Where the continuation's tokens begin; at least 1. */
  readonly from: number;
}

/**
 * One entry a request: its tokens, or what is wrong with it.
 * @param beginning the token that stands before a continuation without a context
 */
export async function scoreTokens(
  tokenizer: Tokenizer,
  requests: readonly ScoreRequest[],
  beginning: readonly [number] | WhorlError,
): Promise<(ScoredTokens | WhorlError)[]> {
  const pairs = requests.map(({ context, continuation }) => {
    const kept = rstrip(context);
    return { context: kept, whole: context + continuation, empty: context === '' };
  });
  const encode = (texts: readonly string[], addSpecialTokens: boolean) =>
    tokenizer.encodeBatch(texts, { addSpecialTokens, continued: true });
  const contexts = await encode(
    pairs.map(({ context }) => context),
    true,
  );
  const wholes = await encode(
    pairs.map(({ whole }) => whole),
    true,
  );
  // Without a context nothing is added: the beginning stands there instead, unless the text begins with it.
  const alone = await encode(
    pairs.map(({ whole, empty }) => (empty ? whole : '')),
    false,
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

const continued = (tokens: readonly number[], from: number): ScoredTokens | WhorlError =>
  from < tokens.length
    ? { tokens, from }
    : new WhorlError('usage', 'the continuation adds no token to its context', 'give a longer continuation');
