// A suspect that this machine cannot hold: a job asks it the keys, for machines with GPUs (docs/launch.md), and what it answers is
// taken in as if it had been asked here.

import { existsSync, rmdirSync, rmSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { makeFolder } from '../base/atomic.ts';
import { WhorlError } from '../base/error.ts';
import type { OnEvent } from '../base/events.ts';
import { planAsk } from '../launch/ask-files.ts';
import { type AskJobEnd, type AskJobWaits, answersByJob } from '../launch/ask-job.ts';
import type { LaunchOptions } from '../launch/job.ts';
import { keepOrder } from '../launch/order.ts';
import type { TextRequest } from '../lm/language-model.ts';
import type { LocalModel } from '../lm/local-model.ts';
import type { VerifyOptions } from './report.ts';

/** Where jobs of a run that ask lie, each in a folder that what it asks names. */
export const jobsBeside = (secret: string): string => join(dirname(secret), 'asks');

/** @throws WhorlError `usage` for what goes with Whorl's own engine, or with a server */
export function checkByJob({ launch, endpoint, sequential, ranks, certificate }: VerifyOptions): void {
  if (!launch) return;
  const without = 'leave one of them out';
  if (launch.nproc !== undefined || launch.nnodes !== undefined)
    throw new WhorlError(
      'usage',
      'a job that asks takes all GPUs of one machine by itself',
      'leave --nproc and --nnodes out',
    );
  if (endpoint)
    throw new WhorlError('usage', 'a server is asked where it is, and --launch writes a job', without);
  if (sequential)
    throw new WhorlError('usage', '--sequential asks key by key, and a job asks them all', without);
  if (ranks) throw new WhorlError('usage', '--ranks scores by our own engine, and a job generates', without);
  const { dtype = 'float32' } = launch;
  if (certificate !== undefined && dtype !== 'float32')
    throw new WhorlError(
      'usage',
      `a certificate of answers in ${dtype}`,
      'leave --job-dtype out: what others check is asked in float32',
    );
}

export interface AskedElsewhere extends AskJobEnd {
  /** Removes the job, once its answers are a verdict; unless it is to be kept. */
  wipe(): void;
}

/** @throws WhorlError as `answersByJob` does */
export async function askedByJob(
  { launch, ...options }: VerifyOptions & { readonly launch: LaunchOptions },
  model: LocalModel,
  requests: readonly TextRequest[],
  onEvent: OnEvent,
): Promise<AskedElsewhere | AskJobWaits> {
  const { dtype } = launch;
  const planned = await planAsk(model, requests, dtype ? { dtype } : {});
  const jobs = jobsBeside(options.secret);
  const work = join(jobs, planned.id.slice(0, 16));
  makeFolder(work, 0o700);
  keepOrder(work, 'verify', ordered(options), launch);
  const end = await answersByJob(planned, join(work, 'job'), launch, onEvent);
  if (end.kind === 'waiting') return end;
  return {
    ...end,
    wipe() {
      if (launch.keepJob) return;
      rmSync(work, { recursive: true, force: true });
      try {
        rmdirSync(jobs);
      } catch {
        // another job waits in it
      }
    },
  };
}

/** A path as it is found from everywhere; a hub id stays one. */
const placed = (path: string): string => (existsSync(path) ? resolve(path) : path);

/** The call for `whorl resume`: what opens the secret is not kept, and where the secret lies follows from where the job does. */
function ordered({
  secret,
  onEvent: _,
  signal: __,
  unlock: ___,
  endpoint: ____,
  ...options
}: VerifyOptions): Readonly<Record<string, unknown>> {
  const { claim, suspect, body, vanilla, tsaRoot, certificate, cacheDir } = options;
  const paths = Object.entries({ claim, suspect, body, vanilla, tsaRoot, cacheDir }).flatMap(
    ([name, path]): [string, string][] => (path === undefined ? [] : [[name, placed(path)]]),
  );
  return {
    ...options,
    ...Object.fromEntries(paths),
    ...(certificate && {
      certificate: { file: resolve(certificate.file), key: resolve(certificate.key) },
    }),
    secret: basename(secret),
  };
}
