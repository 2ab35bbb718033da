// The exact tests against Fractions of Python (goldens/exact/make.py) and against big integers counted here.

import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ClaimKind } from '../../src/claim/plan.ts';
import type { CountsOf, ExactTest } from '../../src/verify/exact/exact-test.ts';
import { atMost, decimal, ratio, timesCount, toPValue } from '../../src/verify/exact/ratio.ts';
import { poissonBinomialTail, T3 } from '../../src/verify/exact/t3.ts';
import { binomial, hypergeometricTail, T4 } from '../../src/verify/exact/t4.ts';

interface Figure {
  p_value: string;
  log10_p: string;
}
const goldens = JSON.parse(
  readFileSync(new URL('../../goldens/exact/tails.json', import.meta.url), 'utf8'),
) as {
  t3: ({ m: number; candidates: number[]; hits: number } & Figure)[];
  t4: ({ pool: number; n: number; all: number; hits: number } & Figure)[];
};

const pOf = <K extends ClaimKind>({ tail }: ExactTest<K>, counts: CountsOf[K]) => toPValue(tail(counts));
const places = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

const relative = (got: number, want: number): number =>
  got === want ? 0 : Math.abs(got - want) / Math.abs(want);

function sameFigure(got: { p_value: number; log10_p: number }, want: Figure): void {
  expect(relative(got.log10_p, Number(want.log10_p))).toBeLessThan(1e-14);
  const p = Number(want.p_value);
  if (p > 1e-300) expect(relative(got.p_value, p)).toBeLessThan(1e-14);
  expect(got.p_value).toBeGreaterThan(0);
}

describe('against Python', () => {
  test(`T3, ${goldens.t3.length} cases`, () => {
    for (const want of goldens.t3) sameFigure(pOf(T3, want), want);
    expect(Math.min(...goldens.t3.map((g) => Number(g.log10_p)))).toBeLessThan(-1037);
  });
  test(`T4, ${goldens.t4.length} cases`, () => {
    for (const want of goldens.t4) sameFigure(pOf(T4, want), want);
    expect(Math.min(...goldens.t4.map((g) => Number(g.log10_p)))).toBeLessThan(-800);
  });
});

test('the figures of claims.md', () => {
  expect(pOf(T4, { pool: 40, n: 10, all: 10, hits: 10 }).p_value).toBeCloseTo(1.2e-9, 10);
  expect(pOf(T4, { pool: 40, n: 10, all: 10, hits: 8 }).p_value.toExponential(1)).toBe('2.3e-5');
  expect(pOf(T4, { pool: 200, n: 10, all: 5, hits: 5 }).p_value).toBeLessThan(1e-6);
  expect(
    toPValue(
      T4.reachable(
        { pool: 64, n: 32, negatives: 0 },
        { kind: 'drawn-membership', trained: places(32), negatives: [] },
        new Set(),
      ),
    ).p_value.toExponential(1),
  ).toBe('5.5e-19');
  expect(
    toPValue(T3.reachable({ n: 32, m: 256 }, { kind: 'drawn-answers', indices: places(32) }, new Set()))
      .log10_p,
  ).toBeCloseTo(-77.06, 2);
  const half = pOf(T3, { m: 256, candidates: new Array<number>(32).fill(1), hits: 16 });
  expect(half.p_value.toExponential(1)).toBe('1.7e-30');
});

// T3 by sheer counting: all m^n draws of small cases.
test('T3 equals the share of all draws with as many hits', () => {
  const cases = fc
    .integer({ min: 2, max: 4 })
    .chain((m) =>
      fc.tuple(fc.constant(m), fc.array(fc.integer({ min: 0, max: m }), { minLength: 1, maxLength: 6 })),
    );
  fc.assert(
    fc.property(cases, ([m, candidates]) => {
      const ways = new Array<number>(candidates.length + 1).fill(0);
      const walk = (i: number, hits: number): void => {
        if (i === candidates.length) ways[hits]!++;
        else for (let j = 0; j < m; j++) walk(i + 1, hits + (j < candidates[i]! ? 1 : 0));
      };
      walk(0, 0);
      for (let hits = 0; hits <= candidates.filter((c) => c > 0).length; hits++) {
        const share = ways.slice(hits).reduce((a, b) => a + b, 0) / m ** candidates.length;
        expect(relative(poissonBinomialTail(candidates, m, hits).p_value, share)).toBeLessThan(1e-15);
      }
    }),
  );
});

test('T3 is binomial where every answer names one candidate', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 2, max: 5000 }), fc.nat(60), (n, m, k) => {
      const hits = Math.min(k, n);
      let tail = 0n;
      for (let i = hits; i <= n; i++) tail += binomial(n, i) * BigInt(m - 1) ** BigInt(n - i);
      expect(poissonBinomialTail(new Array<number>(n).fill(1), m, hits)).toEqual(
        hits === 0 ? { p_value: 1, log10_p: 0 } : ratio(tail, BigInt(m) ** BigInt(n)),
      );
    }),
  );
});

