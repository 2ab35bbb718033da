// When a time stamp must have come to be worth anything: not before what it stamps, and well before the dice.

import { iso } from './certificates.ts';
import { roundTime } from './drand.ts';
import type { TimeStamp } from './time-stamp.ts';

/** Between a stamp's latest time and a round's: clocks of the authority and of drand's nodes need not agree to the second. */
export const MARGIN = 60_000;
/** What an owner's own clock may be ahead or behind by: claims and certificates say when they were made. */
const CLOCK = 86_400_000;

/** Whether a stamp, at its latest, is earlier than a round with a margin. */
export const isBefore = ({ latest }: Pick<TimeStamp, 'latest'>, round: number): boolean =>
  latest + MARGIN <= roundTime(round);

/** Why a stamp cannot be one of a claim that was made so; undefined where it can. */
export const whyTooOld = ({ latest }: Pick<TimeStamp, 'latest'>, created: string): string | undefined =>
  latest + CLOCK < Date.parse(created)
    ? `the time stamp is of ${iso(latest)}, and the claim says that it was made at ${created}`
    : undefined;

/** Why a stamp proves nothing about dice of a round; undefined where it does. */
export const whyTooLate = (stamp: Pick<TimeStamp, 'latest'>, round: number): string | undefined =>
  isBefore(stamp, round)
    ? undefined
    : `the time stamp is of ${iso(stamp.latest)} at its latest, less than ${MARGIN / 1000} s before round ${round} (${iso(roundTime(round))})`;

/** Why something cannot have been issued at a time that it says itself; undefined where it can. @param parts what it holds, in milliseconds */
export const whyIssuedBefore = (
  created: string,
  parts: readonly (readonly [what: string, time: number])[],
): string | undefined => {
  const later = parts.find(([, time]) => time > Date.parse(created) + CLOCK);
  return later && `it was issued at ${created}, it says, and ${later[0]} is of ${iso(later[1])}`;
};
