// The numbers beside a rate: Clopper and Pearson's interval, the exact two-sided binomial p-value against a stated
// rate, and Student's t-test as the paper uses it. Goldens from scipy: goldens/report.

import { assert } from '../base/error.ts';

export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** Exact interval of a rate at confidence `level`: each tail is (1 - level)/2 at its end. */
export function clopperPearson(hits: number, of: number, level = 0.95): Interval {
  assert(Number.isInteger(hits) && hits >= 0 && hits <= of && of > 0, 'hits lie between 0 and their number');
  const tail = (1 - level) / 2;
  // P(X >= k) at rate p is I_p(k, n - k + 1), which grows with p.
  return {
    low: hits === 0 ? 0 : bisect((p) => incompleteBeta(p, hits, of - hits + 1) - tail),
    high: hits === of ? 1 : bisect((p) => incompleteBeta(p, hits + 1, of - hits) - (1 - tail)),
  };
}

/** The root of a growing function on [0, 1], to the last bit of a double. */
function bisect(f: (x: number) => number): number {
  let [low, high] = [0, 1];
  for (let i = 0; i < 200; i++) {
    const middle = (low + high) / 2;
    if (middle <= low || middle >= high) break;
    if (f(middle) < 0) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/**
 * P of all outcomes that are at most as probable as `hits` of `of` at the rate numerator/denominator: exact in
 * big integers, so that equal probabilities count as equal.
 */
export function binomialTest(hits: number, of: number, numerator: number, denominator: number): number {
  const [p, q] = [BigInt(numerator), BigInt(denominator - numerator)];
  let term = q ** BigInt(of); // weight of 0 hits; all weights sum to denominator^of
  const terms = [term];
  for (let k = 1; k <= of; k++) {
    term = (term * BigInt(of - k + 1) * p) / (BigInt(k) * q);
    terms.push(term);
  }
  const seen = terms[hits]!;
  const sum = terms.reduce((total, weight) => (weight <= seen ? total + weight : total), 0n);
  return quotient(sum, BigInt(denominator) ** BigInt(of));
}

/** a/b as a double, for 0 < a <= b of any size. */
function quotient(a: bigint, b: bigint): number {
  const bits = (x: bigint) => x.toString(2).length;
  const shift = Math.max(0, bits(b) - bits(a)) + 64;
  return Number((a << BigInt(shift)) / b) * 2 ** -Math.min(shift, 1000) * 2 ** -Math.max(0, shift - 1000);
}

export interface TTest {
  /** Infinite where all values are equal and differ from the mean asked for; NaN where they equal it. */
  readonly t: number;
  readonly p_value: number;
}

/** Two-sided one-sample t-test, as scipy.stats.ttest_1samp. */
export function tTest(values: readonly number[], mean: number): TTest {
  const n = values.length;
  const average = values.reduce((sum, x) => sum + x, 0) / n;
  const variance = values.reduce((sum, x) => sum + (x - average) ** 2, 0) / (n - 1);
  const t = (average - mean) / Math.sqrt(variance / n);
  if (Number.isNaN(t)) return { t, p_value: Number.NaN };
  if (!Number.isFinite(t)) return { t, p_value: 0 };
  return { t, p_value: incompleteBeta((n - 1) / (n - 1 + t * t), (n - 1) / 2, 0.5) };
}

/** P(T <= t) of Student's distribution. */
const studentBelow = (t: number, df: number): number => {
  const tail = incompleteBeta(df / (df + t * t), df / 2, 0.5) / 2;
  return t > 0 ? 1 - tail : tail;
};

/** Student's interval of the mean at confidence `level`; both ends are the mean where all values are equal. */
export function meanInterval(values: readonly number[], level = 0.95): Interval {
  const n = values.length;
  const middle = values.reduce((sum, x) => sum + x, 0) / n;
  const deviation = Math.sqrt(values.reduce((sum, x) => sum + (x - middle) ** 2, 0) / (n - 1));
  if (!(deviation > 0)) return { low: middle, high: middle };
  // t/(1 + t) runs over [0, 1] where t runs over all that is positive.
  const at = bisect((x) => studentBelow(x / (1 - x), n - 1) - (1 + level) / 2);
  const half = (at / (1 - at)) * (deviation / Math.sqrt(n));
  return { low: middle - half, high: middle + half };
}

/** One-sided: how probable a mean at least this large is if the true one is `mean`; as ttest_1samp(alternative='greater'). */
export function greaterTest(values: readonly number[], mean: number): number {
  const { t, p_value } = tTest(values, mean);
  if (Number.isNaN(t)) return 1; // all values equal the mean itself: nothing speaks against it
  return t > 0 ? p_value / 2 : 1 - p_value / 2;
}

/** Holm's adjustment: p-values that keep the chance of any false one among them at the level they are compared with. */
export function holm(p: readonly number[]): number[] {
  const order = p.map((_, i) => i).sort((a, b) => p[a]! - p[b]!);
  const out = [...p];
  let before = 0;
  for (const [rank, i] of order.entries()) {
    before = Math.max(before, Math.min(1, p[i]! * (p.length - rank)));
    out[i] = before;
  }
  return out;
}

/** The regularised incomplete beta function I_x(a, b), by its continued fraction (DLMF 8.17.22). */
function incompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a);
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x));
  const tiny = 1e-300;
  const away = (value: number) => (Math.abs(value) < tiny ? tiny : value);
  let c = 1;
  let d = 1 / away(1 - ((a + b) * x) / (a + 1));
  let fraction = d;
  for (let m = 1; m < 10_000; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / away(1 + even * d);
    c = away(1 + even / c);
    fraction *= c * d;
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / away(1 + odd * d);
    c = away(1 + odd / c);
    fraction *= c * d;
    if (Math.abs(c * d - 1) < 1e-16) break;
  }
  return (front * fraction) / a;
}

/** log Γ(x) for x > 0: Stirling's series beyond 15, reached by the recurrence. */
function logGamma(x: number): number {
  let shift = 0;
  let z = x;
  for (; z < 15; z++) shift += Math.log(z);
  const series =
    1 / (12 * z) - 1 / (360 * z ** 3) + 1 / (1260 * z ** 5) - 1 / (1680 * z ** 7) + 1 / (1188 * z ** 9);
  return (z - 0.5) * Math.log(z) - z + 0.5 * Math.log(2 * Math.PI) + series - shift;
}
