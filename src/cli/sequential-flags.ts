// The flags of a test that asks key by key, and the line that a person is shown of how it ended.

import { GOALS } from '../verify/sequential/course.ts';
import type { SequentialOptions } from '../verify/sequential/stopped.ts';
import type { VerifyReport } from '../verify/verify.ts';
import { among, type Given, oneOf, toggle, wholeNumber } from './options.ts';
import { powerText } from './output.ts';

export const SEQUENTIAL = {
  sequential: toggle(
    'ask key by key, in committed order, and no further key once it is decided; another call goes on from what was answered',
  ),
  until: oneOf(
    '<word>',
    GOALS,
    'what to ask on for: verified (p survives the draws that the owner could have tried; default) or matches (p ≤ alpha: enough for the owner, with the fewest keys); goes with --sequential',
  ),
  budget: wholeNumber(
    '<n>',
    1,
    'most keys that this suspect is asked, earlier calls included: undecided where they do not suffice; goes with --sequential',
  ),
};

/** Each of the three means it. */
export function sequentialFrom(flags: Given<typeof SEQUENTIAL>): SequentialOptions | undefined {
  const { sequential = false, ...more } = among(flags, SEQUENTIAL);
  return sequential || Object.keys(more).length > 0 ? more : undefined;
}

export function sequentialLine({
  asked,
  of,
  log10_e,
  reached_alpha_at,
  not_counted,
  looks,
}: NonNullable<VerifyReport['sequential']>): string {
  return [
    `after ${asked} of ${of} keys`,
    `e = ${powerText(log10_e)} at its greatest`,
    ...(reached_alpha_at === null ? [] : [`p ≤ alpha from key ${reached_alpha_at} on`]),
    ...(not_counted > 0 ? [`${not_counted} answers beyond do not count`] : []),
    `look ${looks}`,
  ].join(', ');
}
