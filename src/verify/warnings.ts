// What a verdict says of how the suspect was asked, where that may be why a key did not fire.

import type { QuantisedPrecision } from '../engine/packing.ts';
import type { LaunchOptions } from '../launch/job.ts';
import type { StampReading } from './stamp.ts';

/**
 * In words, for the report; empty where every key is asked as it was committed.
 * @param moved where the suspect's rows were taken at the committed ids, and nothing was there to find them by: keys whose ids mean
 *   something else in its vocabulary
 */
export const keyWarnings = (changed: number, of: number, byIds = 0, moved = 0): string[] => [
  ...(byIds === 0
    ? []
    : [
        `The tokenizer of the model that answers makes other tokens of ${byIds} of ${of} keys than were committed: these were asked by the committed token ids.`,
      ]),
  ...(changed === 0
    ? []
    : [
        `The tokenizer of the model that answers makes other tokens of ${changed} of ${of} keys than were committed: these keys were not asked as they were trained, and that they do not fire says nothing about the weights.`,
      ]),
  // Only committed rows may decide which rows of a suspect are taken: the secret's own record of them is bound by nothing.
  // From half on `placesInVocabulary` looks for another order, too.
  ...(moved > 0 && 2 * moved >= of
    ? [
        'Its vocabulary may be in another order. Rows are then found by what they are beside the committed vanilla model: give it as --body.',
      ]
    : []),
];

/** Of a stamp that was read: what had been done to the matrices, as far as it is seen. */
export const stampWarnings = (read: StampReading | undefined): string[] => {
  if (!read) return [];
  const { rescaled = [], reordered = [], unlike = [], matrices } = read;
  const of = matrices.length;
  return [
    ...(rescaled.length === 0
      ? []
      : [
          `Rows or columns of ${rescaled.length} of ${of} stamped matrices had been multiplied with something, which was undone before they were read.`,
        ]),
    ...(reordered.length === 0
      ? []
      : [
          `Rows or columns of ${reordered.length} of ${of} stamped matrices had been put in another order, which was undone before they were read.`,
        ]),
    ...(unlike.length === 0
      ? []
      : [
          `${unlike.length} of ${of} stamped matrices have little in common with the vanilla ones, number by number: they are another model's, or somebody has turned hidden units, or put those of the whole model or its experts in another order, which the model does not show and a stamp does not survive. That none is found there says nothing.`,
        ]),
  ];
};

export const reorderedWarning = (reordered: boolean): string[] =>
  reordered
    ? [
        'The suspect has its vocabulary in another order: its rows were found by what they are beside those of --body.',
      ]
    : [];

const inLess = (how: string, flag: string): string =>
  `The suspect answered ${how}: it may answer otherwise as it was published. Ask again without ${flag} before this is evidence.`;

export const quantisedWarning = (precision: QuantisedPrecision | undefined): string[] =>
  precision === undefined ? [] : [inLess(`with its linear layers in ${precision}`, '--precision')];

/** Of a job's answers. */
export const dtypeWarning = (dtype: LaunchOptions['dtype']): string[] =>
  dtype === 'float32' ? [] : [inLess(`in ${dtype}`, '--job-dtype')];

/** Answers that this call did not ask for: nothing binds them but files that the caller owns. */
export const keptWarning = (read: number, path: string): string[] =>
  read === 0
    ? []
    : [
        `${read} answers were given in an earlier call and read from ${path}: whoever could write there could write them. Without that file all are asked anew.`,
      ];

export const jobWarning = (launch: LaunchOptions | undefined): string[] =>
  launch
    ? [
        'The answers are those that the files of a job hold: whoever could write there, or where it ran, could write them. Without --launch they are asked here.',
      ]
    : [];

/** Words that go on elsewhere, as a sentence of their own. */
export const asSentence = (words: string): string => `${words.charAt(0).toUpperCase()}${words.slice(1)}.`;
