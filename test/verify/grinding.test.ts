// An owner who draws again and again, by other seeds or other salts, until the draw falls on keys that an innocent model answers
// anyway: however good the best of them, it is his word and no proof, and public dice leave him no such choice.

import { expect, test } from 'vitest';
import { commitClaim } from '../../src/claim/commitment.ts';
import { makeDraw } from '../../src/claim/draw.ts';
import type { OpenedOf } from '../../src/claim/open.ts';
import { decide, type Verdict } from '../../src/verify/verdict.ts';
import { bindings, committing, membershipPlan } from '../claim/plans.ts';

const plan = { ...membershipPlan(60, 6, 0), alpha: 0.2 };
/** An innocent model that says the decryption to every fourth key. */
const answers = plan.keys.map((_, i) => (i % 4 === 0 ? ` ${plan.decryptions[0]}` : 'hm'));
const TRIES = 100; // one in six of them reaches the level

const best = (opened: Iterable<OpenedOf<'drawn-membership'>>): Verdict => {
  let least: Verdict | undefined;
  for (const one of opened) {
    const verdict = decide(one, answers);
    if (!least || verdict.log10_p! < least.log10_p!) least = verdict;
  }
  return least!;
};

function* bySeeds(): Generator<OpenedOf<'drawn-membership'>> {
  const { claim } = commitClaim(plan, committing());
  for (let i = 0; i < TRIES; i++) {
    const draw = makeDraw(claim, i.toString(16).padStart(64, '0'));
    yield { kind: 'drawn-membership', claim, plan, bindings, draw };
  }
}
function* bySalts(): Generator<OpenedOf<'drawn-membership'>> {
  for (let i = 0; i < TRIES; i++) {
    const { claim } = commitClaim(plan, committing());
    const draw = makeDraw(claim, '7'.repeat(64));
    yield { kind: 'drawn-membership', claim, plan, bindings, draw };
  }
}

test.each([
  ['seeds', bySeeds],
  ['salts', bySalts],
])('the best of many %s reaches the level by p alone, and is not verified', (_, tries) => {
  const verdict = best(tries());
  expect(verdict.p_value).toBeLessThan(plan.alpha);
  expect(verdict).toMatchObject({ verdict: 'matches', exact: true, log10_p_after_grinding: 0 });
  expect(verdict.reason).toMatch(/owner's word, and no proof/);
});
