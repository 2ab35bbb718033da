// `whorl fingerprint --dry-run`: what a run would be, after every check that comes before its first byte is written.

import { type DryRun, type PlannedFile, planOf } from '../base/dry-run.ts';
import { measureRate } from '../engine/rate.ts';
import { plannedJob } from '../launch/job.ts';
import { plannedModel } from '../models/model.ts';
import type { RunFolder } from '../runs/run-folder.ts';
import { prepare, type Ready } from './begin.ts';
import { checkDrawn } from './commit.ts';
import { isEstimated, runEstimate } from './estimate.ts';
import { type FingerprintOptions, limitOf } from './options.ts';

/** What a method leaves beside the files that every run has. */
const OWN_FILES: Readonly<Record<string, (run: RunFolder) => readonly PlannedFile[]>> = {
  adapter: (run) => [
    { path: run.answers('publish_w_adapter'), what: 'answers of the published model under the adapter' },
  ],
  lora: (run) => [{ path: run.lora, what: 'the adapter before it was merged' }],
};

/** @throws WhorlError whatever `fingerprint` refuses before it writes */
export async function planFingerprint(options: FingerprintOptions): Promise<DryRun> {
  const { ready, plan } = await planned('fingerprint', options);
  const { run, method, settings, model, device } = ready;
  const { launch } = options;
  return {
    ...plan,
    writes: [
      { path: run.published, what: 'the model, to upload' },
      ...plan.writes,
      ...(method.kind === 'stamp'
        ? []
        : [
            { path: run.answers('vanilla'), what: 'answers of the vanilla model' },
            { path: run.answers('publish'), what: 'answers of the published model' },
          ]),
      ...(OWN_FILES[method.name]?.(run) ?? []),
      ...(launch ? [plannedJob(run.job)] : []),
      { path: run.run, what: 'settings, hashes and figures' },
    ],
    notes: [
      ...plan.notes,
      `published only with at most ${limitOf({ options, method })} nats of harm`,
      ...(method.kind === 'stamp'
        ? []
        : [
            'whether ordinary text leaves enough tokens free is found out by the run itself, before it commits',
          ]),
    ],
    estimate: isEstimated(model, method.name)
      ? runEstimate(model, method.name, settings as object, await measureRate(device))
      : null,
  };
}

/** @throws WhorlError whatever `commitRun` refuses before it writes */
export async function planCommit(options: FingerprintOptions): Promise<DryRun> {
  const { ready, plan } = await planned('commit', options);
  const { beacon } = ready.options;
  const dice = beacon === undefined ? "dice: the owner's own" : `dice: round ${beacon} of drand's quicknet`;
  return { ...plan, notes: [...plan.notes, dice] };
}

/** All that a claim needs, checked, and what both commands say and write of it. */
async function planned(
  command: string,
  options: FingerprintOptions,
): Promise<{ readonly ready: Ready; readonly plan: DryRun }> {
  const ready = await prepare(options);
  const { run, method, settings, model, beginning } = ready;
  if (beginning.kind === 'resumed') checkDrawn(ready);
  const plan = planOf(command, {
    models: [plannedModel('model', model)],
    method: method.name,
    settings: { ...(settings as object) },
    writes: [claimOf(run), secretOf(run, options)],
    notes: BEGINNINGS[beginning.kind](run),
  });
  return { ready, plan };
}

const claimOf = ({ claim }: RunFolder): PlannedFile => ({ path: claim, what: 'the public commitment' });
const secretOf = ({ secret }: RunFolder, { lock }: FingerprintOptions): PlannedFile => ({
  path: secret,
  what: lock === undefined ? 'the secret, in clear' : 'the secret, encrypted',
});

const BEGINNINGS = {
  resumed: (run: RunFolder) => [`goes on with the interrupted run in ${run.path}`],
  new: (): string[] => [],
  refused: (run: RunFolder) => [`the refused command's run in ${run.path} is begun anew`],
  over: (run: RunFolder) => {
    const aside = run.aside();
    return [
      aside === undefined ? `${run.path} is emptied first` : `what is in ${run.path} is moved to ${aside}`,
    ];
  },
} as const;
