// A step's batch in parts that fit into memory. Each label carries its share of the whole batch, so the parts' gradients
// add up to the batch's own, whatever the parts.

import { WhorlError } from '../base/error.ts';
import type { Example } from '../models/example.ts';

/**
 * Parts of at most `budget` tokens, in order.
 * @throws WhorlError `usage` when one example alone is longer
 */
export function splitByTokens(batch: readonly Example[], budget: number): Example[][] {
  const parts: Example[][] = [];
  let room = 0;
  for (const example of batch) {
    const length = example.tokens.length + (example.source?.length ?? 0);
    if (length > budget)
      throw new WhorlError(
        'usage',
        `an example of ${length} tokens does not fit into batch_tokens=${budget}`,
        `raise batch_tokens to ${length}, or lower max_length`,
      );
    if (length > room) {
      parts.push([]);
      room = budget;
    }
    parts.at(-1)!.push(example);
    room -= length;
  }
  return parts;
}

/** Parts of `size` examples; the last has what is left. */
export const splitByCount = (batch: readonly Example[], size: number): Example[][] =>
  Array.from({ length: Math.ceil(batch.length / size) }, (_, i) => batch.slice(i * size, (i + 1) * size));

/**
 * How many examples of a batch each of `accumulate` parts has.
 * @throws WhorlError `usage` naming the numbers of parts that divide the batch
 */
export function partSize(batch: number, accumulate: number): number {
  if (Number.isInteger(accumulate) && accumulate > 0 && batch % accumulate === 0) return batch / accumulate;
  const divisors = Array.from({ length: batch }, (_, i) => i + 1).filter((n) => batch % n === 0);
  throw new WhorlError(
    'usage',
    `a batch of ${batch} cannot be split into ${accumulate} equal parts`,
    `accumulate=N with N one of ${divisors.join(', ')}, or another batch`,
  );
}
