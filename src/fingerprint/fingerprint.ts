// `whorl fingerprint`: commit, draw, train, publish, keep the secret, measure every cell. Resumable at any moment.

import { type Plannable, plannable } from '../base/dry-run.ts';
import { byOurselves, type LaunchOptions, type WaitingJob } from '../launch/job.ts';
import { begin, isRowsSetting, isStampSetting, type WeightsSetting } from './begin.ts';
import { checkDrawn } from './commit.ts';
import { fingerprintRows } from './fingerprint-rows.ts';
import { fingerprintStamp } from './fingerprint-stamp.ts';
import { fingerprintWeights } from './fingerprint-weights.ts';
import type { FingerprintReport } from './finish.ts';
import type { FingerprintOptions } from './options.ts';
import { planFingerprint } from './plan.ts';

export type { FingerprintReport } from './finish.ts';
export type { FingerprintOptions } from './options.ts';

/**
 * @throws WhorlError `exists` for a finished run's folder, `mismatch` for an interrupted run of other options,
 *   `too-few-rows`, `not-reached`, and what opening the model throws. With `dryRun` nothing is written
 */
export const fingerprint: Plannable<Omit<FingerprintOptions, 'launch'>, FingerprintReport> = plannable(
  planFingerprint,
  byOurselves(runFingerprint),
);

/**
 * The same with the training handed over to torch: commit and draw, write the job, and return it; the same call again takes
 * its result in, and measures, publishes and reports as after our own training.
 * @throws WhorlError `unsupported` for a method that torch's program has no loss for, `changed` or `mismatch` for a job or
 *   result that is not this run's, `job-failed`
 */
export const launchFingerprint: Plannable<
  FingerprintOptions & { readonly launch: LaunchOptions },
  FingerprintReport | WaitingJob
> = plannable(planFingerprint, runFingerprint);

async function runFingerprint(options: FingerprintOptions): Promise<FingerprintReport | WaitingJob> {
  const setting = await begin(options);
  checkDrawn(setting);
  if (isStampSetting(setting)) return fingerprintStamp(setting);
  return isRowsSetting(setting) ? fingerprintRows(setting) : fingerprintWeights(setting as WeightsSetting);
}
