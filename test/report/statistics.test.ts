// Intervals, exact p-values and t-tests against scipy's.

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { binomialTest, clopperPearson, tTest } from '../../src/report/statistics.ts';

interface Golden {
  intervals: { hits: number; of: number; level: number; low: number; high: number }[];
  binomial: { hits: number; of: number; numerator: number; denominator: number; p_value: number }[];
  t_tests: { values: number[]; t: number | string; p_value: number | string }[];
}
const golden = JSON.parse(
  readFileSync(new URL('../../goldens/report/statistics.json', import.meta.url), 'utf8'),
) as Golden;

const near = (got: number, wanted: number, digits: number) =>
  expect(Math.abs(got - wanted)).toBeLessThanOrEqual(Math.abs(wanted) * 10 ** -digits);

const PYTHON: Record<string, number> = {
  inf: Number.POSITIVE_INFINITY,
  '-inf': Number.NEGATIVE_INFINITY,
  nan: Number.NaN,
};

describe('as scipy', () => {
  test.each(golden.intervals)('interval of $hits in $of at $level', ({ hits, of, level, low, high }) => {
    const got = clopperPearson(hits, of, level);
    near(got.low, low, 9);
    near(got.high, high, 9);
  });

  test.each(golden.binomial)(
    '$hits of $of against $numerator/$denominator',
    ({ hits, of, numerator, denominator, p_value }) => {
      // scipy's tails underflow below 1e-300; ours are exact there, so that its zero is our tiny number
      const got = binomialTest(hits, of, numerator, denominator);
      if (p_value === 0) expect(got).toBeLessThan(1e-300);
      else near(got, p_value, 9);
    },
  );

  test.each(golden.t_tests)('t-test of $values', ({ values, t, p_value }) => {
    const got = tTest(values, 75);
    for (const [mine, wanted] of [
      [got.t, t],
      [got.p_value, p_value],
    ] as const) {
      if (typeof wanted === 'number') near(mine, wanted, 11);
      else expect(mine).toBe(PYTHON[wanted]);
    }
  });
});
