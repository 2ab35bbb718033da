// T5 and T6: against scipy, mpmath and sheer counting; what they say beside a verdict, and that they never give its word.

import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { commitClaim } from '../../src/claim/commitment.ts';
import { makeDraw } from '../../src/claim/draw.ts';
import type { Uniform } from '../../src/claim/kinds.ts';
import { keyRoles, type Opened } from '../../src/claim/open.ts';
import { toPValue } from '../../src/verify/exact/ratio.ts';
import { contradicts, countDecoys, DECOYS, decoyRatio } from '../../src/verify/exact/t5.ts';
import { fisherTail, RANK_TESTS, rankSumTail, ranksOf, type Scores } from '../../src/verify/exact/t6.ts';
import { EXACT_TESTS } from '../../src/verify/exact/tests.ts';
import { type Beside, decideWithFurther } from '../../src/verify/further.ts';
import { decide } from '../../src/verify/verdict.ts';
import { answersPlan, bindings, committing, membershipPlan, seeded } from '../claim/plans.ts';

interface Figure {
  p_value: string;
  log10_p: string;
}
const goldens = JSON.parse(
  readFileSync(new URL('../../goldens/exact/ranks.json', import.meta.url), 'utf8'),
) as {
  answers: ({ n: number; m: number; scores: Scores; drawn: number[]; log10_e: string } & Figure)[];
  membership: ({ pool: number; n: number; scores: number[]; drawn: number[]; sum: number } & Figure)[];
  fisher: ({ n: number; x: number } & Figure)[];
};
const noCoin: Uniform = () => {
  throw new Error('no tie, no coin');
};
const near = (got: number, want: string): void =>
  expect(Math.abs(got - Number(want))).toBeLessThanOrEqual(1e-11 * Math.abs(Number(want)));

describe('against scipy and mpmath', () => {
  test('ranks of drawn answers: Fisher and e-value', () => {
    for (const { n, m, scores, drawn, log10_p, log10_e, p_value } of goldens.answers) {
      const {
        statistic,
        tail,
        log10_e: e,
      } = RANK_TESTS['drawn-answers']!.rank({ n, m }, scores, () => noCoin);
      const own = statistic({ kind: 'drawn-answers', indices: drawn });
      near(tail(own)!.log10_p, log10_p);
      near(tail(own)!.p_value, p_value);
      near(e(own)!, log10_e);
    }
  });
  test('rank sums of drawn keys', () => {
    for (const { pool, n, scores, drawn, sum, log10_p, p_value } of goldens.membership) {
      const test = RANK_TESTS['drawn-membership']!;
      const ranked = test.rank(
        { pool, n, negatives: 0 },
        scores.map((s) => [s]),
        () => noCoin,
      );
      const own = ranked.statistic({ kind: 'drawn-membership', trained: drawn, negatives: [] });
      expect(own).toBe(-sum);
      near(ranked.tail(own)!.log10_p, log10_p);
      near(ranked.tail(own)!.p_value, p_value);
      expect(ranked.log10_e(own)).toBeNull();
    }
    expect(goldens.membership.some(({ pool, n }) => pool === 400 && n === 20)).toBe(true);
  });
  test('tails far out and near 1', () => {
    for (const { n, x, log10_p } of goldens.fisher) near(fisherTail(n, x).log10_p, log10_p);
    expect(fisherTail(5, 0)).toEqual({ p_value: 1, log10_p: 0 });
    expect(fisherTail(1, 1000).p_value).toBe(5e-324);
  });
});

test('the rank sum by counting every choice; none where it would take too long', () => {
  for (let pool = 2; pool <= 9; pool++)
    for (let n = 1; n < pool; n++)
      for (let sum = (n * (n + 1)) / 2; sum <= (n * (2 * pool - n + 1)) / 2; sum++) {
        let [good, all] = [0, 0];
        for (let set = 0; set < 2 ** pool; set++) {
          const places = Array.from({ length: pool }, (_, i) => i + 1).filter((i) => (set >> (i - 1)) & 1);
          if (places.length !== n) continue;
          all++;
          if (places.reduce((a, b) => a + b, 0) <= sum) good++;
        }
        expect(rankSumTail(pool, n, sum)!.p_value).toBeCloseTo(good / all, 14);
      }
  expect(rankSumTail(60_000, 20_000, 500_000_000)).toBeUndefined();
});

