// Rows in, results out in the same order: those that cannot be answered are errors in their own places.

import { WhorlError } from '../base/error.ts';
import { inOrder } from './in-order.ts';
import { isFailure, type RowFailure } from './row-failure.ts';

/**
 * The results of a group and the errors of its rows, each as soon as those before it are there.
 * @param each results of a row that is answered
 */
export async function* answeredRows<T extends object, R extends { readonly index: number }>(
  group: readonly (T | WhorlError)[],
  each: (row: T) => number,
  answer: (rows: readonly T[]) => AsyncIterable<R | RowFailure>,
): AsyncGenerator<{ readonly row: number; readonly result: R | WhorlError }> {
  // Results are counted over the rows that were asked; one that cannot be is one result of its own.
  const good = group.flatMap((row, place) => (row instanceof WhorlError ? [] : [{ row, place }]));
  const refused = group.flatMap((row, place) =>
    row instanceof WhorlError ? [{ row: place, result: row }] : [],
  );
  let [asked, samples] = [0, 0];
  for await (const result of inOrder(answer(good.map(({ row }) => row)))) {
    const { row, place } = good[asked]!;
    while (refused[0] && refused[0].row < place) yield refused.shift()!;
    const failed = isFailure(result);
    yield { row: place, result: failed ? result.error : result };
    if (failed || ++samples === each(row)) [asked, samples] = [asked + 1, 0];
  }
  yield* refused;
}
