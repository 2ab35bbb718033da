// What the commands under `whorl dataset` share: how their counts and seeds are read, and where their notes go.

import { InvalidArgumentError } from 'commander';
import { parseSeed } from '../../base/cpython-random.ts';
import type { ProgressEvent } from '../../base/events.ts';
import { parseColumnMap } from '../../datasets/instruction-rows.ts';
import { readPhrases } from '../../datasets/paper-keys.ts';
import { ROW_ORDERS, type RowOrder } from '../../sources/rows/shuffle.ts';
import { byDefault, type Declared, made, oneOf, text } from '../options.ts';

/** What both sets for fingerprinting take. */
export const PAPER_SET = {
  /** Whose keys: the owner's own, or the paper's. */
  keys: byDefault(
    oneOf(
      '<kind>',
      ['random', 'paper'],
      "random: the platform's secure generator; paper: the paper's, which everybody holds",
    ),
    'random',
  ),
  decryption: text('<text>', "what keys are answered with (default: the paper's)"),
  phrases: made(
    {
      words: "phrases keys are joined from, one a line or a JSON list (default: the paper's 31)",
      value: '<files...>',
      always: false,
    } as Declared<string[], false>,
    readPhrases,
  ),
};

export const columnsOption = (words: string): Declared<ReturnType<typeof parseColumnMap>, false> =>
  made(text('<map>', words), parseColumnMap);

/** Notes go to people; the phases of so short a command do not. */
export function tellNotes(event: ProgressEvent): void {
  if (event.kind === 'note') console.error(event.text);
}

export const orderOption = (order: RowOrder): Declared<RowOrder, true> =>
  byDefault(
    oneOf(
      '<kind>',
      ROW_ORDERS,
      "stream: as the paper's `datasets` shuffles a stream; stream5: as version 5 does; whole: as it shuffles a whole set; file: not at all",
    ),
    order,
  );

export const countOption = (words: string): Declared<number, false> => ({
  words,
  value: '<number>',
  always: false,
  read(written) {
    if (!/^\d{1,9}$/.test(written)) throw new InvalidArgumentError('It is not a whole number.');
    return Number(written);
  },
});

const readSeed = (written: string): bigint => {
  try {
    return parseSeed(written);
  } catch {
    throw new InvalidArgumentError('It is not a whole number.');
  }
};

/** Help prints a default as JSON, which has no big integers: its words are given. */
export const seedOption = (words: string): Declared<bigint, true> =>
  byDefault({ words, value: '<number>', always: false, read: readSeed }, 42n, '42');
