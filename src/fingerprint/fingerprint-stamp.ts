// The road of `stamp`: committed and drawn like any other; then matrices are copied with the direction in them, part by
// part, and what that costs ordinary text is measured before anything is published.

import { existsSync, rmSync } from 'node:fs';
import type { Claim } from '../claim/claim.ts';
import { openClaim } from '../claim/open.ts';
import { elements } from '../tensor/tensor.ts';
import type { StampSetting } from './begin.ts';
import { commit } from './commit.ts';
import { type FingerprintReport, finish } from './finish.ts';
import { publishCandidate } from './publish-candidate.ts';
import { writeStamped } from './stamped.ts';

export async function fingerprintStamp(setting: StampSetting): Promise<FingerprintReport> {
  const { run, model, onEvent } = setting;
  const contents = (await commit(setting)).secret.reveal();
  const stamp = openClaim(contents.claim as Claim, contents).stamp!;
  const began = Date.now();
  if (!existsSync(run.published)) {
    rmSync(run.candidate, { recursive: true, force: true });
    onEvent({ kind: 'phase', name: 'stamping', detail: `${stamp.plan.matrices.length} matrices` });
    await writeStamped(model, run.candidate, stamp);
  }
  const seconds = (Date.now() - began) / 1000;
  const published = await publishCandidate(setting, contents);
  const parameters = stamp.plan.matrices.reduce((sum, { shape }) => sum + elements(shape), 0);
  return finish(setting, contents, { steps: 0, tokens: 0, seconds, gate: [] }, [], {
    rows: 0,
    parameters,
    ...published,
    harm: published.perplexity,
  });
}
