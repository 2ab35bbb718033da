// What an owner could have tried alone: with dice of his own he may draw again and again until the draw suits him.

/** log10 of the 2^80 draws that a verdict pays for where nobody else threw the dice (docs/claims.md, section 5). */
export const LOG10_OWNER_DRAWS = 80 * Math.log10(2);
