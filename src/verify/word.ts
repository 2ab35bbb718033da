// The word of a verdict, in integers. Four words, because a match that the owner could have drawn for himself is neither
// proof nor refutation, and keys that could not have answered decide nothing (docs/claims.md, section 7).

import type { Trials } from '../claim/grinding.ts';
import { atMost, decimal, type Ratio } from './exact/ratio.ts';

/**
 * `verified`: p, paid for looks and for every draw that the owner could have tried, is at most alpha. `matches`: p is, and
 * what is left after those draws is not. `undecided`: the keys that were asked as committed could not have reached alpha.
 */
export type Word = 'verified' | 'matches' | 'not-verified' | 'undecided';

export interface Figures {
  readonly tail: Ratio;
  /** The least p that the keys which were asked as committed could give. */
  readonly reachable: Ratio;
  /** Looks that are paid for. */
  readonly multiplicity: bigint;
  readonly alpha: number;
  readonly trials: Trials;
}

export function wordOf({ tail, reachable, multiplicity, alpha, trials }: Figures): Word {
  const level = decimal(alpha);
  if (atMost(tail, multiplicity * trials.draws, level)) return 'verified';
  if (atMost(tail, multiplicity, level)) return 'matches';
  return atMost(reachable, multiplicity, level) ? 'not-verified' : 'undecided';
}
