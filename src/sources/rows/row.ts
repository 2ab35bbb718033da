// One row of a data set, whatever file it came from, and what every reader of rows accepts.

import { WhorlError } from '../../base/error.ts';
import { nameHint } from '../../base/near-name.ts';

/**
 * Column name to value. Strings, numbers, booleans, null, byte arrays (Uint8Array), arrays and plain objects of these;
 * integers beyond 2^53 are bigint. Dates and times from Arrow are numbers in the file's own unit.
 */
export type Row = Record<string, unknown>;

export interface ReadRowsOptions {
  /** Only these columns, where the row has them; a file with a schema that lacks one is refused. */
  columns?: readonly string[];
  /** At most so many rows. */
  limit?: number;
  /** Which split of a `save_to_disk` folder with several; `train` where not given and there. */
  split?: string;
}

/** A row with own keys only: `__proto__` is a name like any other. */
export const rowOf = (entries: Iterable<readonly [string, unknown]>): Row => Object.fromEntries(entries);

export const damaged = (where: string, why: string, cause?: unknown): WhorlError =>
  new WhorlError('bad-file', `${where}: ${why}`, 'the file is truncated or damaged; fetch it again', {
    cause,
  });

/** Throws `unsupported` for a name that two columns have: a row by name would lose one of them. */
export function refuseTwins(names: readonly string[], where: string): void {
  const twin = names.find((name, i) => names.indexOf(name) !== i);
  if (twin !== undefined)
    throw new WhorlError(
      'unsupported',
      `${where} has two columns named ${JSON.stringify(twin)}`,
      'rename or drop one of them where the file is made',
    );
}

/** The wanted columns, or all that are there. Throws `mismatch` for one the file lacks, naming the nearest. */
export function pickColumns(
  name: string,
  present: readonly string[],
  wanted?: readonly string[],
): readonly string[] {
  const missing = wanted?.find((column) => !present.includes(column));
  if (missing === undefined) return wanted ?? present;
  throw new WhorlError(
    'mismatch',
    `${name} has no column ${JSON.stringify(missing)}`,
    nameHint(missing, present, { shown: (column) => JSON.stringify(column) }),
  );
}

/** An integer as a number where no digit is lost, else as it is. */
export const exactInteger = (value: bigint): number | bigint =>
  value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER)
    ? Number(value)
    : value;
