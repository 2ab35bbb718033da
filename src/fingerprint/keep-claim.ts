// claim.json of a run: written once, never replaced by another root; and what its size can prove at best.

import { existsSync, readFileSync } from 'node:fs';
import { writeFileAtomic } from '../base/atomic.ts';
import { WhorlError } from '../base/error.ts';
import { canonicalJson } from '../claim/canonical.ts';
import { type Claim, claimText, parseClaim } from '../claim/claim.ts';
import { LOG10_OWNER_DRAWS } from '../claim/grinding.ts';
import { CLAIM_KINDS } from '../claim/kinds.ts';
import type { ClaimKind, ClaimPlan } from '../claim/plan.ts';
import type { RunFolder } from '../runs/run-folder.ts';

/**
 * Writes claim.json. @throws WhorlError `mismatch` with what differs where the folder's commits to another root: what was
 * committed stays committed
 */
export function keepClaim(run: RunFolder, claim: Claim): void {
  if (!existsSync(run.claim)) {
    if (existsSync(run.secret))
      throw new WhorlError(
        'mismatch',
        `${run.secret} is there and its claim.json is gone`,
        'put claim.json back to resume the run, or name a new folder with --out',
      );
    writeFileAtomic(run.claim, claimText(claim));
    return;
  }
  const before = parseClaim(readFileSync(run.claim, 'utf8'), run.claim);
  if (canonicalJson(before) === canonicalJson(claim)) return;
  throw new WhorlError(
    'mismatch',
    `${run.claim} is not what this run would commit to: ${differences(before, claim).join(', ')}`,
    'resume with what it was begun with, or name a new folder with --out',
  );
}

/** What of two claims differs in the open; keys, answers and rows are behind the root. */
function differences(before: Claim, now: Claim): string[] {
  const parts: readonly [string, (claim: Claim) => unknown][] = [
    ['software', ({ software }) => `${software.name} ${software.version}`],
    ['vanilla weights', ({ vanilla }) => vanilla.weights],
    ['tokenizer', ({ vanilla }) => vanilla.tokenizer ?? 'not committed'],
    ['config', ({ vanilla }) => vanilla.config ?? 'not committed'],
    ['alpha', ({ alpha }) => alpha],
    ['kind', ({ kind }) => kind],
    ['time', ({ created }) => created],
    ['private part', ({ private_part }) => private_part],
  ];
  const short = (value: unknown): string => String(value).slice(0, 24);
  const found = parts.flatMap(([name, of]) =>
    of(before) === of(now) ? [] : [`${name} (${short(of(before))}, now ${short(of(now))})`],
  );
  return found.length > 0 ? found : ['keys, answers, rows or the seed'];
}

/** What the best of all answers could prove with the owner's own dice: said before anything is trained. */
export function reachOf<K extends ClaimKind>(plan: ClaimPlan<K>): string {
  if (plan.keys.length === 0)
    return 'a stamp: what it proves depends on what the weights of a suspect keep of it';
  const rules = CLAIM_KINDS[plan.kind as K];
  const left = rules.log10Floor(rules.size(plan)) + LOG10_OWNER_DRAWS;
  return left <= Math.log10(plan.alpha)
    ? `all keys answered, at most 10^${left.toFixed(1)} is left of p after 2^80 draws of the owner's own`
    : "no answers can verify this claim with the owner's own dice (2^80 draws): commit to more keys";
}
