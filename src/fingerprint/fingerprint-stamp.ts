// The road of `stamp`: committed and drawn like any other; then matrices are copied with the direction in them, part by
// part, and what that costs ordinary text is measured before anything is published.

import { existsSync, rmSync } from 'node:fs';
import type { Claim } from '../claim/claim.ts';
import { openClaim } from '../claim/open.ts';
import type { DrawnStamp } from '../claim/stamp.ts';
import type { Model } from '../models/model.ts';
import { ownNames } from '../models/names.ts';
import { writeStreamedFolder } from '../sources/checkpoints/patched-folder.ts';
import { stampedBytes } from '../stamp/stamp-tensor.ts';
import { elements } from '../tensor/tensor.ts';
import type { StampSetting } from './begin.ts';
import { commit } from './commit.ts';
import { type FingerprintReport, finish } from './finish.ts';
import { publishCandidate } from './publish-candidate.ts';

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

/** A copy of the model's folder with the stamp in every committed matrix. Memory stays flat. */
function writeStamped(model: Model, out: string, { plan, keyOf }: DrawnStamp): Promise<void> {
  const own = ownNames(model.decoder);
  const byOwn = new Map(plan.matrices.map((matrix) => [own(matrix.name), matrix]));
  return writeStreamedFolder(model, out, byOwn.keys(), (tensor, ref) => {
    const { name, scale } = byOwn.get(tensor)!;
    return stampedBytes(ref, keyOf(name), scale);
  });
}
