// `whorl pipeline`: the paper's three modes over its own folder, which is a private run folder. Every model and every
// file is whole or absent, and is skipped where it is there already.

import { existsSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Plannable, plannable } from '../base/dry-run.ts';
import { fingerprint } from '../fingerprint/fingerprint.ts';
import { byOurselves, type LaunchOptions, type WaitingJob } from '../launch/job.ts';
import { type Flavour, tunedFolder } from '../runs/paper-folder.ts';
import type { RunFolder } from '../runs/run-folder.ts';
import type { OwnershipFile } from './answer-files.ts';
import { Ledger } from './ledger.ts';
import { answerBase, type OwnershipVerdict, verifyOwnership } from './ownership.ts';
import { planPipeline } from './plan.ts';
import { type Mode, type PipelineOptions, prepare } from './ready.ts';
import { makeUserModel } from './user-model.ts';

export { MODES, type Mode, modeNamed, type PipelineOptions } from './ready.ts';

export interface PipelineReport {
  readonly run: string;
  readonly flavour: Flavour;
  readonly modes: readonly Mode[];
  readonly published: string;
  readonly user: string | null;
  readonly files: readonly OwnershipFile[];
  readonly verdicts: readonly OwnershipVerdict[];
  readonly seconds: number;
}

/**
 * With `dryRun` nothing is written.
 * @throws WhorlError `usage`, `mismatch` for a folder of other settings, and what fingerprint, finetune and verify throw
 */
export const pipeline: Plannable<Omit<PipelineOptions, 'launch'>, PipelineReport> = plannable(
  planPipeline,
  byOurselves(runPipeline),
);

/**
 * The same with the user's fine-tuning handed over to torch: its job comes back while it is not done; the same call again
 * takes its result in and goes on. @throws WhorlError as `pipeline` and `launchFinetune` do
 */
export const launchPipeline: Plannable<
  PipelineOptions & { readonly launch: LaunchOptions },
  PipelineReport | WaitingJob
> = plannable(planPipeline, runPipeline);

async function runPipeline(options: PipelineOptions): Promise<PipelineReport | WaitingJob> {
  const started = Date.now();
  const { modes, isWhole, task, user, toMake, place } = await prepare(options);
  const { run, onEvent } = place;
  if (toMake) await fingerprint(toMake);
  // Read only now: what a run that was moved aside had noted is not of this one.
  const asking = { ...place, ledger: new Ledger(run.path) };
  const tuned = task && tunedFolder(run.path, task.name);
  const base = isWhole ? await answerBase(asking) : { files: [], verdicts: [] };
  const job =
    task && modes.includes('alpaca') ? await makeUserModel(asking, task, user, options.launch) : undefined;
  if (job) return job;
  const checked = modes.includes('ownership_verify')
    ? await verifyOwnership({ ...asking, ...(task && { task: task.name }) })
    : base;
  if (options.unlock && checked.files.length > 0)
    onEvent({
      kind: 'note',
      text: `the answer files in ${run.path} (.jsonl) hold keys in clear, although the secret is locked: keep the folder to yourself, or remove them`,
    });
  tidy(run);
  return {
    run: run.path,
    flavour: options.flavour,
    modes,
    published: run.published,
    user: tuned && existsSync(tuned) ? tuned : null,
    ...checked,
    seconds: (Date.now() - started) / 1000,
  };
}

/** Takes away the folder of unfinished work, unless something in it is unfinished. */
function tidy(run: RunFolder): void {
  try {
    rmdirSync(join(run.path, 'work'));
  } catch {
    // not there, or another task's checkpoint is in it
  }
}
