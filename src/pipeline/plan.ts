// `whorl pipeline --dry-run`: what the modes would do, after every check that can be made before one of them has worked.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type DryRun, type PlannedFile, planOf } from '../base/dry-run.ts';
import { jobPlace } from '../finetune/user-finetune.ts';
import { fingerprint } from '../fingerprint/fingerprint.ts';
import { plannedJob } from '../launch/job.ts';
import { plannedModel } from '../models/model.ts';
import { tunedFolder } from '../runs/paper-folder.ts';
import { plannedAnswers } from './answer-files.ts';
import { openRun } from './opened-run.ts';
import { plannedVerdicts, userModelOf } from './ownership.ts';
import { type PipelineOptions, prepare, type Ready } from './ready.ts';
import { findUserModel, PREFIX } from './user-model.ts';

/** @throws WhorlError whatever `pipeline` refuses before it writes, and of later modes what can be known by then */
export async function planPipeline(options: PipelineOptions): Promise<DryRun> {
  const ready = await prepare(options);
  const { modes, task, tuning, vanilla, full, toMake, method, place } = ready;
  const made = toMake && (await fingerprint({ ...toMake, dryRun: true }));
  if (!toMake) await checkLaterModes(ready);
  else if (task && modes.includes('ownership_verify') && !modes.includes('alpaca'))
    userModelOf({ run: place.run, task: task.name });
  const user = modes.includes('alpaca')
    ? Object.entries(tuning).map(([name, value]) => [`${PREFIX}${name}`, value])
    : [];
  return planOf('pipeline', {
    models: [plannedModel('vanilla', vanilla)],
    method,
    settings: { ...full, ...made?.settings, ...Object.fromEntries(user) },
    writes: [
      ...(made?.writes ?? []),
      ...filesOf(ready, options.launch !== undefined, new Set(made?.writes.map(({ path }) => path))),
    ],
    notes: [
      `modes: ${modes.join(', ')}; what is done already, from the same inputs, is skipped`,
      ...(made?.notes ?? []),
    ],
    estimate: made?.estimate ?? null,
  });
}

/** A finished run is there: the modes that build on it can be checked as well. */
async function checkLaterModes({ modes, isWhole, task, user, place }: Ready): Promise<void> {
  const isVerified = modes.includes('ownership_verify');
  if (isWhole || isVerified) await openRun(place);
  if (task && modes.includes('alpaca')) {
    const { refusal } = await findUserModel(place, task, user);
    if (refusal) throw refusal;
  } else if (task && isVerified) userModelOf({ run: place.run, task: task.name });
}

function filesOf(
  { modes, isWhole, task, place }: Ready,
  isLaunched: boolean,
  named: ReadonlySet<string>,
): PlannedFile[] {
  const { run, flavour } = place;
  const isVerified = modes.includes('ownership_verify');
  const tuned = task && modes.includes('alpaca') ? tunedFolder(run.path, task.name) : undefined;
  const user = tuned !== undefined && !existsSync(tuned) ? tuned : undefined;
  const answers = [
    ...(isWhole || isVerified ? plannedAnswers(flavour) : []),
    ...(task && isVerified ? plannedAnswers(flavour, task.name) : []),
  ];
  const verdicts = isVerified ? plannedVerdicts(flavour, task?.name) : [];
  const inRun = (what: string) => (file: string) => ({ path: join(run.path, file), what });
  return [
    ...(user === undefined ? [] : [{ path: user, what: "the user's model" }]),
    ...(user !== undefined && isLaunched ? [plannedJob(jobPlace(user).folder)] : []),
    ...answers.map(inRun('answers')),
    ...verdicts.map(inRun('a verdict')),
    { path: join(run.path, 'pipeline.json'), what: 'what each file was made from' },
  ].filter(({ path }) => !named.has(path));
}
