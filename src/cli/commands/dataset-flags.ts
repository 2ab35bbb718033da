// What the commands under `whorl dataset` share: how their counts and seeds are read, and where their notes go.

import { InvalidArgumentError, Option } from 'commander';
import { parseSeed } from '../../base/cpython-random.ts';
import type { ProgressEvent } from '../../base/events.ts';
import { ROW_ORDERS, type RowOrder } from '../../sources/rows/shuffle.ts';

/** Whose keys: the owner's own, or the paper's. */
export const keysOption = (): Option =>
  new Option(
    '--keys <kind>',
    "random: the platform's secure generator; paper: the paper's, which everybody holds",
  )
    .choices(['random', 'paper'])
    .default('random');

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

const seedFlag = (text: string): bigint => {
  try {
    return parseSeed(text);
  } catch {
    throw new InvalidArgumentError('It is not a whole number.');
  }
};

/** Help prints a default as JSON, which has no big integers: its words are given. */
export const seedOption = (description: string): Option =>
  new Option('--seed <number>', description).argParser(seedFlag).default(42n, '42');
