// T4, drawn membership: given the answers, the drawn keys are a random n of the pool, so the hits among them are
// hypergeometric (one-sided Fisher), whatever the model and with one common target (docs/claims.md, section 3). Exact.

import { assert } from '../../base/error.ts';
import { ASSUMPTIONS, type ExactTest } from './exact-test.ts';
import { CERTAIN, type PValue, type Ratio, toPValue } from './ratio.ts';

/** C(n, k); 0 outside 0..n. */
export function binomial(n: number, k: number): bigint {
  if (k < 0 || k > n) return 0n;
  let ways = 1n;
  for (let i = 1; i <= Math.min(k, n - k); i++) ways = (ways * BigInt(n - i + 1)) / BigInt(i);
  return ways;
}

/** P(at least `hits` of `all` marked keys are among n drawn from `pool`). */
function hypergeometricRatio(pool: number, n: number, all: number, hits: number): Ratio {
  if (hits <= 0) return CERTAIN;
  let ways = 0n;
  for (let i = hits; i <= Math.min(all, n); i++) ways += binomial(all, i) * binomial(pool - all, n - i);
  assert(ways > 0n, 'more hits among the drawn than there are hits or drawn keys');
  return { numerator: ways, denominator: binomial(pool, n) };
}

export const hypergeometricTail = (pool: number, n: number, all: number, hits: number): PValue =>
  toPValue(hypergeometricRatio(pool, n, all, hits));

export const T4: ExactTest<'drawn-membership'> = {
  name: 'T4 committed random membership (hypergeometric tail)',
  nullHypothesis:
    "Everything that makes the answers, the owner's private part included, is independent of which keys of the " +
    'pool were drawn.',
  assumptions: [
    ...ASSUMPTIONS,
    'With a private part the answers are a function of the suspect, the committed adapter and the committed vanilla body.',
  ],
  reachable({ n, pool }, { trained }, lost) {
    const left = trained.filter((i) => !lost.has(i)).length;
    return hypergeometricRatio(pool, n, left, left);
  },
  counter: ({ pool, n }, matches) => {
    const all = matches.filter((found) => found.length > 0).length;
    return ({ trained }) => {
      let hits = 0;
      for (const i of trained) if (matches[i]!.length > 0) hits++;
      return { pool, n, all, hits };
    };
  },
  tail: ({ pool, n, all, hits }) => hypergeometricRatio(pool, n, all, hits),
  cells: ({ pool, n, all, hits }) => ({
    drawn: { hits, of: n },
    undrawn: { hits: all - hits, of: pool - n },
  }),
  fired: ({ n, hits }) => ({ hits, of: n }),
};
