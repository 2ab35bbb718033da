// Where the job of a run lies, and what `whorl resume` repeats: the rest of the call is in what the run keeps.

import type { JobPlace } from '../launch/train-by-job.ts';
import type { Setting } from './begin.ts';
import type { FingerprintOptions } from './options.ts';

export const jobPlaceOf = ({ run, options }: Pick<Setting, 'run' | 'options'>): JobPlace => ({
  folder: run.job,
  ticket: run.ticket,
  order: { command: 'fingerprint', options: ordered(options) },
});

/** What to do where no state of a job holds. */
export const WITHOUT_JOB =
  'the claim is kept, and the same command without --launch trains with Whorl’s own engine as long as it takes';

/** What a run does not keep of its call by itself, and how it is known to have been given more than can be kept. */
function ordered({
  device,
  threads,
  precision,
  maxMinutes,
  maxHarm,
  cacheDir,
  lock,
  data,
  conversations,
  pooled,
  around,
  ordinary,
}: FingerprintOptions): Readonly<Record<string, unknown>> {
  // What a saved set says is read from it again.
  const given = data === undefined ? [conversations, pooled, around, ordinary] : [];
  return {
    ...{ device, threads, precision, maxMinutes, cacheDir },
    ...(maxHarm !== undefined && { maxHarm: String(maxHarm) }), // JSON has no infinity
    ...(lock && 'recipients' in lock && { recipients: lock.recipients }),
    ...(given.some((one) => one !== undefined) && { ownRows: true }),
  };
}