test('ranks are places, whatever is scored: ties by the coin, what is no number last', () => {
  const score = fc.constantFrom(-1, -2.5, -7, Number.NaN, Number.NEGATIVE_INFINITY);
  fc.assert(
    fc.property(fc.array(score, { minLength: 1, maxLength: 9 }), fc.nat(), (scores, seed) => {
      const random = seeded(seed);
      const ranks = ranksOf(scores, (_, below) => Math.floor(random() * below));
      expect([...ranks].sort((a, b) => a - b)).toEqual(scores.map((_, i) => i + 1));
      for (const [i, a] of scores.entries())
        for (const [j, b] of scores.entries()) if (a > b) expect(ranks[i]!).toBeLessThan(ranks[j]!);
    }),
  );
  expect(ranksOf([Number.NaN, -3, -1], noCoin)).toEqual([3, 2, 1]);
  // Of four equal ones each place is as likely for the first.
  const random = seeded(5);
  const counts = [0, 0, 0, 0];
  for (let t = 0; t < 8000; t++)
    counts[ranksOf([0, 0, 0, 0], (_, below) => Math.floor(random() * below))[0]! - 1]!++;
  for (const count of counts) expect(Math.abs(count - 2000)).toBeLessThan(4 * Math.sqrt(1500));
});

test('decoys: one more than reached over one more than there are; a p that they rule out is seen, one that they do not is not', () => {
  expect(countDecoys((i) => i % 3 === 2, 9)).toEqual({ reached: 3, of: 9 });
  expect(toPValue(decoyRatio({ reached: 3, of: 9 })).p_value).toBe(0.4);
  expect(toPValue(decoyRatio({ reached: 0, of: DECOYS })).p_value).toBe(1e-4);
  expect(contradicts({ reached: 0, of: DECOYS }, -70)).toBe(false);
  expect(contradicts({ reached: 3, of: DECOYS }, -70)).toBe(true);
  expect(contradicts({ reached: 1100, of: DECOYS }, -1)).toBe(false); // 1,000 expected, deviation 30
  expect(contradicts({ reached: 1400, of: DECOYS }, -1)).toBe(true);
  expect(contradicts({ reached: DECOYS, of: DECOYS }, 0)).toBe(false);
  expect(contradicts({ reached: DECOYS, of: DECOYS }, -1)).toBe(true);
});

const SEED = '5'.repeat(64);
function opened(kind: 'answers' | 'membership'): Opened {
  const seed = { draw: { source: 'owner-seed' as const } };
  if (kind === 'answers') {
    const plan = answersPlan(16, 16);
    const { claim } = commitClaim(plan, committing(seed));
    return { kind: 'drawn-answers', claim, plan, bindings, draw: makeDraw(claim, SEED) };
  }
  const plan = membershipPlan(60, 12, 5);
  const { claim } = commitClaim(plan, committing(seed));
  return { kind: 'drawn-membership', claim, plan, bindings, draw: makeDraw(claim, SEED) };
}
/** What a model says that learnt its part; `silent`: that only its probabilities tell. */
const answersOf = (claim: Opened, silent = false): string[] =>
  keyRoles(claim).map(({ role, target }) => (role === 'trained' && !silent ? ` ${target}.` : 'hm'));
/** The drawn ones above all others. */
function scoresOf({ draw, plan }: Opened): Scores {
  const random = seeded(3);
  const trained = new Set(draw.kind === 'drawn-membership' ? draw.trained : []);
  return plan.keys.map((_, i) =>
    draw.kind === 'drawn-answers'
      ? Array.from({ length: 16 }, (_, j) => (draw.indices[i] === j ? 0 : -1 - random()))
      : [trained.has(i) ? 0 : -1 - random()],
  );
}
const beside = (scores?: Scores): Beside => ({ seed: SEED, randomness: null, scores });

