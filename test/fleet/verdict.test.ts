// One verdict over many suspects: which word each gets when all are paid for, and bytes that depend on nothing but the results. What Holm and
// e-BH are is in test/verify/multiple.test.ts; the words here are computed anew from the fractions.

import { describe, expect, test } from 'vitest';
import { SOFTWARE } from '../../src/base/software.ts';
import { commitClaim } from '../../src/claim/commitment.ts';
import { makeDraw } from '../../src/claim/draw.ts';
import { keyRoles, type Opened, openClaim } from '../../src/claim/open.ts';
import type { PlanOf } from '../../src/claim/plan.ts';
import type { StampPlan } from '../../src/claim/stamp.ts';
import { fleetVerdict, type Suspect, wordOfAll } from '../../src/fleet/verdict.ts';
import { log10EValue, log10Tail } from '../../src/stamp/tail.ts';
import { log10Calibrated } from '../../src/verify/channels.ts';
import type { VerifyReport } from '../../src/verify/report.ts';
import type { StampReading } from '../../src/verify/stamp.ts';
import { type DecideOptions, decide } from '../../src/verify/verdict.ts';
import { answersPlan, bindings, committing } from '../claim/plans.ts';

/** n keys of m candidates, at this level. */
function opened(n: number, m: number, alpha = 1e-6, more: Partial<PlanOf['drawn-answers']> = {}): Opened {
  const plan = { ...answersPlan(n, m), alpha, ...more };
  const { claim, opening } = commitClaim(plan, committing());
  const draw = makeDraw(claim, opening.reveal().owner_seed!);
  return openClaim(claim, {
    ...{ method: 'rows', created: claim.created, software: claim.software, claim, plan, bindings },
    ...{ opening: opening.reveal(), draw, randomness: null, adapter: null, rows: null, published: null },
  });
}

function suspect(
  claim: Opened,
  name: string,
  hits: number,
  more: Partial<Suspect> = {},
  how: DecideOptions = {},
): Suspect {
  const answers = keyRoles(claim).map(({ target }, i) => (i < hits ? target! : 'hm'));
  const report = {
    ...decide(claim, answers, how),
    ...{
      suspect: name,
      suspect_digests: null,
      endpoint: null,
      body_digests: null,
      claim_file: '/x/claim.json',
    },
    ...{ passive: null, software: SOFTWARE, burnt: 0, certificate: null, warnings: [], seconds: hits },
  } as unknown as VerifyReport;
  return { name, listed: true, report, ...more };
}

const words = (suspects: readonly Suspect[], failed = 0, elsewhere = 0) =>
  fleetVerdict(
    suspects,
    Array.from({ length: failed }, (_, i) => ({ name: `failed ${i}`, code: 'x', message: 'y' })),
    elsewhere,
  ).suspects.map(({ name, verdict }) => [name, verdict]);

describe('words', () => {
  // 8 keys of 16 candidates. A hit among 8 answers that each name one or no candidate: q = 1/16 for the hits, 0 for the others,
  // so h hits have p = 16^-h.
  const claim = opened(8, 16);
  test('p = 16^-5 is below 1e-6 alone, and not when two are paid for', () => {
    expect(16 ** -5).toBeLessThan(1e-6);
    expect(2 * 16 ** -5).toBeGreaterThan(1e-6);
    expect(suspect(claim, 'a', 5).report.verdict).toBe('matches');
    expect(words([suspect(claim, 'a', 5)])).toEqual([['a', 'matches']]);
    expect(words([suspect(claim, 'a', 5), suspect(claim, 'b', 0)])).toEqual([
      ['a', 'not-verified'],
      ['b', 'not-verified'],
    ]);
  });
  test('Holm steps down: where another one matches better, one less is paid for', () => {
    expect(words([suspect(claim, 'a', 5), suspect(claim, 'b', 7)])).toEqual([
      ['a', 'matches'],
      ['b', 'matches'],
    ]);
  });
  test('those that failed and those asked elsewhere are paid for', () => {
    for (const more of [
      [1, 0],
      [0, 1],
    ] as const)
      expect(words([suspect(claim, 'a', 5)], ...more)).toEqual([['a', 'not-verified']]);
  });
  test('suspects that the list leaves out are paid for and stay', () => {
    expect(words([suspect(claim, 'a', 5), suspect(claim, 'b', 0, { listed: false })])).toEqual([
      ['a', 'not-verified'],
      ['b', 'not-verified'],
    ]);
  });
  test('so many that no answers could have sufficed: undecided', () => {
    const short = opened(6, 16); // the floor is 16^-6 = 6e-8: 16 suspects are paid for, 17 are not
    const many = (n: number) => Array.from({ length: n }, (_, i) => suspect(short, `s${100 + i}`, 0));
    expect(new Set(words(many(16)).map(([, word]) => word))).toEqual(new Set(['not-verified']));
    expect(new Set(words(many(17)).map(([, word]) => word))).toEqual(new Set(['undecided']));
  });
  test('keys that the tokenizer changes cannot answer: too few are left for so many suspects', () => {
    // 7 of 8 keys can: 16^-7 is enough for 16 suspects and for 256, 4 of them (16^-4) for none.
    const many = (n: number, changed: number[]) =>
      Array.from({ length: n }, (_, i) => suspect(claim, `s${100 + i}`, 0, {}, { changed }));
    expect(new Set(words(many(16, [0])).map(([, word]) => word))).toEqual(new Set(['not-verified']));
    // 16^-5 is below alpha for one suspect and not for two, which the word of each alone does not know.
    expect(words(many(1, [0, 1, 2]))).toEqual([['s100', 'not-verified']]);
    expect(words(many(2, [0, 1, 2])).map(([, word]) => word)).toEqual(['undecided', 'undecided']);
  });
  test('verified only if what is left after the draws of the owner survives all suspects', () => {
    // 32 keys of 256: 12 hits are 2^-96, after 2^80 draws 2^-16.
    const long = opened(32, 256, 2e-5);
    expect(2 ** -16).toBeLessThan(2e-5);
    expect(words([suspect(long, 'a', 12)])).toEqual([['a', 'verified']]);
    expect(words([suspect(long, 'a', 12), suspect(long, 'b', 0)])).toEqual([
      ['a', 'matches'],
      ['b', 'not-verified'],
    ]);
  });
  test('counts only: no p, no e, the word stays', () => {
    const claimed = opened(8, 16);
    const none = suspect(claimed, 'a', 8);
    const answers = Array.from({ length: 8 }, () => 'x');
    const report = { ...none.report, ...decide(claimed, answers, { alpha: 0.5 }) } as VerifyReport;
    const [first] = fleetVerdict([{ ...none, report }], [], 0).suspects;
    expect(first).toMatchObject({ verdict: 'not-verified', holm: null, e_bh: null });
  });
  test('the word of all is the one that speaks most for the owner; none at all decide nothing', () => {
    expect(wordOfAll(fleetVerdict([suspect(claim, 'a', 0), suspect(claim, 'b', 8)], [], 0))).toBe('matches');
    expect(wordOfAll(fleetVerdict([suspect(claim, 'a', 0)], [], 0))).toBe('not-verified');
    expect(wordOfAll(fleetVerdict([], [], 0))).toBe('undecided');
  });
});

