// `whorl fingerprint`: commit, draw, train, publish, keep the secret, measure every cell. Resumable at any moment.

import { type Plannable, plannable } from '../base/dry-run.ts';
import {
  begin,
  type FingerprintOptions,
  isRowsSetting,
  isStampSetting,
  type WeightsSetting,
} from './begin.ts';
import { checkDrawn } from './commit.ts';
import { fingerprintRows } from './fingerprint-rows.ts';
import { fingerprintStamp } from './fingerprint-stamp.ts';
import { fingerprintWeights } from './fingerprint-weights.ts';
import type { FingerprintReport } from './finish.ts';
import { planFingerprint } from './plan.ts';

export type { FingerprintOptions } from './begin.ts';
export type { FingerprintReport } from './finish.ts';

/**
 * @throws WhorlError `exists` for a finished run's folder, `mismatch` for an interrupted run of other options,
 *   `too-few-rows`, `not-reached`, and what opening the model throws. With `dryRun` nothing is written
 */
export const fingerprint: Plannable<FingerprintOptions, FingerprintReport> = plannable(
  planFingerprint,
  runFingerprint,
);

async function runFingerprint(options: FingerprintOptions): Promise<FingerprintReport> {
  const setting = await begin(options);
  checkDrawn(setting);
  if (isStampSetting(setting)) return fingerprintStamp(setting);
  return isRowsSetting(setting) ? fingerprintRows(setting) : fingerprintWeights(setting as WeightsSetting);
}
