// What differs between two models, as a table: one line a language.

import type { Difference } from '../lm/compare-models.ts';
import { countText, paint, print, shownText, table } from './output.ts';

const nats = (value: number): string => (value === 0 ? '0' : value.toExponential(1));

export function showDifferences(
  differences: readonly Difference[],
  [before, after]: readonly [string, string] = ['perplexity', 'after'],
): void {
  const rows = differences.map((each) => [
    shownText(each.name, 24),
    countText(each.positions),
    nats(each.mean),
    nats(each.largest),
    each.before.toFixed(2),
    each.after.toFixed(2),
    nats(each.shift),
    `${(100 * each.changed).toFixed(2)} %`,
  ]);
  const head = ['', 'positions', 'mean KL', 'largest', before, after, 'log-likelihood', 'greedy changed'];
  const [first, ...body] = table([head, ...rows]);
  print(paint.dim(first!));
  for (const line of body) print(line);
}
