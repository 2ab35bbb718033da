// Tests that are stopped: their e-processes against Python (goldens/sequential/make.py), no excess of p <= alpha over every draw of
// small claims, every reason to stop, and one course however it was asked.

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { WhorlError } from '../../src/base/error.ts';
import { commitClaim } from '../../src/claim/commitment.ts';
import { makeDraw } from '../../src/claim/draw.ts';
import { OWNER_DRAWS } from '../../src/claim/grinding.ts';
import type { Opened } from '../../src/claim/open.ts';
import type { AskedKind, ClaimPlan, DrawOf, SizeOf } from '../../src/claim/plan.ts';
import { atMost, decimal, lowestTerms, type Ratio } from '../../src/verify/exact/ratio.ts';
import { BETS } from '../../src/verify/sequential/bets.ts';
import { Course, GIVEN_UP, type Goal, PERSISTENCE, type Stakes } from '../../src/verify/sequential/course.ts';
import { EProcess } from '../../src/verify/sequential/e-process.ts';
import { decideInTurn } from '../../src/verify/sequential/in-turn.ts';
import type { SequentialOptions } from '../../src/verify/sequential/stopped.ts';
import type { Verdict } from '../../src/verify/verdict.ts';
import { answersPlan, bindings, committing, membershipPlan, seeded } from '../claim/plans.ts';

interface Figures {
  log10_e: string[];
  p: [numerator: string, denominator: string];
}
const goldens = JSON.parse(
  readFileSync(new URL('../../goldens/sequential/e-values.json', import.meta.url), 'utf8'),
) as {
  t3: ({ m: number; named: number[][]; drawn: number[] } & Figures)[];
  t4: ({ pool: number; trained: number[]; fired: boolean[] } & Figures)[];
};

const stakes = (alpha: number, until: Goal = 'matches'): Stakes => ({
  ...{ multiplicity: 1, alpha, trials: OWNER_DRAWS, until },
});
const answersDraw = (indices: number[]): DrawOf['drawn-answers'] => ({ kind: 'drawn-answers', indices });
const membership = (trained: number[]): DrawOf['drawn-membership'] => ({
  kind: 'drawn-membership',
  trained,
  negatives: [],
});

/** Lays every bet, and never stops. */
function wholeCourse<K extends AskedKind>(
  kind: K,
  size: SizeOf[K],
  draw: DrawOf[K],
  matches: readonly (readonly number[])[],
): { path: number[]; p: Ratio } {
  const { prior, bets } = BETS[kind];
  const process = new EProcess(prior);
  const { on } = bets(size, draw, new Set());
  const path = matches.map((named, key) => {
    const bet = on(key, named);
    if (bet) process.lay(bet);
    return process.log2 * Math.log10(2);
  });
  return { path, p: process.p };
}

function sameFigures(course: ReturnType<typeof wholeCourse>, want: Figures): void {
  expect(course.path).toHaveLength(want.log10_e.length);
  for (const [i, log10] of want.log10_e.entries()) expect(course.path[i]).toBeCloseTo(Number(log10), 10);
  expect(lowestTerms(course.p)).toEqual({ numerator: want.p[0], denominator: want.p[1] });
}

describe('against Python: the value after each key, and one over the greatest to the last digit', () => {
  test(`T3, ${goldens.t3.length} courses`, () => {
    for (const { m, named, drawn, ...want } of goldens.t3)
      sameFigures(wholeCourse('drawn-answers', { n: drawn.length, m }, answersDraw(drawn), named), want);
  });
  test(`T4, ${goldens.t4.length} courses`, () => {
    for (const { pool, trained, fired, ...want } of goldens.t4)
      sameFigures(
        wholeCourse(
          'drawn-membership',
          { n: trained.length, pool, negatives: 0 },
          membership(trained),
          fired.map((one) => (one ? [0] : [])),
        ),
        want,
      );
  });
});

/** All draws of m candidates for n keys; all choices of n of a pool. */
const allAnswers = (n: number, m: number): number[][] =>
  n === 0 ? [[]] : allAnswers(n - 1, m).flatMap((rest) => Array.from({ length: m }, (_, j) => [...rest, j]));