describe('e-BH', () => {
  test('accepts by e-values what is large enough for its rank', () => {
    const claim = opened(8, 16);
    const { suspects } = fleetVerdict(
      [suspect(claim, 'a', 8), suspect(claim, 'b', 7), suspect(claim, 'c', 0)],
      [],
      0,
    );
    // e of p = 16^-h by (1 - p + p ln p)/(p ln² p)
    const e = (p: number) => (1 - p + p * Math.log(p)) / (p * Math.log(p) ** 2);
    const [a, b] = [e(16 ** -8), e(16 ** -7)];
    expect(suspects[0]!.e_bh!.log10_e).toBeCloseTo(Math.log10(a), 9);
    const needed = (rank: number) => 3 / (rank * 1e-6);
    expect(suspects.map((s) => s.e_bh!.accepted)).toEqual([
      a >= needed(1) || b >= needed(2),
      b >= needed(2),
      false,
    ]);
    expect(suspects.map((s) => s.e_bh!.accepted_after_draws)).toEqual([false, false, false]);
  });

  test('of two channels their product, paid for looks: 1/p is no e-value where p is the smaller of two', () => {
    const stamp: StampPlan = {
      ...{ direction: 'shake256-normal-v1', epsilon: 0.001 },
      matrices: [{ name: 'a', dtype: 'bfloat16', shape: [4, 4], sha256: '7'.repeat(64), scale: 1e-5 }],
    };
    const claim = opened(8, 16, 1e-6, { stamp, most_looks: 3 });
    const reading = (z: number): StampReading => ({
      ...{ against_vanilla: true, z, log10_tail: log10Tail(z), log10_e: log10EValue(z) - Math.log10(2) },
      ...{ elements: 16, left_out: 0, matrices: [], not_read: [] },
    });
    const e = (z: number) => {
      const one = suspect(claim, 'a', 8, {}, { stamp: reading(z) });
      return { ...fleetVerdict([one], [], 0).suspects[0]!.e_bh!, p: one.report.log10_p! };
    };
    for (const z of [0, 9]) {
      const product = log10Calibrated(8 * Math.log10(1 / 16)) + log10EValue(z) - Math.log10(2);
      expect(e(z).log10_e).toBeCloseTo(product - Math.log10(3 * 2), 9);
    }
    expect(-e(0).p - e(0).log10_e).toBeGreaterThan(1); // the keys decide, and 1/p would be ten times too much
    expect(e(9).log10_e).toBeCloseTo(-e(9).p, 1);
  });
});

test('the same bytes for any order; nothing of times and places', () => {
  const claim = opened(8, 16);
  const suspects = [3, 1, 8, 0, 5, 5].map((hits, i) => suspect(claim, `s${i}`, hits));
  const failed = ['z', 'y'].map((name) => ({ name, code: 'x', message: 'y' }));
  const one = JSON.stringify(fleetVerdict(suspects, failed, 2));
  const others = suspects.map((s) => ({ ...s, report: { ...s.report, seconds: 99, claim_file: null } }));
  expect(JSON.stringify(fleetVerdict(others.toReversed(), failed.toReversed(), 2))).toBe(one);
});
