// The end of a run whose candidate is a whole model folder: what it costs ordinary text is measured, and below the limit
// it is published; then the secret knows its digests.

import { existsSync } from 'node:fs';
import { moveFolder } from '../base/atomic.ts';
import { Secret } from '../base/secret.ts';
import type { SecretContents } from '../claim/secret-contents.ts';
import { writeSecret } from '../claim/secret-file.ts';
import { configOptions, openModel } from '../models/open-model.ts';
import { noteLeftOut } from '../sources/checkpoints/carried.ts';
import { digestTensors } from '../sources/checkpoints/digest.ts';
import type { Setting } from './begin.ts';
import { digestsOf } from './commit.ts';
import { checkHarm, type HarmFigures, type WorstHarm, worstHarm } from './harm-limit.ts';
import { type HeldOutDifference, heldOutDifference } from './held-out-difference.ts';
import { writeModelCard } from './model-card.ts';
import { limitOf } from './options.ts';

interface Published extends HeldOutDifference {
  readonly worst: WorstHarm;
}

/** What the weights of all of a model cost. */
const ofWeights = ({ perplexity }: HeldOutDifference): HarmFigures => ({
  kind: 'perplexity',
  of: perplexity,
});

/**
 * A killed run may have published already: then harm is measured once more for the report, and nothing is moved.
 * @param contents all of the secret but the digests of what is published
 * @param figuresOf what the limit is held against
 * @throws WhorlError `too-harmful`
 */
export async function publishCandidate(
  setting: Pick<Setting, 'run' | 'model' | 'device' | 'tokenizer' | 'options' | 'onEvent' | 'method'>,
  contents: SecretContents,
  figuresOf: (measured: HeldOutDifference) => HarmFigures = ofWeights,
): Promise<Published> {
  const { run, model, options, onEvent } = setting;
  const isCandidate = !existsSync(run.published);
  onEvent({ kind: 'phase', name: 'held-out text', detail: 'vanilla and published' });
  const difference = await heldOutDifference(setting, isCandidate ? run.candidate : run.published);
  const figures = figuresOf(difference);
  const worst = isCandidate ? checkHarm(figures, limitOf(setting)) : worstHarm(figures);
  onEvent({ kind: 'phase', name: 'publishing', detail: run.published });
  if (isCandidate) {
    const facts = { claimRoot: contents.claim.root, harm: figures, measured: difference.difference };
    writeModelCard(model, run.candidate, facts, onEvent);
    moveFolder(run.candidate, run.published);
  }
  noteLeftOut(model, onEvent);
  const published = await openModel(run.published, configOptions(options));
  const complete = { ...contents, published: digestsOf(published.tensors, digestTensors(published), model) };
  await writeSecret(run.secret, new Secret(complete), options.lock);
  return { worst, ...difference };
}
