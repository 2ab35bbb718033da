// T3, drawn answers: given the answers, hits are independent with q_i = c_i/m, c_i the candidates that answer i
// names, so their number is Poisson-binomial, whatever the model (docs/claims.md, section 3). Exact, in integers over m^n.

import { assert } from '../../base/error.ts';
import { ASSUMPTIONS, type ExactTest } from './exact-test.ts';
import { CERTAIN, type PValue, type Ratio, toPValue } from './ratio.ts';

/** P(at least `hits` of independent events of probabilities candidates[i]/m). */
function poissonBinomialRatio(candidates: readonly number[], m: number, hits: number): Ratio {
  if (hits <= 0) return CERTAIN;
  const live = candidates.filter((c) => c > 0); // an answer without a candidate can only miss
  const total = BigInt(m) ** BigInt(live.length);
  const misses = live.length - hits;
  assert(misses >= 0, 'more hits than answers that name a candidate');
  // The side with fewer terms: at most `misses` misses, or one minus at most `hits - 1` hits.
  if (misses < hits)
    return {
      numerator: waysOfAtMost(
        live.map((c) => m - c),
        m,
        misses,
      ),
      denominator: total,
    };
  return { numerator: total - waysOfAtMost(live, m, hits - 1), denominator: total };
}

export const poissonBinomialTail = (candidates: readonly number[], m: number, hits: number): PValue =>
  toPValue(poissonBinomialRatio(candidates, m, hits));

/** m^n · P(at most `most` of independent events of probabilities weights[i]/m). */
function waysOfAtMost(weights: readonly number[], m: number, most: number): bigint {
  const ways = new Array<bigint>(most + 1).fill(0n);
  ways[0] = 1n;
  for (const weight of weights) {
    const yes = BigInt(weight);
    const no = BigInt(m - weight);
    for (let k = most; k > 0; k--) ways[k] = ways[k]! * no + ways[k - 1]! * yes;
    ways[0]! *= no;
  }
  return ways.reduce((a, b) => a + b, 0n);
}

export const T3: ExactTest<'drawn-answers'> = {
  name: 'T3 committed random targets (Poisson-binomial tail)',
  nullHypothesis:
    'Everything that determines the suspect and how it is served is independent of which candidate answer was ' +
    'drawn for each key.',
  assumptions: ASSUMPTIONS,
  reachable: ({ n, m }, _, lost) => ({
    numerator: 1n,
    denominator: BigInt(m) ** BigInt(n - lost.size),
  }),
  counter: ({ m }, matches) => {
    const candidates = matches.map((found) => found.length);
    const named = matches.map((found) => new Set(found));
    const live = named.flatMap((set, i) => (set.size > 0 ? [i] : []));
    return ({ indices }) => {
      let hits = 0;
      for (const i of live) if (named[i]!.has(indices[i]!)) hits++;
      return { m, candidates, hits };
    };
  },
  tail: ({ candidates, m, hits }) => poissonBinomialRatio(candidates, m, hits),
  cells: ({ candidates, hits }) => ({
    'drawn answer': { hits, of: candidates.length },
    'any candidate': { hits: candidates.filter((c) => c > 0).length, of: candidates.length },
  }),
  fired: ({ candidates, hits }) => ({ hits, of: candidates.length }),
};
