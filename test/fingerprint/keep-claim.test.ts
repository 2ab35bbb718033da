// What a run says before it trains: the most that its keys can prove, paid for as a verdict will be.

import { expect, test } from 'vitest';
import { commitClaim } from '../../src/claim/commitment.ts';
import type { PlanOf } from '../../src/claim/plan.ts';
import { reachOf } from '../../src/fingerprint/keep-claim.ts';
import { answersPlan, committing } from '../claim/plans.ts';

const stamp: PlanOf['drawn-answers']['stamp'] = {
  ...{ direction: 'shake256-normal-v1', epsilon: 0.001 },
  matrices: [{ name: 'a', dtype: 'bfloat16', shape: [4, 4], sha256: '7'.repeat(64), scale: 1e-5 }],
};

function said(change: Partial<PlanOf['drawn-answers']>): string {
  const plan = { ...answersPlan(13, 256), ...change };
  return reachOf(plan, commitClaim(plan, committing()).claim);
}

test('committed looks and the two ways to decide of a claim with a stamp count', () => {
  // 13 of 256: 2^-104, after 2^80 draws 2^-24 = 10^-7.2; 2^-20 is below 1e-6, 2^-19 is not.
  expect(said({})).toMatch(/at most 10\^-7.2 is left of p after 2\^80/);
  expect(said({ stamp })).toMatch(/at most 10\^-6.9 is left/);
  expect(said({ most_looks: 16 })).toMatch(/at most 10\^-6.0 is left/);
  expect(said({ most_looks: 16, stamp })).toMatch(/^no answers can verify/);
});
