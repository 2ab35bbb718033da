// T3, drawn answers: given the answers, hits are independent with q_i = c_i/m, c_i the candidates that answer i
// names, so their number is Poisson-binomial, whatever the model (docs/claims.md, section 3). Exact, in integers over m^n.

import { assert } from '../../base/error.ts';
import { ASSUMPTIONS, type ExactTest } from './exact-test.ts';
import { type PValue, ratio } from './ratio.ts';

/** P(at least `hits` of independent events of probabilities candidates[i]/m). */
export function poissonBinomialTail(candidates: readonly number[], m: number, hits: number): PValue {
  if (hits <= 0) return { p_value: 1, log10_p: 0 };
  const live = candidates.filter((c) => c > 0); // an answer without a candidate can only miss
  const total = BigInt(m) ** BigInt(live.length);
  const misses = live.length - hits;
  assert(misses >= 0, 'more hits than answers that name a candidate');
  // The side with fewer terms: at most `misses` misses, or one minus at most `hits - 1` hits.
  if (misses < hits)
    return ratio(
      atMost(
        live.map((c) => m - c),
        m,
        misses,
      ),
      total,
    );
  return ratio(total - atMost(live, m, hits - 1), total);
}

/** m^n · P(at most `most` of independent events of probabilities weights[i]/m). */
function atMost(weights: readonly number[], m: number, most: number): bigint {
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
  floor: ({ n, m }) => ratio(1n, BigInt(m) ** BigInt(n)),
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
  pValue: ({ candidates, m, hits }) => poissonBinomialTail(candidates, m, hits),
  cells: ({ candidates, hits }) => ({
    'drawn answer': { hits, of: candidates.length },
    'any candidate': { hits: candidates.filter((c) => c > 0).length, of: candidates.length },
  }),
  fired: ({ candidates, hits }) => ({ hits, of: candidates.length }),
};
