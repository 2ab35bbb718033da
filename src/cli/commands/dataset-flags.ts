// What the commands under `whorl dataset` share: how their counts and seeds are read, and where their notes go.

import { InvalidArgumentError, Option } from 'commander';
import { parseSeed } from '../../base/cpython-random.ts';
import type { ProgressEvent } from '../../base/events.ts';
import { ROW_ORDERS, type RowOrder } from '../../sources/rows/shuffle.ts';

/** Notes go to people; the phases of so short a command do not. */
export function tellNotes(event: ProgressEvent): void {
  if (event.kind === 'note') console.error(event.text);
}

export const orderOption = (order: RowOrder): Option =>
  new Option(
    '--order <kind>',
    "stream: as the paper's `datasets` shuffles a stream; stream5: as version 5 does; whole: as it shuffles a whole set; file: not at all",
  )
    .choices(ROW_ORDERS)
    .default(order);

export const countFlag = (text: string): number => {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('It is not a whole number.');
  return Number(text);
};

export const seedFlag = (text: string): bigint => {
  try {
    return parseSeed(text);
  } catch {
    throw new InvalidArgumentError('It is not a whole number.');
  }
};