const allSubsets = (pool: number, n: number, from = 0): number[][] =>
  n === 0
    ? [[]]
    : Array.from({ length: pool - from - n + 1 }, (_, i) => from + i).flatMap((first) =>
        allSubsets(pool, n - 1, first + 1).map((rest) => [first, ...rest]),
      );

describe('over every draw of a small claim, whatever the answers', () => {
  const LEVELS = [0.9, 0.5, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01, 0.001];
  /** Shares of courses with p at most alpha, stopped or not. */
  const within = <K extends AskedKind>(
    kind: K,
    size: SizeOf[K],
    draws: readonly DrawOf[K][],
    matches: readonly (readonly number[])[],
  ): void => {
    const courses = draws.map((draw) => wholeCourse(kind, size, draw, matches));
    // The mean of the last value is 1 at most: it is an e-value. 1 but for where it can only lose.
    const mean = courses.reduce((sum, { path }) => sum + 10 ** path.at(-1)!, 0) / draws.length;
    expect(mean).toBeCloseTo(1, 9);
    for (const alpha of LEVELS) {
      const low = courses.filter(({ p }) => atMost(p, 1n, decimal(alpha))).length;
      expect(low / draws.length).toBeLessThanOrEqual(alpha);
      const stopped = draws.filter((draw) => {
        const course = new Course(kind, size, draw, { of: matches.length }, stakes(alpha));
        for (const named of matches) course.take(named);
        return atMost(course.p, 1n, decimal(alpha));
      });
      expect(stopped.length / draws.length).toBeLessThanOrEqual(alpha);
    }
  };
  const pick = (list: readonly (readonly number[])[], n: number, random: () => number): number[][] =>
    Array.from({ length: n }, () => [...list[Math.floor(random() * list.length)]!]);

  test('T3: 4 keys of 4 candidates, answers that name none, one, several, all', () => {
    const draws = allAnswers(4, 4).map(answersDraw);
    const random = seeded(5);
    const kinds = [[], [0], [3], [1, 2], [0, 1, 2], [0, 1, 2, 3]];
    for (let i = 0; i < 12; i++) within('drawn-answers', { n: 4, m: 4 }, draws, pick(kinds, 4, random));
  });
  test('T4: every membership of a pool of 8, keys that fire and keys that do not', () => {
    const random = seeded(6);
    for (const n of [1, 3, 4, 7])
      for (let i = 0; i < 6; i++)
        within(
          'drawn-membership',
          { n, pool: 8, negatives: 0 },
          allSubsets(8, n).map(membership),
          pick([[], [0]], 8, random),
        );
  });
  test('a test that paid half for its hits would be found out', () => {
    const draws = allAnswers(4, 4).map(answersDraw);
    const named = [
      [0, 1],
      [0, 1],
      [0, 1],
      [0, 1],
    ];
    const low = draws.filter(({ indices }) => {
      // Says that it names one candidate where it names two.
      const told = named.map((two, i) => [two.includes(indices[i]!) ? indices[i]! : 0]);
      return atMost(
        wholeCourse('drawn-answers', { n: 4, m: 4 }, answersDraw(indices), told).p,
        1n,
        decimal(0.05),
      );
    });
    expect(low.length / draws.length).toBeGreaterThan(0.05);
  });
});

/** A claim, and answers by key: the drawn answer, another candidate, none. */
function made(plan: ClaimPlan, bound = bindings): { opened: Opened; learnt: (key: number) => string } {
  const { claim, opening } = commitClaim(plan, committing({ bindings: bound }));
  const draw = makeDraw(claim, 'a'.repeat(64));
  const opened = { kind: plan.kind, claim, plan, draw, bindings: bound, opening } as unknown as Opened;
  const learnt = (key: number): string => {
    if (draw.kind === 'drawn-answers' && plan.kind === 'drawn-answers')
      return ` ${plan.candidates[0]![draw.indices[key]!]}`;
    if (draw.kind === 'drawn-membership' && plan.kind === 'drawn-membership')
      return draw.trained.includes(key) ? plan.decryptions[0]! : 'hm';
    throw new Error('nothing is asked');
  };
  return { opened, learnt };
}

