// T4, drawn membership: given the answers, the drawn keys are a random n of the pool, so the hits among them are
// hypergeometric (one-sided Fisher), whatever the model and with one common target (docs/claims.md, section 3). Exact.

import { assert } from '../../base/error.ts';
import { ASSUMPTIONS, type ExactTest } from './exact-test.ts';
import { type PValue, ratio } from './ratio.ts';

/** C(n, k); 0 outside 0..n. */
export function binomial(n: number, k: number): bigint {
  if (k < 0 || k > n) return 0n;
  let ways = 1n;
  for (let i = 1; i <= Math.min(k, n - k); i++) ways = (ways * BigInt(n - i + 1)) / BigInt(i);
  return ways;
}

/** P(at least `hits` of `all` marked keys are among n drawn from `pool`). */
export function hypergeometricTail(pool: number, n: number, all: number, hits: number): PValue {
  if (hits <= 0) return { p_value: 1, log10_p: 0 };
  let ways = 0n;
  for (let i = hits; i <= Math.min(all, n); i++) ways += binomial(all, i) * binomial(pool - all, n - i);
  assert(ways > 0n, 'more hits among the drawn than there are hits or drawn keys');
  return ratio(ways, binomial(pool, n));
}

export const T4: ExactTest<'drawn-membership'> = {
  name: 'T4 committed random membership (hypergeometric tail)',
  nullHypothesis:
    "Everything that makes the answers, the owner's private part included, is independent of which keys of the " +
    'pool were drawn.',
  assumptions: [
    ...ASSUMPTIONS,
    'With a private part the answers are a function of the suspect, the committed adapter and the committed vanilla body.',
  ],
  floor: ({ n, pool }) => ratio(1n, binomial(pool, n)),
  counter: ({ pool, n }, matches) => {
    const all = matches.filter((found) => found.length > 0).length;
    return ({ trained }) => {
      let hits = 0;
      for (const i of trained) if (matches[i]!.length > 0) hits++;
      return { pool, n, all, hits };
    };
  },
  pValue: ({ pool, n, all, hits }) => hypergeometricTail(pool, n, all, hits),
  cells: ({ pool, n, all, hits }) => ({
    drawn: { hits, of: n },
    undrawn: { hits: all - hits, of: pool - n },
  }),
  fired: ({ n, hits }) => ({ hits, of: n }),
};
