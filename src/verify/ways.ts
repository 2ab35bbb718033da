// Ways that a verdict could have been come to, other than by what was asked: whoever could choose one after he has seen them
// all pays for each (docs/claims.md, sections 4 and 10).

import { type Claim, hasStamp } from '../claim/claim.ts';

/** By a claim that has keys and a stamp: by its keys alone, as behind a server, or by both. */
const WAYS_TO_DECIDE = 2;
export const waysToDecide = (claim: Claim, keys: number): number =>
  keys > 0 && hasStamp(claim) ? WAYS_TO_DECIDE : 1;

/** To a server: as conversations and as completions. */
export const WAYS_TO_PUT = 2;
