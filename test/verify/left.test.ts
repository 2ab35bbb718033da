// What is left where keys are not: a stamp that no certificate opened decides alone, also beside keys that are too few.

import { expect, test } from 'vitest';
import { commitClaim } from '../../src/claim/commitment.ts';
import { makeDraw } from '../../src/claim/draw.ts';
import type { Opened } from '../../src/claim/open.ts';
import type { ClaimPlan } from '../../src/claim/plan.ts';
import type { SecretContents } from '../../src/claim/secret-contents.ts';
import { keysLeft } from '../../src/verify/certificate/burn.ts';
import { decideInTurn } from '../../src/verify/sequential/in-turn.ts';
import { readingFrom } from '../../src/verify/stamp.ts';
import { decide } from '../../src/verify/verdict.ts';
import { answersPlan, bindings, committing, membershipPlan, words } from '../claim/plans.ts';
import { stamped } from './certificate/made.ts';

const opened = (plan: ClaimPlan): Opened => {
  const { claim } = commitClaim(plan, committing());
  return { kind: plan.kind, claim, plan, draw: makeDraw(claim, 'a'.repeat(64)), bindings } as Opened;
};
/** z = 14 in each matrix. */
const stampOf = ({ stamp }: ClaimPlan) =>
  readingFrom(
    stamp!,
    stamp!.matrices.map(({ shape }) => ({
      ...{ elements: shape.reduce((a, b) => a * b), left_out: 0, dot: 14, squares: 1 },
    })),
    true,
  );
const perKey = { ...answersPlan(8, 16), candidates: Array.from({ length: 8 }, () => words(16)) };
const PLANS = [answersPlan(8, 16), perKey, membershipPlan(40, 5, 4)] as ClaimPlan[];

test.each(PLANS.map((plan, i) => [i, stamped(plan)] as const))(
  'all keys opened, the stamp closed: it decides by the product that is paid for anyway (%i)',
  (_, plan) => {
    const of = plan.keys.length;
    const stamp = stampOf(plan);
    const verdict = decide(opened(plan), [], { range: { from: of, to: of }, stamp });
    expect(verdict).toMatchObject({ verdict: 'verified', exact: true, keys: { from: of, to: of, of } });
    expect(verdict.channels!.keys).toMatchObject({ log10_p: 0 });
    // Keys that say nothing halve the e-value; 1/e rounded up to hundredths, and two ways to decide.
    const best = Math.log10(2) - (stamp.log10_e - Math.log10(2));
    expect(verdict.log10_p).toBeGreaterThanOrEqual(best - 1e-9);
    expect(verdict.log10_p).toBeLessThan(best + 0.011);
    const silent = decide(opened(plan), [], {
      range: { from: of, to: of },
      stamp: { ...stamp, log10_e: -1 },
    });
    expect(silent.verdict).toBe('not-verified');
  },
);

test('which keys are left: none beside a closed stamp; refused where nothing is secret any more', () => {
  const secret = (plan: ClaimPlan, ...records: object[]) =>
    ({ plan, opened: records }) as Partial<SecretContents> as SecretContents;
  const plan = answersPlan(8, 16) as ClaimPlan;
  const all = { from: 0, to: 8 };
  expect(keysLeft(secret(stamped(plan), all), undefined)).toEqual({ from: 8, to: 8, burnt: 8 });
  expect(() => keysLeft(secret(stamped(plan), all), 3)).toThrow('all 8 keys');
  expect(() => keysLeft(secret(stamped(plan), { ...all, stamp: true }), undefined)).toThrow('all 8 keys');
  expect(() => keysLeft(secret(plan, all), undefined)).toThrow('all 8 keys');
});

test('keys that are too few for a test that stops, beside a stamp: nothing is asked, and it decides', async () => {
  const plan = stamped(answersPlan(2, 16) as ClaimPlan);
  const asked = { wrapper: 'bare', system: null };
  const inTurn = (more: object) =>
    decideInTurn(
      opened(plan),
      { asked, range: { from: 0, to: 2 }, ...more },
      {
        ...{ options: {}, look: () => 1 },
        ask: () => {
          throw new Error('asked');
        },
      },
    );
  expect(await inTurn({ stamp: stampOf(plan) })).toMatchObject({
    ...{ verdict: 'verified', exact: true, sequential: { asked: 0, stopped: 'out-of-reach' } },
  });
  await expect(inTurn({})).rejects.toThrow('too few');
});
