// Holm and e-BH against statsmodels, fractions and the definition in numpy.

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { eBhOver, holmOver } from '../../src/verify/exact/multiple.ts';
import { lowestTerms, toPValue } from '../../src/verify/exact/ratio.ts';

interface Case {
  readonly p: readonly (readonly [string, string])[];
  readonly of: number;
  readonly holm: readonly (readonly [string, string])[];
  readonly statsmodels: readonly number[];
  readonly log10_e: readonly (number | null)[];
  readonly accepted: readonly (readonly number[])[];
}
const { alphas, cases } = JSON.parse(
  readFileSync(new URL('../../goldens/fleets/multiple.json', import.meta.url), 'utf8'),
) as { alphas: number[]; cases: Case[] };

describe.each(cases.map((each, i) => [i, each] as const))('case %i', (_, each) => {
  const ratios = each.p.map(([a, b]) => ({ numerator: BigInt(a), denominator: BigInt(b) }));
  test('Holm, to the last digit', () => {
    const got = holmOver(ratios, each.of);
    expect(got.map(lowestTerms)).toEqual(
      each.holm.map(([numerator, denominator]) => ({ numerator, denominator })),
    );
    for (const [i, p] of got.entries()) {
      const wanted = each.statsmodels[i]!;
      expect(Math.abs(toPValue(p).p_value - wanted)).toBeLessThanOrEqual(1e-12 * wanted);
    }
  });
  test('e-BH accepts the same at every level', () => {
    const e = each.log10_e.map((log10) => log10 ?? Number.NEGATIVE_INFINITY);
    const adjusted = eBhOver(e, each.of);
    for (const [a, alpha] of alphas.entries()) {
      const accepted = adjusted.flatMap((log10, i) => (log10 >= -Math.log10(alpha) ? [i] : []));
      expect(accepted).toEqual(each.accepted[a]);
    }
  });
  test('the order of the tests changes nothing', () => {
    const e = each.log10_e.map((log10) => log10 ?? Number.NEGATIVE_INFINITY);
    expect(eBhOver(e.toReversed(), each.of).toReversed()).toEqual(eBhOver(e, each.of));
    expect(holmOver(ratios.toReversed(), each.of).toReversed().map(lowestTerms)).toEqual(
      holmOver(ratios, each.of).map(lowestTerms),
    );
  });
});

test('no tests at all', () => {
  expect(holmOver([])).toEqual([]);
  expect(eBhOver([])).toEqual([]);
});
