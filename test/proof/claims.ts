// Claims with fixed salts, whose root the authority of goldens/time-stamps stamped.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../src/base/package-root.ts';
import { commitClaim } from '../../src/claim/commitment.ts';
import type { ClaimPlan } from '../../src/claim/plan.ts';
import { QUICKNET, type Round } from '../../src/proof/drand.ts';
import { answersPlan, committing } from '../claim/plans.ts';

/** A real round (test/fixtures/proofs/rounds.json) that the claim is committed to. */
export const ROUND = 32_285_085;

const fixed = () => {
  let call = 0;
  return (count: number): Uint8Array =>
    createHash('sha256').update(`fixed ${call++}`).digest().subarray(0, count);
};

/** Eight keys of 256 answers: 10^-19.3 at best, which 2^40 commitments leave below alpha and 2^80 draws do not. */
export const stamped = (plan = answersPlan(8, 256) as ClaimPlan) =>
  commitClaim(
    plan,
    committing({
      draw: { source: 'beacon', chain: QUICKNET.hash, round: ROUND },
      created: new Date('2026-09-17T11:59:00Z'),
      random: fixed(),
    }),
  );

/** A real round beside it. */
export const OTHER_ROUND = 32_285_086;

const { quicknet } = JSON.parse(
  readFileSync(join(packageRoot(), 'test/fixtures/proofs/rounds.json'), 'utf8'),
) as { quicknet: { round: number; signature: string }[] };

/** A real round as a claim keeps it. */
export function roundOf(number: number): Round {
  const { round, signature } = quicknet.find((one) => one.round === number)!;
  return { chain: QUICKNET.hash, round, signature };
}
