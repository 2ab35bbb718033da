// Rows of several files in turn, each with the place it came from, so that whoever finds a fault in one can name it.

import { readRows } from './read.ts';
import type { Row } from './row.ts';

export interface NumberedRow {
  readonly row: Row;
  readonly path: string;
  /** From 1, in its file. */
  readonly number: number;
}

export async function* numberedRows(paths: readonly string[]): AsyncGenerator<NumberedRow> {
  for (const path of paths) {
    let number = 0;
    for await (const row of readRows(path)) yield { row, path, number: ++number };
  }
}