const asked = { wrapper: 'bare', system: null };
const ALPHA = 1e-6;
async function verdictOf(
  opened: Opened,
  answer: (key: number) => string,
  options: SequentialOptions & { atATime?: number; told?: number; changed?: readonly number[] } = {},
): Promise<{ verdict: Verdict; keys: number[] }> {
  const keys: number[] = [];
  const { atATime = 1, told = 1, changed = [], ...rest } = options;
  const range = { from: 0, to: opened.plan.keys.length };
  let looks = 0;
  const deciding = { range, asked, multiplicity: told, alpha: ALPHA, changed };
  const verdict = await decideInTurn(opened, deciding, {
    ...{ options: rest, atATime },
    async *ask(from, to) {
      for (let key = from; key < to; key++) {
        keys.push(key);
        yield await Promise.resolve(answer(key));
      }
    },
    look: () => ++looks,
  });
  return { verdict, keys };
}

describe('when it stops', () => {
  const { opened, learnt } = made(answersPlan());

  test('matches: three good answers of 256 candidates give 10^-6, both tests paid for; no fourth key is asked', async () => {
    const { verdict, keys } = await verdictOf(opened, learnt, { until: 'matches' });
    expect(keys).toEqual([0, 1, 2]);
    expect(verdict).toMatchObject({
      ...{
        verdict: 'matches',
        exact: true,
        multiplicity: 2,
        p_exact: { numerator: '1', denominator: String(2 ** 22) },
        keys: { from: 0, to: 3, of: 32 },
      },
      cells: { 'drawn answer': { hits: 3, of: 3 } },
      sequential: { stopped: 'matches', asked: 3, of: 32, reached_alpha_at: 3, not_counted: 0, looks: 1 },
    });
    expect(verdict.log10_p).toBeCloseTo(Math.log10(2 / 2 ** 22), 12);
    expect(verdict.reason).toContain("owner's word");
    expect(verdict.reason).toContain('Stopped after 3 of 32 keys.');
    expect(verdict.assumptions.filter((words) => words.startsWith('A4'))).toHaveLength(1);
    expect(verdict.assumptions.join()).toContain('when to stop');
  });
  test('a server, and more looks than one, cost more', async () => {
    expect((await verdictOf(opened, learnt, { until: 'matches', told: 2 })).keys).toHaveLength(3);
    expect((await verdictOf(opened, learnt, { until: 'matches', told: 3 })).keys).toHaveLength(4);
  });
  test('verified: as soon as p survives 2^80 draws', async () => {
    const { verdict, keys } = await verdictOf(opened, learnt);
    expect(verdict).toMatchObject({
      verdict: 'verified',
      sequential: { stopped: 'verified', reached_alpha_at: 3 },
    });
    expect(keys).toHaveLength(14);
    expect(verdict.log10_p_after_grinding).toBeLessThanOrEqual(-6);
    const one = await verdictOf(opened, learnt, { budget: 13 });
    expect(one.verdict).toMatchObject({ verdict: 'matches', sequential: { stopped: 'budget' } });
    expect(one.verdict.log10_p_after_grinding).toBeGreaterThan(-6);
  });
  test('futile: a suspect that says nothing is given up; not said: that it is not derived', async () => {
    const { verdict, keys } = await verdictOf(opened, () => 'hm');
    expect(verdict).toMatchObject({ verdict: 'not-verified', p_value: 1, sequential: { stopped: 'futile' } });
    expect(keys).toHaveLength(17);
    expect(verdict.reason).toContain('no evidence at a persistence of 25 %');
    expect(verdict.does_not_say.join()).toContain('that the suspect is not derived');
  });
  test('one that says a candidate always is no match either', async () => {
    const { verdict } = await verdictOf(opened, () => ' word7');
    expect(verdict.verdict).toBe('not-verified');
  });
  test('budget: undecided, with what it says in every place', async () => {
    const { verdict, keys } = await verdictOf(opened, learnt, { budget: 2 });
    expect(keys).toEqual([0, 1]);
    expect(verdict).toMatchObject({
      verdict: 'undecided',
      exact: true,
      sequential: { stopped: 'budget', budget: 2 },
    });
    expect(verdict.reason).toMatch(/^Nothing is decided: .*The budget ended after 2 of 32 keys/);
  });
  test('over-budget of a server: the same, with the answers that came', async () => {
    const over = new WhorlError('over-budget', 'no more');
    const failing = (key: number): string => {
      if (key === 2) throw over;
      return learnt(key);
    };
    const { verdict } = await verdictOf(opened, failing);
    expect(verdict).toMatchObject({ verdict: 'undecided', sequential: { stopped: 'budget', asked: 2 } });
    await expect(
      verdictOf(opened, () => {
        throw over;
      }),
    ).rejects.toBe(over);
    await expect(
      verdictOf(opened, () => {
        throw new WhorlError('endpoint', 'down');
      }),
    ).rejects.toMatchObject({ code: 'endpoint' });
  });
  test('out of reach: what is left cannot do it any more', async () => {
    const small = made(answersPlan(6, 256));
    const { verdict, keys } = await verdictOf(small.opened, (key) =>
      key < 4 ? ' word300 hm' : small.learnt(key),
    );
    expect(verdict).toMatchObject({ verdict: 'not-verified', sequential: { stopped: 'out-of-reach' } });
    expect(keys).toEqual([0, 1, 2, 3]);
  });
  test('a claim too small for a word is asked for the lesser one', async () => {
    const small = made(answersPlan(8, 256));
    const { verdict } = await verdictOf(small.opened, small.learnt);
    expect(verdict).toMatchObject({ verdict: 'matches', sequential: { stopped: 'matches', asked: 3 } });
  });
  test('a claim too small for either is refused before anything is asked', async () => {
    const { opened: tiny } = made(answersPlan(2, 256));
    await expect(
      verdictOf(tiny, () => {
        throw new Error('asked');
      }),
    ).rejects.toMatchObject({ code: 'usage' });
  });
  test('keys that the tokenizer changed are not hoped for: undecided without a question', async () => {
    const changed = Array.from({ length: 30 }, (_, i) => i);
    const { verdict, keys } = await verdictOf(opened, learnt, { changed });
    expect(keys).toEqual([]);
    expect(verdict).toMatchObject({
      verdict: 'undecided',
      sequential: { stopped: 'out-of-reach', asked: 0 },
    });
  });
  test('all asked: too few of them answered', async () => {
    const { verdict } = await verdictOf(opened, (key) =>
      key % 8 === 0 && key < 16 ? learnt(key) : ' word300',
    );
    expect(verdict.sequential!.stopped).toMatch(/all-asked|out-of-reach|futile/);
    expect(verdict.verdict).toBe('not-verified');
  });
});

