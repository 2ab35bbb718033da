// Null calibration: the answers stay as recorded, the draw is made again and again. An exact p-value is then at
// most alpha in a share alpha of the draws, whatever gave the answers (docs/claims.md, section 8).

import { CLAIM_KINDS } from '../claim/kinds.ts';
import type { ClaimKind, ClaimPlan, SizeOf } from '../claim/plan.ts';
import { type CountsOf, type Matches, matchAnswers } from './exact/exact-test.ts';
import { toPValue } from './exact/ratio.ts';
import { EXACT_TESTS } from './exact/tests.ts';

const ALPHAS = [0.05, 0.01, 0.001] as const;

interface Tail {
  readonly alpha: number;
  /** Draws with p <= alpha. */
  readonly count: number;
  readonly share: number;
  /** alpha + 3 standard errors of a share at alpha. */
  readonly bound: number;
  readonly within: boolean;
}

export interface Calibration {
  readonly times: number;
  /** Draws by their p-value, ascending. */
  readonly distribution: readonly {
    readonly p_value: number;
    readonly log10_p: number;
    readonly count: number;
  }[];
  readonly tails: readonly Tail[];
  readonly within: boolean;
}

/**
 * Draws `times` times over fixed answers (one a key, in committed order). `random` gives uniform numbers in [0, 1).
 * Cost: the matcher once a key, then only counting; one exact p-value a distinct count.
 */
export function redraw<K extends ClaimKind>(
  plan: ClaimPlan<K>,
  answers: readonly string[],
  times: number,
  random: () => number,
): Calibration {
  const kind = plan.kind as K;
  return redrawMatches(kind, CLAIM_KINDS[kind].size(plan), matchAnswers(plan, answers), times, random);
}

/** The same from matches that are known already. */
export function redrawMatches<K extends ClaimKind>(
  kind: K,
  size: SizeOf[K],
  matches: Matches,
  times: number,
  random: () => number,
): Calibration {
  const test = EXACT_TESTS[kind];
  const rules = CLAIM_KINDS[kind];
  const uniform = (_slot: number, below: number): number => Math.floor(random() * below);
  const count = test.counter(size, matches);
  const seen = new Map<number, { counts: CountsOf[K]; count: number }>(); // by hits: all else is fixed by the answers
  for (let t = 0; t < times; t++) {
    const counts = count(rules.draw(size, uniform));
    const entry = seen.get(counts.hits);
    if (entry) entry.count++;
    else seen.set(counts.hits, { counts, count: 1 });
  }
  const distribution = [...seen.values()]
    .map(({ counts, count }) => ({ ...toPValue(test.tail(counts)), count }))
    .sort((a, b) => a.log10_p - b.log10_p);
  const tails = ALPHAS.map((alpha): Tail => {
    const count = distribution.filter(({ p_value }) => p_value <= alpha).reduce((sum, d) => sum + d.count, 0);
    const share = count / times;
    const bound = alpha + 3 * Math.sqrt((alpha * (1 - alpha)) / times);
    return { alpha, count, share, bound, within: share <= bound };
  });
  return { times, distribution, tails, within: tails.every((tail) => tail.within) };
}
