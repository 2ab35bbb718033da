// No excess of small p over recorded answers of real models (bench/redraws.ts has all of them, a million times), for each of T3,
// T4, T5 and T6; and wrong formulas are seen.

import { readFileSync } from 'node:fs';
import { describe, expect, test, vi } from 'vitest';
import { toPValue } from '../../src/verify/exact/ratio.ts';
import { countDecoys, decoyRatio } from '../../src/verify/exact/t5.ts';
import { RANK_TESTS } from '../../src/verify/exact/t6.ts';
import { amongDecoys, LEVELS, redrawEach } from '../../src/verify/redraws.ts';
import { seeded } from '../claim/plans.ts';
import { type RecordedModel, TABLES, tableOf } from './recorded.ts';

const { models } = JSON.parse(
  readFileSync(new URL('../fixtures/recorded-answers.json', import.meta.url), 'utf8'),
) as { models: RecordedModel[] };
const TIMES = 20_000;
const BLOCK = 2000;
/** Four deviations above the level: 6 models, 4 tables, 4 tests and 4 levels are compared. */
const most = (level: number, times: number): number =>
  level * times + 4 * Math.sqrt(level * (1 - level) * times) + 1;

describe.each(models)('$name', (model) => {
  test.each(Object.keys(TABLES))('%s', (table) => {
    const { tests, times } = redrawEach(tableOf(model, table), TIMES, seeded(8), BLOCK);
    expect(tests.map(({ test }) => test.slice(0, 2)).sort()).toEqual(
      [TABLES[table]!.kind === 'drawn-answers' ? 'T3' : 'T4', 'T5', 'T5', 'T6'].sort(),
    );
    for (const { counts } of tests)
      for (const [i, level] of LEVELS.entries()) expect(counts[i]!).toBeLessThanOrEqual(most(level, times));
  });
});

test('six models, and tests that are put to work: p does come near its levels', () => {
  expect(models).toHaveLength(6);
  const shares = models.flatMap((model) =>
    Object.keys(TABLES).flatMap((table) => {
      const { tests, times } = redrawEach(tableOf(model, table), TIMES, seeded(9), BLOCK);
      return tests.map(({ test, counts }) => ({ test: test.slice(0, 2), share: counts[0]! / times }));
    }),
  );
  for (const name of ['T3', 'T4', 'T5', 'T6'])
    expect(Math.max(...shares.filter(({ test }) => test === name).map(({ share }) => share))).toBeGreaterThan(
      0.03,
    );
});

test('ranks that begin at 0, and tails one rank too far, are seen as an excess', () => {
  const table = tableOf(models[0]!, 'membership by a letter');
  const ranking = RANK_TESTS['drawn-membership']!;
  const { rank } = ranking;
  const wrong = vi.spyOn(ranking, 'rank').mockImplementation((size, scores, coin) => {
    const right = rank(size, scores, coin);
    return { ...right, tail: (statistic) => right.tail(statistic + 120) };
  });
  const { tests, times } = redrawEach(table, TIMES, seeded(8), BLOCK);
  wrong.mockRestore();
  const ranks = tests.find(({ test }) => test.startsWith('T6'))!;
  expect(ranks.counts[0]!).toBeGreaterThan(most(0.05, times));
});

test('a block is a T5 of each of its draws', () => {
  const random = seeded(2);
  const values = Float64Array.from({ length: 60 }, () => Math.floor(random() * 9));
  const p = amongDecoys(values);
  values.forEach((own, i) => {
    const others = values.filter((_, j) => j !== i);
    expect(p[i]).toBe(toPValue(decoyRatio(countDecoys((j) => others[j]! >= own, others.length))).p_value);
  });
});
