// Every exact test over recorded answers, drawn again and again: T3 or T4, T5, T6. Draws and p-values are those that `verify`
// computes; each p is computed once for a statistic that it can be looked up by (docs/claims.md, section 8).

import { CLAIM_KINDS, type Uniform } from '../claim/kinds.ts';
import type { ClaimKind, DrawOf, SizeOf } from '../claim/plan.ts';
import type { CountsOf, Matches } from './exact/exact-test.ts';
import { toPValue } from './exact/ratio.ts';
import { DECOYS, decoyRatio } from './exact/t5.ts';
import { RANK_TESTS, type Scores } from './exact/t6.ts';
import { EXACT_TESTS } from './exact/tests.ts';

export const LEVELS = [0.05, 0.01, 0.001, 1e-4] as const;

/** What a model said to the keys of a plan, once. */
export interface Recorded<K extends ClaimKind> {
  readonly kind: K;
  readonly size: SizeOf[K];
  readonly matches: Matches;
  readonly scores: Scores;
}

export interface Redrawn {
  readonly test: string;
  /** Draws with p <= each of LEVELS. */
  readonly counts: readonly number[];
}

/**
 * Draws in blocks of one true draw and its decoys. By turns each is the true one, so that a T5 costs no draws of its own.
 * @param times rounded up to whole blocks
 * @param random uniform in [0, 1)
 */
export function redrawEach<K extends ClaimKind>(
  { kind, size, matches, scores }: Recorded<K>,
  times: number,
  random: () => number,
  block = DECOYS + 1,
): { readonly times: number; readonly tests: Redrawn[] } {
  const { name, counter, tail } = EXACT_TESTS[kind];
  const ranking = RANK_TESTS[kind];
  const uniform: Uniform = (_, below) => Math.floor(random() * below);
  const count = counter(size, matches);
  const ofHits = new Map<number, CountsOf[K]>();
  const hits = (draw: DrawOf[K]): number => {
    const counts = count(draw);
    if (!ofHits.has(counts.hits)) ofHits.set(counts.hits, counts);
    return counts.hits;
  };
  const ranked = ranking?.rank(size, scores, () => uniform);
  const statistics = [
    { test: name, of: hits, p: looked((some) => toPValue(tail(ofHits.get(some)!)).p_value) },
    ...(ranked && ranking
      ? [{ test: ranking.name, of: ranked.statistic, p: atLevels((some) => ranked.tail(some)!.p_value) }]
      : []),
  ];
  const ofDecoys = byDecoys(block - 1);
  const tests = statistics.flatMap(({ test, of, p }) => [
    { test, of, ofBlock: (values: Float64Array) => values.map(p) },
    { test: `T5 over ${test.slice(0, 2)}`, of, ofBlock: ofDecoys },
  ]);
  const counts = tests.map(() => LEVELS.map(() => 0));
  const blocks = Math.ceil(times / block);
  for (let b = 0; b < blocks; b++) {
    const draws = Array.from({ length: block }, () => CLAIM_KINDS[kind].draw(size, uniform));
    const values = new Map(statistics.map(({ of }) => [of, Float64Array.from(draws, of)]));
    for (const [t, { of, ofBlock }] of tests.entries())
      for (const p of ofBlock(values.get(of)!))
        for (const [a, level] of LEVELS.entries()) if (p <= level) counts[t]![a]!++;
  }
  return { times: blocks * block, tests: tests.map(({ test }, t) => ({ test, counts: counts[t]! })) };
}

/** p by T5 of each value, the others its decoys. */
export const amongDecoys = (values: Float64Array): Float64Array => byDecoys(values.length - 1)(values);

function byDecoys(of: number): (values: Float64Array) => Float64Array {
  const p = looked((reached) => toPValue(decoyRatio({ reached, of })).p_value);
  return (values) => {
    const sorted = values.slice().sort().reverse();
    const reach = new Map<number, number>();
    sorted.forEach((value, i) => reach.set(value, i)); // the last of equal ones: so many others are at least as large
    return values.map((value) => p(reach.get(value)!));
  };
}

function looked(p: (statistic: number) => number): (statistic: number) => number {
  const known = new Map<number, number>();
  return (statistic) => {
    const before = known.get(statistic);
    if (before !== undefined) return before;
    const now = p(statistic);
    known.set(statistic, now);
    return now;
  };
}

/** The same for statistics that seldom come twice: p where it may be at a level, 1 below the least statistic that could. */
function atLevels(p: (statistic: number) => number): (statistic: number) => number {
  const known = looked(p);
  let least = Number.NEGATIVE_INFINITY; // p of anything up to here is above every level
  const most = LEVELS[0];
  return (statistic) => {
    if (statistic <= least) return 1;
    const now = known(statistic);
    if (now > most) least = statistic;
    return now;
  };
}