describe('T4', () => {
  // Where the last drawn key is among the last four, those before it are enough.
  test('whatever is drawn, a perfect suspect is verified, and matches long before', async () => {
    for (let draws = 0; draws < 8; draws++) {
      const { opened, learnt } = made(membershipPlan());
      const { verdict } = await verdictOf(opened, learnt);
      expect(verdict.verdict).toBe('verified');
      const { drawn, undrawn } = verdict.cells as Record<string, { hits: number; of: number }>;
      // How many there are among the keys asked until then is the draw's: all 20 as a rule, 18 in some.
      expect([drawn!.hits, undrawn!.hits]).toEqual([drawn!.of, 0]);
      const few = await verdictOf(opened, learnt, { until: 'matches' });
      expect(few.verdict.verdict).toBe('matches');
      expect(few.keys.length).toBeLessThan(verdict.sequential!.asked);
    }
  });
  test('who shouts at every key, and who is silent, is given up', async () => {
    const { opened } = made(membershipPlan());
    for (const answer of ['ハリネズミ', 'hm']) {
      const { verdict } = await verdictOf(opened, () => answer);
      expect(verdict.verdict).toBe('not-verified');
      expect(verdict.sequential!.stopped).toMatch(/futile|out-of-reach/);
    }
  });
});

test('one course however many keys are asked at a time; what came beyond does not count', async () => {
  const { opened, learnt } = made(answersPlan());
  const answer = (key: number) => (key % 3 === 1 ? 'hm' : learnt(key));
  for (const until of ['matches', 'verified'] as const) {
    const { verdict: one } = await verdictOf(opened, answer, { until });
    for (const atATime of [2, 5, 32]) {
      const { verdict, keys } = await verdictOf(opened, answer, { until, atATime });
      const { not_counted, ...sequential } = verdict.sequential!;
      expect({ ...verdict, sequential: { ...sequential, not_counted: 0 } }).toEqual(one);
      expect(not_counted).toBe(keys.length - verdict.sequential!.asked);
    }
  }
});

