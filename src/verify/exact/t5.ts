// T5, decoy secrets: the same answers scored anew under draws of secrets that nobody committed to. Given the answers the true
// draw is one of them like any other, so its place is a p-value, whatever the statistic (docs/claims.md, section 3).

import type { Ratio } from './ratio.ts';

/** How many decoys: no p below one in ten thousand, so T5 gives no evidence that pays for an owner's draws. It checks the others. */
export const DECOYS = 9_999;

export interface Decoys {
  /** Decoys whose statistic is at least the true draw's. */
  readonly reached: number;
  readonly of: number;
}

/** @param reaches whether the statistic of the i-th decoy is at least the true draw's: more is rarer */
export function countDecoys(reaches: (i: number) => boolean, of = DECOYS): Decoys {
  let reached = 0;
  for (let i = 0; i < of; i++) if (reaches(i)) reached++;
  return { reached, of };
}

/** How many numbers a checker draws for a certificate's decoys; T5 of more keys is not stated. */
export const MOST_DECOY_DRAWS = 5e6;

/** (1 + reached) / (1 + decoys): never 0 (Phipson and Smyth, arXiv 1603.05766). */
export const decoyRatio = ({ reached, of }: Decoys): Ratio => ({
  numerator: BigInt(1 + reached),
  denominator: BigInt(1 + of),
});

/** What decoys that are drawn rightly do less often than this is a fault of a formula, or of the draw. */
const LN_NEVER = Math.log(1e-12);

/**
 * Whether decoys reach the true draw's statistic far more often than its p-value allows: then that is too small. Chernoff's
 * bound of P(Binomial(of, p) >= reached); it holds for a p that is larger than the true one as well.
 */
export function contradicts({ reached, of }: Decoys, log10_p: number): boolean {
  const share = reached / of;
  const lnP = log10_p * Math.LN10;
  if (share <= Math.exp(lnP)) return false;
  const rest = share === 1 ? 0 : (1 - share) * (Math.log1p(-share) - Math.log1p(-Math.exp(lnP)));
  return -of * (share * (Math.log(share) - lnP) + rest) < LN_NEVER;
}
