// The call that a job was written by, kept beside its ticket, so that whoever has the folder alone can take its result in.
// What is secret of a call is not in it: a fingerprint's seed and settings stay in what its run keeps under its lock.

import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { writeJsonAtomic } from '../base/atomic.ts';
import { WhorlError } from '../base/error.ts';
import { jsonOrNothing } from '../base/json.ts';
import { ENGINES, JOB_DTYPES, type LaunchOptions } from './job.ts';

const schema = z.object({
  format: z.literal('whorl-job-order'),
  version: z.literal(1),
  command: z.enum(['fingerprint', 'finetune', 'verify']),
  /** Options of the call, but for paths that follow from where this file lies. */
  options: z.record(z.string(), z.unknown()),
  launch: z.object({
    engine: z.enum(ENGINES),
    nproc: z.number().int().positive().optional(),
    nnodes: z.number().int().positive().optional(),
    dtype: z.enum(JOB_DTYPES).optional(),
    encryptTo: z.array(z.string()).optional(),
    keepJob: z.boolean().optional(),
  }),
});
type Stored = z.infer<typeof schema>;

export interface JobOrder extends Pick<Stored, 'command' | 'options'> {
  readonly launch: LaunchOptions;
  /** The job's folder, and what the call wrote to: the run folder, or the model's. */
  readonly folder: string;
  readonly out: string;
}

const ORDER = 'order.json';

/** @param work the folder that the job lies in */
export function keepOrder(
  work: string,
  command: Stored['command'],
  options: Readonly<Record<string, unknown>>,
  { here: _, python: __, ...launch }: LaunchOptions,
): void {
  const text = { format: 'whorl-job-order', version: 1, command, options, launch };
  writeJsonAtomic(join(work, ORDER), text, 0o600);
}

/** What each command calls the folder that a job lies in, seen from what it writes to. */
const WORK: Readonly<Record<Stored['command'], (work: string) => string>> = {
  fingerprint: dirname,
  finetune: (work) => work.replace(/\.work$/, ''),
  verify: (work) => dirname(dirname(work)),
};

/**
 * @param path a job's folder, the folder beside it that a stopped run goes on from, the run folder, or what was to be written
 * @throws WhorlError `missing-file` where no job waits, `bad-file`
 */
export function findOrder(path: string): JobOrder {
  const at = resolve(path);
  const places = [...(basename(at) === 'job' ? [dirname(at)] : []), join(at, 'work'), `${at}.work`, at];
  const work = places.find((place) => existsSync(join(place, ORDER)));
  if (work === undefined)
    throw new WhorlError(
      'missing-file',
      `${path} holds no job that waits for its result`,
      'name the job where it was written (RUN/work/job, OUT.work/job or RUN/asks/ID/job), or its run; a result that was brought back goes into it',
    );
  const file = join(work, ORDER);
  const found = schema.safeParse(jsonOrNothing(readFileSync(file, 'utf8')));
  if (!found.success)
    throw new WhorlError('bad-file', `${file} is damaged`, 'repeat the command that wrote the job');
  const { command, options, launch } = found.data;
  return {
    command,
    options,
    launch: launch as LaunchOptions,
    folder: join(work, 'job'),
    out: WORK[command](work),
  };
}
