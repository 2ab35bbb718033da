// What an owner could have tried alone: with dice of his own he may draw again and again until the draw suits him.

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