test('T4 equals the share of all memberships with as many hits', () => {
  for (let pool = 2; pool <= 9; pool++)
    for (let n = 1; n < pool; n++)
      for (let all = 0; all <= pool; all++)
        for (let hits = Math.max(0, n + all - pool); hits <= Math.min(n, all); hits++) {
          let [good, total] = [0, 0];
          for (let set = 0; set < 2 ** pool; set++) {
            if (bits(set) !== n) continue;
            total++;
            if (bits(set & (2 ** all - 1)) >= hits) good++;
          }
          expect(relative(hypergeometricTail(pool, n, all, hits).p_value, good / total)).toBeLessThan(1e-15);
        }
});
const bits = (set: number): number => set.toString(2).replaceAll('0', '').length;

test('fewer hits never lower p, and p lies in (0, 1]', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 256 }), { minLength: 1, maxLength: 40 }), (candidates) => {
      let last = 0;
      for (let hits = candidates.length; hits >= 0; hits--) {
        const { p_value, log10_p } = poissonBinomialTail(candidates, 256, hits);
        expect(p_value).toBeGreaterThanOrEqual(last);
        expect(p_value).toBeLessThanOrEqual(1);
        expect(log10_p).toBeLessThanOrEqual(0);
        last = p_value;
      }
    }),
  );
});

test('no hit gives 1, a model that shouts gives 1, counts that cannot be are our bug', () => {
  expect(pOf(T3, { m: 4, candidates: [1, 1], hits: 0 })).toEqual({ p_value: 1, log10_p: 0 });
  expect(pOf(T3, { m: 4, candidates: [4, 4, 0], hits: 2 })).toEqual({ p_value: 1, log10_p: 0 });
  expect(pOf(T4, { pool: 200, n: 10, all: 200, hits: 10 })).toEqual({ p_value: 1, log10_p: 0 });
  expect(() => pOf(T3, { m: 4, candidates: [1, 0], hits: 2 })).toThrow(/internal/);
  expect(() => pOf(T4, { pool: 20, n: 5, all: 3, hits: 4 })).toThrow(/internal/);
});

test('ratios: doubles where doubles reach, log10 beyond, never 0', () => {
  expect(ratio(1n, 3n).p_value).toBe(1 / 3);
  expect(ratio(1n, 10n ** 300n).p_value).toBeCloseTo(1e-300, 310);
  expect(ratio(3n, 10n ** 320n).p_value).toBe(3e-320); // subnormal
  expect(ratio(1n, 10n ** 1037n)).toEqual({ p_value: 5e-324, log10_p: -1037 });
  expect(relative(ratio(10n ** 40n - 1n, 10n ** 40n).log10_p, -1e-40 / Math.LN10)).toBeLessThan(1e-14);
  expect(ratio(5n, 5n)).toEqual({ p_value: 1, log10_p: 0 });
});

test('looks that were taken are paid for', () => {
  expect(timesCount(ratio(1n, 1000n), 10).log10_p).toBeCloseTo(-2, 12);
  expect(timesCount(ratio(1n, 5n), 10)).toEqual({ p_value: 1, log10_p: 0 });
});

test('a decimal is what is written, and a word is decided in integers', () => {
  expect(decimal(1e-6)).toEqual({ numerator: 1n, denominator: 1_000_000n });
  expect(decimal(0.05)).toEqual({ numerator: 5n, denominator: 100n });
  expect(decimal(1.5e-9)).toEqual({ numerator: 15n, denominator: 10n ** 10n });
  const half = { numerator: 1n, denominator: 2n ** 81n };
  expect(atMost(half, 2n ** 80n, decimal(0.5))).toBe(true);
  expect(atMost({ ...half, denominator: 2n ** 81n - 1n }, 2n ** 80n, decimal(0.5))).toBe(false);
});

test('what the keys that were asked as committed could reach: lost ones count for nothing', () => {
  const t3 = { n: 4, m: 10 };
  const draw = { kind: 'drawn-answers' as const, indices: [0, 1, 2, 3] };
  expect(toPValue(T3.reachable(t3, draw, new Set([1, 3]))).log10_p).toBeCloseTo(-2, 12);
  const t4 = { pool: 10, n: 3, negatives: 0 };
  const drawn = { kind: 'drawn-membership' as const, trained: [2, 5, 7], negatives: [] };
  expect(toPValue(T4.reachable(t4, drawn, new Set([2, 3]))).p_value).toBeCloseTo(3 / 45, 12);
  expect(toPValue(T4.reachable(t4, drawn, new Set([2, 5, 7]))).p_value).toBe(1);
});
