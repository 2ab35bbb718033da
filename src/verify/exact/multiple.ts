// Many tests at once: Holm over p-values (no false one among those that are accepted, but for alpha), e-BH over e-values (no more
// than a share alpha of them false). Both hold however the tests depend on each other.

import { CERTAIN, type Ratio } from './ratio.ts';

/** -1, 0, 1 in integers. */
function compare(a: Ratio, b: Ratio): number {
  const difference = a.numerator * b.denominator - b.numerator * a.denominator;
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

/**
 * Holm's adjusted p-values (1979), in the order given, at most 1: each times the number of tests that it is not larger than, and
 * never less than one before it.
 * @param of tests in all, of which those that are not given are taken to have p = 1
 */
export function holmOver(p: readonly Ratio[], of = p.length): Ratio[] {
  const order = p.map((_, i) => i).sort((a, b) => compare(p[a]!, p[b]!) || a - b);
  const adjusted = [...p];
  let before: Ratio = { numerator: 0n, denominator: 1n };
  for (const [rank, i] of order.entries()) {
    const { numerator, denominator } = p[i]!;
    const paid = { numerator: numerator * BigInt(of - rank), denominator };
    if (compare(paid, before) > 0) before = compare(paid, CERTAIN) < 0 ? paid : CERTAIN;
    adjusted[i] = before;
  }
  return adjusted;
}

/**
 * log10 of e-BH's adjusted e-values (Wang and Ramdas 2022), in the order given: one is accepted at alpha where it is at least 1/alpha.
 * @param log10_e -Infinity: an e-value of 0, which never speaks
 * @param of tests in all, of which those that are not given are taken to have e = 0
 */
export function eBhOver(log10_e: readonly number[], of = log10_e.length): number[] {
  const order = log10_e.map((_, i) => i).sort((a, b) => difference(log10_e[b]!, log10_e[a]!) || a - b);
  const adjusted = [...log10_e];
  let after = Number.NEGATIVE_INFINITY;
  for (let rank = order.length; rank >= 1; rank--) {
    const i = order[rank - 1]!;
    after = Math.max(after, log10_e[i]! + Math.log10(rank / of));
    adjusted[i] = after;
  }
  return adjusted;
}

/** Two infinities are equal; their difference is no number. */
const difference = (a: number, b: number): number => (a === b ? 0 : a - b);
