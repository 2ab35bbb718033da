// A request that cannot be answered: an error in the place of its answer, or the end of the whole call, as the caller
// wants it.

import { WhorlError } from '../base/error.ts';

export interface RowFailure {
  readonly index: number;
  readonly error: WhorlError;
}

export const isFailure = (row: object): row is RowFailure => 'error' in row;

export const failuresOf = <T extends object>(rows: readonly (T | RowFailure)[]): RowFailure[] =>
  rows.filter(isFailure);

export const answerable = <T extends object>(rows: readonly (T | RowFailure)[]): T[] =>
  rows.filter((row): row is T => !isFailure(row));

/**
 * All rows, where none fails.
 * @param what names the failing one by its number, where its message does not say which it is
 */
export function orThrow<T extends object>(rows: readonly (T | RowFailure)[], what?: string): T[] {
  for (const { index, error } of failuresOf(rows))
    throw what === undefined ? error : new WhorlError(error.code, `${what} ${index + 1}: ${error.message}`);
  return answerable(rows);
}
