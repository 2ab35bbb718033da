// `whorl resume`: a job's result taken in by the folder alone.

import { Command } from 'commander';
import { shellWords } from '../../base/shell.ts';
import type { Resumed } from '../../resume/resume-job.ts';
import { commandLine } from '../arguments.ts';
import { LAUNCH, showAsking, showWaiting } from '../launch-flags.ts';
import { DRY_RUN, type Given, given, JSON_LINE, withOptions } from '../options.ts';
import { printJson } from '../output.ts';
import { identityFrom, LOCK, lockFrom } from '../passphrase.ts';
import { withProgress } from '../progress.ts';
import { showPlan } from '../show-plan.ts';
import { showFinetune } from './finetune.ts';
import { RUN_LOCK, showFingerprint } from './fingerprint.ts';
import { showVerify, waitingOutcome } from './verify.ts';

const OPTIONS = { here: LAUNCH.here, python: LAUNCH.python, keepJob: LAUNCH.keepJob };
const { passphrase, passphraseFile } = LOCK;
const OWN = { passphrase, passphraseFile, identity: RUN_LOCK.identity, ...DRY_RUN, ...JSON_LINE };

export function resumeCommand(): Command {
  return withOptions(new Command('resume'), { ...OPTIONS, ...OWN })
    .description(
      'Checks the job and its result against the digests that were kept, takes the result in, and goes on as the command that wrote it would: cells and publishing, or the model, or the verdict, whose exit code it has then.',
    )
    .argument('<job>', 'the folder of the job, or its run')
    .action((job: string, _, called: Command) =>
      runResume(job, given(called, OPTIONS), given(called, OWN), () => commandLine(called)),
    );
}

async function runResume(
  job: string,
  options: Given<typeof OPTIONS>,
  own: Given<typeof OWN>,
  repeated: () => string,
): Promise<void> {
  const lock = await lockFrom(own);
  const began = performance.now();
  const { resumeJob } = await import('../../resume/resume-job.ts');
  const asked = {
    ...{ job, ...options },
    ...(lock && { lock }),
    ...(own.identity !== undefined && { unlock: identityFrom(own.identity) }),
  };
  if (own.dryRun)
    return showPlan(
      await withProgress((onEvent) => resumeJob({ ...asked, onEvent, dryRun: true })),
      own.json,
    );
  const resumed = await withProgress((onEvent) =>
    resumeJob({
      ...{ ...asked, onEvent },
      again: (out, minutes) =>
        shellWords(['whorl', 'fingerprint', '--out', out, '--max-minutes', String(minutes)]),
    }),
  );
  const isLocked = lock !== undefined || own.identity !== undefined;
  if (resumed.kind === 'verify') return showVerify(resumed.report, own.json);
  if (own.json) printJson(resumed.kind === 'waiting' ? resumed.job : resumed.report);
  else show(resumed, isLocked, (performance.now() - began) / 1000, repeated);
  if (resumed.kind === 'waiting' && resumed.command === 'verify') throw waitingOutcome(resumed.job);
}

function show(
  resumed: Exclude<Resumed, { readonly kind: 'verify' }>,
  isLocked: boolean,
  seconds: number,
  repeated: () => string,
): void {
  if (resumed.kind === 'waiting' && resumed.command === 'verify') showAsking(resumed.job, repeated());
  else if (resumed.kind === 'waiting')
    showWaiting(resumed.job, resumed.command === 'fingerprint', repeated());
  else if (resumed.kind === 'finetune') showFinetune(resumed.report);
  else showFingerprint(resumed.report, isLocked, seconds);
}
