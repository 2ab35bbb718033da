// T6, ranks by log-probability: where a model scores texts, what was drawn has a place among what could have been, uniform
// whatever the model (docs/claims.md, section 3). Of answers by Fisher's sum and an e-value, of membership by the rank sum.

import type { Uniform } from '../../claim/kinds.ts';
import type { ClaimKind, DrawOf, SizeOf } from '../../claim/plan.ts';
import { type PValue, ratio } from './ratio.ts';
import { binomial } from './t4.ts';

/** scores[i]: natural log-probabilities of key i's candidates behind it; of membership the one of its decryption. */
export type Scores = readonly (readonly number[])[];

interface Ranked<K extends ClaimKind> {
  /** More is rarer. */
  readonly statistic: (draw: DrawOf[K]) => number;
  /** Whether a draw's is at least another's, to the last digit: sums of logarithms round, products of ranks do not. */
  readonly atLeast: (own: DrawOf[K]) => (draw: DrawOf[K]) => boolean;
  /** P(at least this statistic); undefined where it would take too long to count. */
  readonly tail: (statistic: number) => PValue | undefined;
  /** log10 of the e-value; null where there is none. */
  readonly log10_e: (statistic: number) => number | null;
}

export interface RankTest<K extends ClaimKind> {
  readonly name: string;
  /**
   * What no draw changes is ranked once.
   * @param coin breaks ties, among the candidates of a key or (key 0) among keys; independent of the draw, and as committed as it is
   */
  readonly rank: (size: SizeOf[K], scores: Scores, coin: (key: number) => Uniform) => Ranked<K>;
}

/**
 * Places from 1, the largest score first; equal ones in an order of the coin's. What is no number is least.
 * @param coin its slot i, where place i of equal ones is filled by any of those that are left
 */
export function ranksOf(scores: readonly number[], coin: Uniform): number[] {
  const worth = scores.map((score) => (Number.isNaN(score) ? Number.NEGATIVE_INFINITY : score));
  const order = worth
    .map((_, i) => i)
    .sort((a, b) => (worth[a]! === worth[b]! ? a - b : worth[b]! - worth[a]!));
  const ranks = new Array<number>(scores.length);
  for (let from = 0; from < order.length; ) {
    let to = from + 1;
    while (to < order.length && worth[order[to]!] === worth[order[from]!]) to++;
    for (let i = from; i < to; i++) {
      const j = to - i === 1 ? i : i + coin(i, to - i);
      [order[i], order[j]] = [order[j]!, order[i]!];
      ranks[order[i]!] = i + 1;
    }
    from = to;
  }
  return ranks;
}

/**
 * P(X >= x), X gamma of shape n and scale 1: half of a chi-squared of 2n degrees, which Fisher's sum of -ln p is for uniform
 * p, and never above for ranks over m.
 */
export function fisherTail(n: number, x: number): PValue {
  if (x <= 0) return { p_value: 1, log10_p: 0 };
  let lnFactorial = 0;
  for (let k = 2; k < n; k++) lnFactorial += Math.log(k);
  const lnLast = (n - 1) * Math.log(x) - x - lnFactorial; // ln of x^(n-1) e^-x / (n-1)!
  if (x < n) {
    let [term, sum] = [x / n, x / n];
    for (let k = n + 1; term > sum * 1e-18; k++) {
      term *= x / k;
      sum += term;
    }
    const below = Math.exp(lnLast) * sum;
    return { p_value: 1 - below, log10_p: Math.log1p(-below) / Math.LN10 };
  }
  let [term, sum] = [1, 1];
  for (let k = n - 1; k > 0 && term > sum * 1e-18; k--) {
    term *= k / x;
    sum += term;
  }
  const ln = lnLast + Math.log(sum);
  return { p_value: Math.max(Math.exp(ln), Number.MIN_VALUE), log10_p: Math.min(0, ln / Math.LN10) };
}

/** Steps of counting below which nobody waits. */
const MOST_STEPS = 2e7;

/**
 * P(the ranks of n of `pool` places, drawn at random, sum to at most `sum`), exact (Wilcoxon). The coefficients of the
 * Gaussian binomial count the choices by sum; undefined where there are too many of them.
 */
export function rankSumTail(pool: number, n: number, sum: number): PValue | undefined {
  const least = (n * (n + 1)) / 2;
  const most = n * (pool - n); // above the least
  const over = sum - least;
  if (over >= most) return { p_value: 1, log10_p: 0 };
  const upper = over > most / 2;
  const to = upper ? most - over - 1 : over; // by symmetry: sums above mirror sums below
  const few = Math.min(n, pool - n);
  if (few * (to + 1) > MOST_STEPS) return undefined;
  const ways = new Array<bigint>(to + 1).fill(0n);
  ways[0] = 1n;
  for (let i = 1; i <= few; i++) {
    for (let s = to, by = pool - few + i; s >= by; s--) ways[s]! -= ways[s - by]!;
    for (let s = i; s <= to; s++) ways[s]! += ways[s - i]!;
  }
  const counted = ways.reduce((a, b) => a + b, 0n);
  const all = binomial(pool, n);
  return ratio(upper ? all - counted : counted, all);
}

const harmonic = (m: number): number => {
  let sum = 0;
  for (let r = m; r > 0; r--) sum += 1 / r;
  return sum;
};

export const RANK_TESTS: { readonly [K in ClaimKind]: RankTest<K> | undefined } = {
  'drawn-answers': {
    name: 'T6 ranks of the drawn answers by log-probability (Fisher)',
    rank({ n, m }, scores, coin) {
      const ranks = scores.map((row, i) => ranksOf(row, coin(i)));
      const worth = Array.from({ length: m + 1 }, (_, rank) => Math.log(m / rank));
      const lnHarmonic = Math.log(harmonic(m));
      const statistic = ({ indices }: DrawOf['drawn-answers']): number => {
        let sum = 0;
        for (let i = 0; i < n; i++) sum += worth[ranks[i]![indices[i]!]!]!;
        return sum;
      };
      const product = ({ indices }: DrawOf['drawn-answers']): bigint =>
        ranks.reduce((of, row, i) => of * BigInt(row[indices[i]!]!), 1n);
      const rounding = 1e-12 + 1e-14 * n * n;
      return {
        statistic,
        atLeast(own) {
          const [sum, least] = [statistic(own), product(own)];
          return (draw) => {
            const more = statistic(draw) - sum;
            return Math.abs(more) > rounding ? more > 0 : product(draw) <= least;
          };
        },
        tail: (statistic) => fisherTail(n, statistic),
        // Product of m / (rank · H_m), each with mean 1.
        log10_e: (statistic) => (statistic - n * lnHarmonic) / Math.LN10,
      };
    },
  },
  'drawn-membership': {
    name: 'T6 ranks of the drawn keys by log-probability of the decryption (rank sum)',
    rank({ n, pool }, scores, coin) {
      const ranks = ranksOf(
        scores.map((row) => row[0]!),
        coin(0),
      );
      const statistic = ({ trained }: DrawOf['drawn-membership']): number => {
        let sum = 0;
        for (const i of trained) sum -= ranks[i]!;
        return sum;
      };
      return {
        statistic,
        atLeast(own) {
          const sum = statistic(own);
          return (draw) => statistic(draw) >= sum;
        },
        tail: (statistic) => rankSumTail(pool, n, -statistic),
        log10_e: () => null,
      };
    },
  },
  'drawn-direction': undefined,
};
