// The flags by which a training is handed over to another engine, and what a command says of a job that waits.

import { WhorlError } from '../base/error.ts';
import { shellWords } from '../base/shell.ts';
import type { AskJobWaits } from '../launch/ask-job.ts';
import { ENGINES, JOB_DTYPES, type LaunchOptions, type WaitingJob } from '../launch/job.ts';
import { among, type Given, named, oneOf, refuseAlone, text, texts, toggle, wholeNumber } from './options.ts';
import { bytesText, countText, paint, print, table, tell } from './output.ts';

export const LAUNCH = {
  launch: oneOf(
    '<engine>',
    ENGINES,
    'hand the training over: write a job for torch on other machines and stop; the same command again takes its result in',
  ),
  here: toggle('with --launch: run the job on this machine and follow it'),
  nproc: wholeNumber('<number>', 1, 'with --launch: processes of a machine, one a GPU (default: 1)'),
  nnodes: wholeNumber('<number>', 1, 'with --launch: machines (default: 1)'),
  dtype: named(
    'job-dtype',
    oneOf('<dtype>', JOB_DTYPES, 'with --launch: what products are computed in (default: float32)'),
  ),
  python: text('<file>', 'with --here: the Python that has torch (default: python3)'),
  encryptTo: texts('<recipient>', 'with --launch: encrypt the examples to an age recipient; may be repeated'),
  keepJob: toggle('with --launch: keep the job folder after its result was taken in'),
};

const { here, dtype, python, encryptTo, keepJob } = LAUNCH;
/** Of commands that have a model asked: one process takes all GPUs of its machine. */
export const ASK_LAUNCH = { here, dtype, python, encryptTo, keepJob };

/** @throws WhorlError `usage` for a flag that says how to launch where nothing is launched */
export function launchFrom(flags: Given<typeof LAUNCH>): LaunchOptions | undefined {
  const { launch, ...more } = among(flags, LAUNCH);
  if (launch === undefined) {
    refuseAlone(more, LAUNCH, '--launch', 'give --launch torchrun as well');
    return undefined;
  }
  if (more.python !== undefined && !more.here)
    throw new WhorlError('usage', '--python goes with --here', 'on another machine set PYTHON for run.sh');
  return { engine: launch, ...more };
}

/** @param isSecret whether such a job holds what only its owner may know @param again the command that takes the result in */
export function showWaiting(
  { done, steps, result, ...job }: WaitingJob,
  isSecret: boolean,
  again: string,
): void {
  const at = done > 0 ? `, ${countText(done)} of ${countText(steps)} steps are done` : '';
  showRoad(job, again, isSecret, {
    what: `${countText(steps)} steps${at}`,
    run: 'slurm.sh and jobset.yaml are examples',
    bring: `${bytesText(result.bytes * result.states)} at most, in ${countText(result.states)} states`,
    takes: 'takes the result in',
  });
}

/** The same of a job that asks. */
export function showAsking({ done, prompts, ...job }: AskJobWaits, again: string): void {
  const at = done > 0 ? `, ${countText(done)} are answered` : '';
  showRoad(job, again, true, {
    what: `${countText(prompts)} prompts${at}`,
    run: 'it takes all GPUs of one machine',
    bring: '',
    takes: 'takes the answers in',
  });
}

function showRoad(
  { job, encrypted }: Pick<WaitingJob, 'job' | 'encrypted'>,
  again: string,
  isSecret: boolean,
  words: Readonly<Record<'what' | 'run' | 'bring' | 'takes', string>>,
): void {
  print(`${paint.bold(paint.yellow('waiting'))} for a job of ${words.what}`);
  for (const row of table([
    ['run', shellWords(['sh', `${job}/run.sh`]), paint.dim(`where MODEL is set to the model; ${words.run}`)],
    ['bring back', `${job}/result`, paint.dim(words.bring)],
    ['then', again, paint.dim(words.takes)],
  ]))
    print(row);
  if (isSecret && !encrypted)
    tell(paint.dim('whoever has the job has the keys: copy it to machines of yours only'));
}
