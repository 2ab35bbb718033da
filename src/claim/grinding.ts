// What an owner could have tried alone: with dice of his own he may draw again and again until the draw suits him; where his claim
// lets him look or decide in several ways, he may take the one that does.

import { type Claim, hasStamp } from './claim.ts';
import type { ClaimPlan } from './plan.ts';

/** What a word pays for: how often the draw could have been made until it suited (docs/claims.md, section 5). */
export interface Trials {
  readonly draws: bigint;
  readonly log10: number;
  readonly words: string;
}

/** The same number as the power of two that a certificate states. */
export const drawsLog2 = (log10: number): number => Math.round(log10 / Math.log10(2));

const trials = (bits: number, words: string): Trials => ({
  draws: 2n ** BigInt(bits),
  log10: bits * Math.log10(2),
  words,
});

/** Dice of his own, or dice that nobody proved to be later than the commitment. */
export const OWNER_DRAWS = trials(80, "2^80 draws of the owner's own");
/** A checked round after a checked time proof: each draw costs a commitment with a time stamp of its own. */
export const PROVED_DRAWS = trials(40, '2^40 commitments, each with a time stamp of its own');

/** By a claim that has keys and a stamp: by its keys alone, as behind a server, or by both. */
const WAYS_TO_DECIDE = 2;
/** By a claim with a private part: the suspect's rows in its own body, or on the owner's vanilla model. */
const WAYS_TO_STAND = 2;

/** What whatever decides pays for: looks that the claim commits to, ways to decide, machines that could have answered. @param told tests told beside it, `keys` of the claim */
export const looksOf = (claim: Claim, { most_looks = 1 }: ClaimPlan, told: number, keys: number): number =>
  told *
  most_looks *
  (keys > 0 && hasStamp(claim) ? WAYS_TO_DECIDE : 1) *
  (keys > 0 && claim.private_part !== 'none' ? WAYS_TO_STAND : 1);
