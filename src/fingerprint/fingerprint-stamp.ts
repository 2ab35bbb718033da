// The road of `stamp`: committed and drawn like any other; then matrices are copied with the direction in them, part by
// part, and what that costs ordinary text is measured before anything is published.

import { existsSync, rmSync } from 'node:fs';
import { moveFolder } from '../base/atomic.ts';
import { Secret } from '../base/secret.ts';
import type { Claim } from '../claim/claim.ts';
import { openClaim } from '../claim/open.ts';
import { writeSecret } from '../claim/secret-file.ts';
import type { DrawnStamp } from '../claim/stamp.ts';
import { asking } from '../lm/open.ts';
import type { Model } from '../models/model.ts';
import { ownNames } from '../models/names.ts';
import { configOptions, openModel } from '../models/open-model.ts';
import { noteLeftOut } from '../sources/checkpoints/carried.ts';
import { digestTensors } from '../sources/checkpoints/digest.ts';
import { writeStreamedFolder } from '../sources/checkpoints/patched-folder.ts';
import { stampedBytes } from '../stamp/stamp-tensor.ts';
import { elements } from '../tensor/tensor.ts';
import { limitOf, type StampSetting } from './begin.ts';
import { commit, digestsOf } from './commit.ts';
import { type FingerprintReport, finish } from './finish.ts';
import { checkHarm, worstHarm } from './harm-limit.ts';
import { writeModelCard } from './model-card.ts';
import { heldOutScores, perplexities } from './perplexity.ts';

export async function fingerprintStamp(setting: StampSetting): Promise<FingerprintReport> {
  const { run, model, device, tokenizer, options, onEvent } = setting;
  const contents = (await commit(setting)).secret.reveal();
  const stamp = openClaim(contents.claim as Claim, contents).stamp!;
  const began = Date.now();
  if (!existsSync(run.published)) {
    rmSync(run.candidate, { recursive: true, force: true });
    onEvent({ kind: 'phase', name: 'stamping', detail: `${stamp.plan.matrices.length} matrices` });
    await writeStamped(model, run.candidate, stamp);
  }
  const seconds = (Date.now() - began) / 1000;
  const made = existsSync(run.published) ? run.published : run.candidate; // a killed run may have published already
  onEvent({ kind: 'phase', name: 'held-out text', detail: 'perplexity before and after' });
  const scores = (of: string | Model) =>
    asking({ kind: 'model', model: of, tokenizer }, { device, ...configOptions(options) }, heldOutScores);
  const perplexity = perplexities(await scores(model), await scores(made));
  const figures = { kind: 'perplexity', of: perplexity } as const;
  const worst = made === run.candidate ? checkHarm(figures, limitOf(setting)) : worstHarm(figures);
  onEvent({ kind: 'phase', name: 'publishing', detail: run.published });
  if (made === run.candidate) {
    writeModelCard(model, made, { claimRoot: contents.claim.root, harm: figures }, onEvent);
    moveFolder(made, run.published);
  }
  noteLeftOut(model, onEvent);
  const published = await openModel(run.published, configOptions(options));
  const complete = { ...contents, published: digestsOf(published.tensors, digestTensors(published), model) };
  await writeSecret(run.secret, new Secret(complete), options.lock);
  const parameters = stamp.plan.matrices.reduce((sum, { shape }) => sum + elements(shape), 0);
  return finish(setting, contents, { steps: 0, tokens: 0, seconds, gate: [] }, [], {
    rows: 0,
    worst,
    parameters,
    perplexity,
    harm: perplexity,
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