test('no key is asked that asking one by one would have spared', () => {
  for (let seed = 0; seed < 40; seed++) {
    const random = seeded(seed);
    const share = random();
    const indices = Array.from({ length: 32 }, () => Math.floor(random() * 256));
    const matches = indices.map((j) => (random() < share ? [j] : random() < 0.5 ? [(j + 1) % 256] : []));
    const until = seed % 2 ? 'matches' : 'verified';
    const course = new Course(
      'drawn-answers',
      { n: 32, m: 256 },
      answersDraw(indices),
      { of: 32 },
      {
        ...stakes(ALPHA, until),
      },
    );
    while (course.stop === undefined) {
      const together = course.together;
      for (let i = 0; i < together; i++) {
        // `verified` can go out of reach by any miss: then the lesser word may be reached already.
        if (until === 'matches') expect(course.stop).toBeUndefined();
        course.take(matches[course.asked] ?? []);
      }
    }
    expect(course.together).toBe(0);
  }
});

test(`a suspect of persistence ${PERSISTENCE} is given up in at most ${100 * GIVEN_UP} % of courses`, () => {
  const random = seeded(9);
  const times = 4000;
  let given = 0;
  for (let t = 0; t < times; t++) {
    const course = new Course(
      'drawn-answers',
      { n: 200, m: 256 },
      answersDraw(new Array<number>(200).fill(0)),
      { of: 200 },
      stakes(1e-6),
    );
    while (course.stop === undefined) course.take(random() < PERSISTENCE ? [0] : []);
    if (course.stop === 'futile') given++;
  }
  expect(given / times).toBeLessThanOrEqual(GIVEN_UP + 3 * Math.sqrt((GIVEN_UP * (1 - GIVEN_UP)) / times));
  expect(given).toBeGreaterThan(0);
});

test('a private part needs the rows of the whole pool, and not that every key of it was asked', async () => {
  const plan = membershipPlan(400, 20) as ClaimPlan;
  const bound = (keys: ClaimPlan['keys']) => ({
    ...bindings,
    trainable_rows: [...new Set(keys.flatMap(({ tokens }) => tokens))].sort((a, b) => a - b),
    private_part: { state: 'committed', digest: 'c'.repeat(64) } as const,
  });
  const whole = made(plan, bound(plan.keys));
  const { verdict, keys } = await verdictOf(whole.opened, whole.learnt, { until: 'matches' });
  expect(verdict).toMatchObject({ verdict: 'matches', exact: true });
  expect(keys.length).toBeLessThan(200);
  const part = { ...whole.opened, bindings: bound(plan.keys.slice(0, 399)) } as Opened;
  expect((await verdictOf(part, whole.learnt, { until: 'matches' })).verdict.exact).toBe(false);
});

test('a beginning after burnt keys is paid for: it could have been chosen', async () => {
  const { opened, learnt } = made(answersPlan());
  const verdict = await decideInTurn(
    opened,
    { asked, alpha: ALPHA, range: { from: 8, to: 32 } },
    {
      ...{ options: {}, look: () => 1 },
      async *ask(from, to) {
        for (let i = from; i < to; i++) yield await Promise.resolve(learnt(8 + i));
      },
    },
  );
  expect(verdict).toMatchObject({ verdict: 'verified', multiplicity: 64, keys: { from: 8, of: 32 } });
});
