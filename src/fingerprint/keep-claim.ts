// claim.json of a run: written once, never replaced by another root; and what its size can prove at best.

import { existsSync, readFileSync } from 'node:fs';
import { writeFileAtomic } from '../base/atomic.ts';
import { WhorlError } from '../base/error.ts';
import { canonicalJson } from '../claim/canonical.ts';
import { type Claim, claimText, parseClaim } from '../claim/claim.ts';
import { looksOf, OWNER_DRAWS, PROVED_DRAWS } from '../claim/grinding.ts';
import { CLAIM_KINDS } from '../claim/kinds.ts';
import type { Bindings, ClaimKind, ClaimPlan } from '../claim/plan.ts';
import { readSecret, type Unlock } from '../claim/secret-file.ts';
import type { RunFolder } from '../runs/run-folder.ts';

type Vanilla = Bindings['vanilla'];

/**
 * Writes claim.json. @throws WhorlError `mismatch` with what differs where the folder's commits to another root: what was
 * committed stays committed
 */
export async function keepClaim(
  run: RunFolder,
  claim: Claim,
  vanilla: Vanilla,
  unlock: Unlock | undefined,
): Promise<void> {
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
    `${run.claim} is not what this run would commit to: ${[...differences(before, claim), ...(await otherModel(run, vanilla, unlock))].join(', ')}`,
    'resume with what it was begun with, or name a new folder with --out',
  );
}

/** What of two claims differs in the open; keys, answers and rows are behind the root. */
function differences(before: Claim, now: Claim): string[] {
  const parts: readonly [string, (claim: Claim) => unknown][] = [
    ['software', ({ software }) => `${software.name} ${software.version}`],
    ['format', ({ version }) => version],
    ['looks', (claim) => ('most_looks' in claim ? claim.most_looks : 'not committed')],
    ['draw', ({ draw }) => (draw.source === 'beacon' ? `beacon round ${draw.round}` : draw.source)],
    ['alpha', ({ alpha }) => alpha],
    ['kind', ({ kind }) => kind],
    ['channels', (claim) => ('channels' in claim ? claim.channels.join(' and ') : 'keys')],
    ['time', ({ created }) => created],
    ['private part', ({ private_part }) => private_part],
  ];
  const short = (value: unknown): string => String(value).slice(0, 24);
  const found = parts.flatMap(([name, of]) =>
    of(before) === of(now) ? [] : [`${name} (${short(of(before))}, now ${short(of(now))})`],
  );
  return found.length > 0 ? found : ['what is behind its root'];
}

/** What of the vanilla model differs, which claim.json does not tell: the run's secret does, where it is there and opens. */
async function otherModel(run: RunFolder, vanilla: Vanilla, unlock: Unlock | undefined): Promise<string[]> {
  let before: Vanilla;
  try {
    before = (await readSecret(run.secret, unlock)).reveal().bindings.vanilla;
  } catch (cause) {
    if (cause instanceof WhorlError) return []; // not there yet, or locked: then only the root speaks
    throw cause;
  }
  const names = Object.keys(vanilla) as (keyof Vanilla)[];
  const short = (digest: string | undefined): string => digest?.slice(0, 16) ?? 'not committed';
  return names.flatMap((name) =>
    before[name] === vanilla[name]
      ? []
      : [`${name} of the vanilla model (${short(before[name])}, now ${short(vanilla[name])})`],
  );
}

/** What the best of all answers could prove with the dice that are committed to: said before anything is trained. */
export function reachOf<K extends ClaimKind>(plan: ClaimPlan<K>, claim: Claim): string {
  if (plan.keys.length === 0)
    return 'a stamp: what it proves depends on what the weights of a suspect keep of it';
  const rules = CLAIM_KINDS[plan.kind as K];
  const proved = claim.draw.source === 'beacon';
  const { log10, words } = proved ? PROVED_DRAWS : OWNER_DRAWS;
  const looks = looksOf(claim, plan as ClaimPlan, 1, plan.keys.length);
  const left = rules.log10Floor(rules.size(plan)) + Math.log10(looks) + log10;
  return left <= Math.log10(plan.alpha)
    ? `all keys answered, at most 10^${left.toFixed(1)} is left of p after ${words}${proved ? ', if a time stamp before the round is attached (whorl prove)' : ''}`
    : proved
      ? `no answers can verify this claim (${words}): commit to more keys`
      : "no answers can verify this claim with the owner's own dice (2^80 draws): commit to more keys";
}
