// Log-probabilities of a given text from the completions call: `echo` with `logprobs`, as vLLM and llama.cpp's server give
// them. One token more is asked for: some servers read none as "no limit", and it shows whether the numbers stand beside their tokens.

import { z } from 'zod';
import { WhorlError } from '../../base/error.ts';
import { rstrip } from '../../base/python-space.ts';
import type { Score, ScoreRequest } from '../language-model.ts';

export const scoreBody = ({ context, continuation }: ScoreRequest): object => ({
  prompt: context + continuation,
  max_tokens: 1,
  temperature: 0,
  stream: false,
  echo: true,
  logprobs: 1,
});

const number = z.number();
const echoed = z.object({
  choices: z.tuple([
    z.object({
      logprobs: z.object({
        text_offset: z
          .array(z.int().min(0))
          .min(1)
          .max(2 ** 20),
        token_logprobs: z.array(number.nullable()).max(2 ** 20),
        top_logprobs: z.array(z.record(z.string(), number).nullable()).max(2 ** 20),
      }),
    }),
  ]),
});

/** Rounding of the numbers in JSON. */
const SAME = 1e-6;

const best = (top: Readonly<Record<string, number>> | null | undefined): number =>
  Math.max(...Object.values(top ?? {}));

/** @throws WhorlError `endpoint` for an answer without them, `unsupported` where they are not of the text that was given, token by token */
export function scoreIn(
  { context, continuation }: ScoreRequest,
  answer: Readonly<Record<string, unknown>>,
): Score {
  const read = echoed.safeParse(answer);
  if (!read.success)
    throw new WhorlError(
      'unsupported',
      'the server gives no log-probabilities of a given text',
      'ask it for text only',
    );
  const { text_offset, token_logprobs, top_logprobs } = read.data.choices[0].logprobs;
  // Characters as the servers' Python counts them.
  const to = [...(context + continuation)].length;
  // White space at the end of a context belongs to what follows, as in lm-evaluation-harness.
  const from = [...rstrip(context)].length;
  const places = text_offset.flatMap((at, i) => (at >= from && at < to ? [i] : []));
  if (places.length === 0 || text_offset[places[0]!] !== from)
    throw new WhorlError(
      'unsupported',
      'no token of the server begins where the continuation does',
      'end the context between two words',
    );
  // llama-cpp-python 0.3 gives each token of a model without BOS the logits behind it. The token that was chosen is the most
  // probable one in its place, unless places are shifted.
  const last = text_offset.length - 1;
  const chosen = token_logprobs[last];
  if (text_offset[last]! < to || typeof chosen !== 'number' || chosen < best(top_logprobs[last]) - SAME)
    throw new WhorlError(
      'unsupported',
      'the server puts log-probabilities beside the wrong tokens',
      'ask it for text only',
    );
  const logprobs = places.map((i) => token_logprobs[i]);
  if (logprobs.some((logprob) => typeof logprob !== 'number' || logprob > SAME))
    throw new WhorlError('endpoint', 'log-probabilities that cannot be');
  return {
    logprob: (logprobs as number[]).reduce((a, b) => a + b, 0),
    tokens: places.length,
    greedy: places.every((i, n) => best(top_logprobs[i]) <= (logprobs[n] as number) + SAME),
  };
}