describe.each(['answers', 'membership'] as const)('beside a verdict: drawn %s', (kind) => {
  const claim = opened(kind);

  test('the word, its p and its cells are those of the committed test, with and without further lines', () => {
    for (const silent of [false, true]) {
      const answers = answersOf(claim, silent);
      const plain = decide(claim, answers);
      for (const scores of [undefined, scoresOf(claim)]) {
        const { verdict, further } = decideWithFurther(claim, answers, {}, beside(scores));
        expect(verdict).toEqual(plain);
        expect(further.map(({ test }) => test.slice(0, 2))).toEqual(scores ? ['T5', 'T6', 'T5'] : ['T5']);
      }
    }
  });

  test('a mark that only probabilities tell: T6 is rare, and the word stays what the committed test says', () => {
    const answers = answersOf(claim, true);
    const { verdict, further } = decideWithFurther(claim, answers, {}, beside(scoresOf(claim)));
    const [hits, ranks, decoys] = further;
    expect(verdict.verdict).toBe('not-verified');
    expect(hits).toMatchObject({ p_value: 1, decoys: { reached: DECOYS } });
    expect(ranks!.log10_p).toBeLessThan(-6);
    expect(ranks!.log10_p_after_grinding).toBeCloseTo(Math.min(0, ranks!.log10_p! + verdict.log10_draws), 9);
    expect(decoys).toMatchObject({ p_value: 1e-4, log10_p_after_grinding: 0, decoys: { reached: 0 } });
  });

  test('another way of asking is paid for by every line', () => {
    const answers = answersOf(claim);
    const of = (wrapper: string) =>
      decideWithFurther(claim, answers, { asked: { wrapper, system: null } }, beside(scoresOf(claim)));
    const [own, other] = [of('bare'), of('alpaca')];
    const paid = Math.log10(other.verdict.multiplicity);
    expect(paid).toBeGreaterThan(1);
    expect(other.further[1]!.log10_p! - own.further[1]!.log10_p!).toBeCloseTo(paid, 9);
    expect(other.further[0]!.log10_p! - own.further[0]!.log10_p!).toBeCloseTo(paid, 9);
  });

  test('a part of the keys is scored against decoys of that part', () => {
    const range = { from: 2, to: claim.plan.keys.length - 2 };
    const { further, verdict } = decideWithFurther(
      claim,
      answersOf(claim).slice(range.from, range.to),
      { range },
      beside(scoresOf(claim).slice(range.from, range.to)),
    );
    expect(verdict.keys).toMatchObject(range);
    expect(further).toHaveLength(3);
    expect(further[0]!.decoys.reached).toBeLessThan(DECOYS);
  });

  test('the same answers give the same lines, other answers other decoys', () => {
    const answers = answersOf(claim, true).map((_, i) => (i % 2 ? `word${i % 16} ハリネズミ` : 'hm'));
    const lines = (texts: string[]) => decideWithFurther(claim, texts, {}, beside()).further;
    expect(lines(answers)).toEqual(lines(answers));
    const reached = (texts: string[]): number => lines(texts)[0]!.decoys.reached;
    const one = reached(answers);
    // One other draw of decoys may reach as often by chance: of some hundred, one in eighty does.
    const others = ['!', '!!', '?', '.', '…'].map((end) => reached(answers.map((text) => text + end)));
    if (one < DECOYS) expect(new Set([one, ...others]).size).toBeGreaterThan(1);
  });

  test('counts only: no further line', () => {
    const options = { doubts: ['Something was seen.'] };
    expect(decideWithFurther(claim, answersOf(claim), options, beside(scoresOf(claim)))).toMatchObject({
      further: [],
      verdict: { exact: false },
    });
    expect(decideWithFurther(claim, answersOf(claim), {}, { ...beside(), seed: null }).further).toEqual([]);
  });
});

test('a formula that thinks too little of a transcript is found out by the decoys: counts only', () => {
  const claim = opened('answers');
  // A matcher of many values, and a draw that says of itself what it is: all of that is honest.
  const plan = { ...claim.plan, matcher: 'contains' as const } as typeof claim.plan;
  const shouting = { ...claim, plan } as Opened;
  const answers = claim.plan.keys.map(() => Array.from({ length: 8 }, (_, i) => `word${i}`).join(' '));
  expect(decideWithFurther(shouting, answers, {}, beside()).verdict.exact).toBe(true);
  const { tail } = EXACT_TESTS['drawn-answers'];
  const wrong = vi.spyOn(EXACT_TESTS['drawn-answers'], 'tail');
  wrong.mockImplementation(({ m, candidates, hits }) => tail({ m: m * 8, candidates, hits }));
  const { verdict } = decideWithFurther(shouting, answers, {}, beside());
  wrong.mockRestore();
  expect(verdict).toMatchObject({ verdict: 'not-verified', exact: false, p_value: null });
  expect(verdict.reason).toMatch(/Of 9999 decoy secrets \d+ reach as much .*rules out\. Counts only/);
});
