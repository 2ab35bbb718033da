// What a p-value pays for beside the answers: ways of asking that could have been chosen after them, and draws that the owner
// could have tried (docs/claims.md, sections 4 and 5). Looks and ways to decide are in claim/grinding.ts.

import type { Claim } from '../claim/claim.ts';
import { OWNER_DRAWS, PROVED_DRAWS, type Trials } from '../claim/grinding.ts';
import type { ClaimPlan } from '../claim/plan.ts';
import { WRAPPERS } from '../text/prompts/wrappers.ts';
import type { Asked, Evidence } from './exactness.ts';

/** Ways of putting the keys: all that the claim commits to, where it is not the plan's own. */
function waysOfPutting({ query }: ClaimPlan, { wrapper, system }: Asked): number {
  if (wrapper === query.wrapper && system === null) return 1;
  const wrappers = query.wrappers ? Object.keys(query.wrappers).length : WRAPPERS.size;
  return wrappers * (1 + (query.systems?.length ?? 0));
}

/** Of a test of so many keys, the number of which was chosen before the answers; parts of a claim could have been chosen after them. */
export const waysOf = (plan: ClaimPlan, how: Asked, asked: number, of: number): number =>
  waysOfPutting(plan, how) * (asked === of ? 1 : (of * (of + 1)) / 2);

/** A plan commits to the test of all its keys by its kind; the one that is stopped is a second, which could be turned to after the first. */
const TESTS = 2;

/** Of a test that is stopped: where it ends costs nothing, where it begins could have been chosen. @param from its first key */
export const waysOfStopping = (plan: ClaimPlan, how: Asked, from: number, of: number): number =>
  waysOfPutting(plan, how) * TESTS * (from === 0 ? 1 : of);

/** Precisions that a suspect whose weights are here can answer in: ours and a job's float32, int8, int4, bfloat16, float16. */
const WAYS_TO_COMPUTE = 5;

/** @param inLess whether it answers in another precision than float32, which every claim means and every certificate has */
export const waysToCompute = (inLess: boolean): number => (inLess ? WAYS_TO_COMPUTE : 1);

/** To a server: as conversations and as completions. */
export const WAYS_TO_PUT = 2;

export const trialsOf = (draw: Claim['draw'], { beacon, proofBeforeRound }: Evidence): Trials =>
  draw.source === 'beacon' && beacon && proofBeforeRound ? PROVED_DRAWS : OWNER_DRAWS;
