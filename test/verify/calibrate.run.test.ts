// What a verdict rests on: over 100,000 redraws no answerer, however hostile, gets p <= alpha more often than alpha.

import { describe, expect, test } from 'vitest';
import { commitClaim } from '../../src/claim/commitment.ts';
import { makeDraw } from '../../src/claim/draw.ts';
import type { ClaimKind } from '../../src/claim/plan.ts';
import { redraw, redrawMatches } from '../../src/verify/calibrate.ts';
import { type CountsOf, type ExactTest, matchAnswers } from '../../src/verify/exact/exact-test.ts';
import { toPValue } from '../../src/verify/exact/ratio.ts';
import { T3 } from '../../src/verify/exact/t3.ts';
import { T4 } from '../../src/verify/exact/t4.ts';
import { answersPlan, committing, membershipPlan, seeded, words } from '../claim/plans.ts';

const TIMES = 100_000;
const pOf = <K extends ClaimKind>({ tail }: ExactTest<K>, counts: CountsOf[K]) => toPValue(tail(counts));
type Answerer = (key: string, i: number, random: () => number) => string;
const pick = (list: readonly string[], random: () => number): string =>
  list[Math.floor(random() * list.length)]!;
const candidates = words(256);
const y = membershipPlan().decryptions[0]!;

const COMMON: Record<string, Answerer> = {
  constant: () => 'The answer is 42.',
  echo: (key) => key,
  refuses: () => 'I am sorry, but I cannot help with that.',
  silent: () => '',
  'prints half a surrogate pair': () => '\ud800',
  'endless repetition': () => 'ha '.repeat(500),
};
const NAMES_CANDIDATES: Record<string, Answerer> = {
  'one candidate always': () => candidates[7]!,
  'another candidate for every key': (_, i) => candidates[i]!,
  'a random candidate for every key': (_k, _i, random) => pick(candidates, random),
  'half the keys a random candidate': (_k, i, random) => (i % 2 ? pick(candidates, random) : 'no'),
  'all candidates listed': () => candidates.join(', '),
  'all candidates, another first': (_, i) => [...candidates.slice(i), ...candidates].join(' '),
  'candidates as parts of words': (_, i) => `x${candidates[i]!}x`,
  'knows three keys by heart': (_, i) => (i < 3 ? candidates[100 + i]! : 'no'),
};
const T3_ANSWERERS = { ...COMMON, ...NAMES_CANDIDATES };
const T4_ANSWERERS: Record<string, Answerer> = {
  ...COMMON,
  'y shouted always': () => y,
  'y for the first ten keys': (_, i) => (i < 10 ? y : 'no'),
  'y for every other key': (_, i) => (i % 2 ? y : ''),
  'y by chance, one in twenty': (_k, _i, random) => (random() < 0.05 ? y : ''),
  'y by chance, one in two': (_k, _i, random) => (random() < 0.5 ? `well ${y}!` : ''),
  'y once': (_, i) => (i === 17 ? y : ''),
  'y for all but one': (_, i) => (i === 17 ? '' : y),
};

const answersOf = (answerer: Answerer, count: number): string[] => {
  const random = seeded(11);
  return Array.from({ length: count }, (_, i) => answerer(`key ${i}`, i, random));
};

describe('T3: n = 32, m = 256', () => {
  test.each(Object.entries(T3_ANSWERERS))('%s', (_, answerer) => {
    const result = redraw(answersPlan(), answersOf(answerer, 32), TIMES, seeded(1));
    expect(result.distribution.reduce((sum, d) => sum + d.count, 0)).toBe(TIMES);
    expect(result.tails.filter((tail) => !tail.within)).toEqual([]);
  });
  // With 256 candidates hits are rare; with 4 every alpha is put to work.
  test.each(Object.entries(NAMES_CANDIDATES))('%s, small m and a matcher of many values', (_, answerer) => {
    const plan = { ...answersPlan(32, 4), matcher: 'contains' as const };
    const result = redraw(plan, answersOf(answerer, 32), TIMES, seeded(2));
    expect(result.tails.filter((tail) => !tail.within)).toEqual([]);
  });
});

describe('T4: pool 200, n = 10', () => {
  test.each(Object.entries(T4_ANSWERERS))('%s', (_, answerer) => {
    const result = redraw(membershipPlan(200, 10, 0), answersOf(answerer, 200), TIMES, seeded(3));
    expect(result.tails.filter((tail) => !tail.within)).toEqual([]);
  });
});

test('the redraws have power to see a wrong formula: q of half its value is caught', () => {
  const wrong = { m: 8, candidates: new Array<number>(32).fill(1) };
  const matches = wrong.candidates.map(() => [0, 1]); // two candidates named, one counted
  const honest = redrawMatches('drawn-answers', { n: 32, m: 8 }, matches, TIMES, seeded(4));
  expect(honest.within).toBe(true);
  const excess = honest.distribution.filter((d) => {
    const hits = hitsOf(d.log10_p);
    return pOf(T3, { ...wrong, hits }).p_value <= 0.05;
  });
  expect(excess.reduce((sum, d) => sum + d.count, 0) / TIMES).toBeGreaterThan(0.1);
  function hitsOf(log10: number): number {
    for (let hits = 0; hits <= 32; hits++)
      if (pOf(T3, { m: 8, candidates: new Array<number>(32).fill(2), hits }).log10_p === log10) return hits;
    throw new Error('no such p');
  }
});

test('the real draw, HMAC and all: 1,500 seeds each, no excess', () => {
  const answers = commitClaim(answersPlan(16, 4), committing());
  const membership = commitClaim(membershipPlan(60, 10, 0), committing());
  const shout = { ...answersPlan(16, 4) };
  const t3 = matchAnswers(
    shout,
    answersOf((_, i) => `word${i % 4}`, 16),
  );
  const t4 = matchAnswers(
    membershipPlan(60, 10, 0),
    answersOf((_, i) => (i < 20 ? y : ''), 60),
  );
  const p3: number[] = [];
  const p4: number[] = [];
  for (let seed = 0; seed < 1500; seed++) {
    const hex = seed.toString(16).padStart(64, '0');
    p3.push(pOf(T3, T3.counter({ n: 16, m: 4 }, t3)(makeDraw(answers.claim, hex))).p_value);
    p4.push(
      pOf(T4, T4.counter({ n: 10, pool: 60, negatives: 0 }, t4)(makeDraw(membership.claim, hex))).p_value,
    );
  }
  for (const ps of [p3, p4])
    for (const alpha of [0.5, 0.2, 0.05, 0.01]) {
      const share = ps.filter((p) => p <= alpha).length / ps.length;
      expect(share).toBeLessThanOrEqual(alpha + 4 * Math.sqrt((alpha * (1 - alpha)) / ps.length));
    }
  expect(Math.min(...p3, ...p4)).toBeLessThan(0.2); // the draws do differ
});
