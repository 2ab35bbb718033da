// `whorl resume`: a job's result taken in by who has its folder alone. The call that wrote it is repeated as it was.

import { join } from 'node:path';
import type { Abortable } from '../base/abort.ts';
import { type DryRun, type Plannable, plannable } from '../base/dry-run.ts';
import { WhorlError } from '../base/error.ts';
import type { OnEvent } from '../base/events.ts';
import type { Lock, Unlock } from '../claim/secret-file.ts';
import {
  launchFinetune,
  type UserFinetuneOptions,
  type UserFinetuneReport,
} from '../finetune/user-finetune.ts';
import {
  type FingerprintOptions,
  type FingerprintReport,
  launchFingerprint,
} from '../fingerprint/fingerprint.ts';
import type { AskJobWaits } from '../launch/ask-job.ts';
import { isWaiting, type LaunchOptions, type WaitingJob } from '../launch/job.ts';
import { findOrder, type JobOrder } from '../launch/order.ts';
import { launchVerify, type VerifyOptions, type VerifyReport } from '../verify/verify.ts';

export interface ResumeJobOptions extends Abortable, Pick<LaunchOptions, 'here' | 'python' | 'keepJob'> {
  /** The job's folder, or its run. */
  readonly job: string;
  /** As the fingerprint's run was locked, where it was; recipients are known. */
  readonly lock?: Lock;
  /** What opens the run, or the secret that a suspect is asked by. */
  readonly unlock?: Unlock;
  /** How a caller goes on with a fingerprint that has failed, in its own words. */
  readonly again?: (out: string, minutes: number) => string;
  readonly onEvent?: OnEvent;
}

export type Resumed =
  | { readonly kind: 'waiting'; readonly command: 'fingerprint' | 'finetune'; readonly job: WaitingJob }
  | { readonly kind: 'waiting'; readonly command: 'verify'; readonly job: AskJobWaits }
  | { readonly kind: 'fingerprint'; readonly report: FingerprintReport }
  | { readonly kind: 'finetune'; readonly report: UserFinetuneReport }
  | { readonly kind: 'verify'; readonly report: VerifyReport };

/**
 * Takes the result of a job in, and goes on as after Whorl's own work: cells, publishing, report; or the model; or the verdict.
 * @throws WhorlError `missing-file` where no job waits, `usage` for one whose rows were given by a program, and what
 *   `launchFingerprint`, `launchFinetune` and `launchVerify` throw
 */
export const resumeJob: Plannable<ResumeJobOptions, Resumed> = plannable(
  async (options): Promise<DryRun> => {
    const { order, launch, more } = repeated(options);
    const plan = await REPEATED[order.command](order, launch, more).plan();
    return { ...plan, command: 'resume' };
  },
  async (options): Promise<Resumed> => {
    const { order, launch, more } = repeated(options);
    const { command } = order;
    const report = await REPEATED[command](order, launch, more).run();
    return (
      isWaiting(report) ? { kind: 'waiting', command, job: report } : { kind: command, report }
    ) as Resumed;
  },
);

function repeated({ job, here, python, keepJob, ...more }: ResumeJobOptions) {
  const order = findOrder(job);
  const launch: LaunchOptions = {
    ...order.launch,
    ...(here && { here }),
    ...(python !== undefined && { python }),
    ...(keepJob && { keepJob }),
  };
  return { order, launch, more };
}

type More = Omit<ResumeJobOptions, 'job' | 'here' | 'python' | 'keepJob'>;

/** A call as it was, to be planned or made. */
interface Repeated {
  plan(): Promise<DryRun>;
  run(): Promise<FingerprintReport | UserFinetuneReport | VerifyReport | WaitingJob | AskJobWaits>;
}

const REPEATED: Readonly<
  Record<JobOrder['command'], (order: JobOrder, launch: LaunchOptions, more: More) => Repeated>
> = {
  fingerprint({ options, out }, launch, { lock, again, ...more }) {
    const { ownRows, recipients, maxHarm, ...asked } = options;
    if (ownRows)
      throw new WhorlError(
        'usage',
        `the run in ${out} is of rows or keys that a program gave`,
        'repeat the call that wrote the job',
      );
    const locked = lock ?? (recipients ? { recipients: recipients as string[] } : undefined);
    const call = {
      ...(asked as Partial<FingerprintOptions>),
      ...more,
      ...(again && { again: (minutes: number) => again(out, minutes) }),
      ...(maxHarm !== undefined && { maxHarm: Number(maxHarm) }),
      ...(locked && { lock: locked }),
      ...{ out, launch },
    } as FingerprintOptions & { readonly launch: LaunchOptions };
    return {
      plan: () => launchFingerprint({ ...call, dryRun: true }),
      run: () => launchFingerprint({ ...call, dryRun: false }),
    };
  },
  finetune({ options, out }, launch, { lock: _, unlock: __, again: ___, ...more }) {
    const { seed, ...asked } = options as Omit<UserFinetuneOptions, 'seed'> & { readonly seed?: string };
    const call = {
      ...asked,
      ...more,
      ...(seed !== undefined && { seed: BigInt(seed) }),
      ...{ out, launch },
    };
    return {
      plan: () => launchFinetune({ ...call, dryRun: true }),
      run: () => launchFinetune({ ...call, dryRun: false }),
    };
  },
  verify({ options, out }, launch, { lock, unlock, again: _, ...more }) {
    const { secret, ...asked } = options as unknown as VerifyOptions;
    const opens = unlock ?? (lock && 'passphrase' in lock ? lock : undefined);
    const call = {
      ...asked,
      ...more,
      ...(opens && { unlock: opens }),
      ...{ secret: join(out, secret), launch },
    };
    return {
      plan: () => launchVerify({ ...call, dryRun: true }),
      run: () => launchVerify({ ...call, dryRun: false }),
    };
  },
};
