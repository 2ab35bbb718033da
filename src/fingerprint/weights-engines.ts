// Who trains weights: Whorl's own engine, or torch in a job that was handed over. Both take the same steps, and end at the
// first state at which every gate cell holds.

import { WhorlError } from '../base/error.ts';
import type { JobTraining, LaunchOptions, WaitingJob } from '../launch/job.ts';
import { type JobEnd, trainByJob } from '../launch/train-by-job.ts';
import {
  type Judged,
  type LoopEnd,
  ratesOf,
  type Stepped,
  type StoppingRule,
  trainLoop,
} from '../train/loop.ts';
import { splitByTokens } from '../train/micro-batches.ts';
import type { AdamW } from '../train/optimiser.ts';
import type { TrainState } from '../train/step.ts';
import { Trainer } from '../train/trainer.ts';
import type { Trained, Trains } from '../train/trains.ts';
import type { EpochBatches } from '../train/tuning-examples.ts';
import type { WeightsSetting } from './begin.ts';
import { type CellResult, missed } from './cells.ts';
import { jobPlaceOf, WITHOUT_JOB } from './job-place.ts';
import { stretchOf } from './options.ts';

const CHECKPOINT_SECONDS = 60;

export interface Measured extends Judged {
  readonly results: readonly CellResult[];
}

/** A training before anybody has taken a step. */
export interface WeightsTraining extends EpochBatches {
  readonly trains: Trains;
  readonly trained: Trained;
  readonly steps: number;
  readonly warmup: number;
  readonly optimiser: AdamW;
  /** Where low-rank maps begin. */
  readonly seed: bigint;
  /** Asks the gate cells of a state. */
  measure(state: TrainState): Promise<Measured>;
}

/** Whether the state after this many steps is measured. */
const isDue = ({ perEpoch }: WeightsTraining, { settings }: WeightsSetting, step: number): boolean =>
  step % perEpoch === 0 && step >= settings.first_check * perEpoch;

const notHeld = (
  { method }: WeightsSetting,
  { perEpoch }: WeightsTraining,
  results: readonly CellResult[],
  step: number,
  advice: string,
): WhorlError =>
  new WhorlError(
    'not-reached',
    `after ${Math.round(step / perEpoch)} epochs: ${missed(results).join(', ')}`,
    `${advice}; ${method.easier}`,
  );

/** Here, on the run's own device; a killed run goes on from its checkpoint. */
export async function byOwnEngine(
  setting: WeightsSetting,
  training: WeightsTraining,
): Promise<LoopEnd<Measured>> {
  const { run, settings, model, device, options, onEvent } = setting;
  const { trains, optimiser, seed, steps, warmup, batch, measure } = training;
  const trainer = await Trainer.compile(model, {
    trains,
    settings: optimiser,
    device,
    recompute: settings.recompute,
    split: (whole) => splitByTokens(whole, settings.batch_tokens),
  });
  const rule: StoppingRule<Stepped, Measured> = {
    due: ({ state: { step } }) => isDue(training, setting, step),
    measure,
    failed: ({ results }, { step }) =>
      notHeld(
        setting,
        training,
        results,
        step,
        `everything is kept; to go on from here: ${stretchOf(options).again}`,
      ),
  };
  try {
    return await trainLoop({
      name: 'training weights',
      steps,
      rate: { ...settings, warmup },
      start: () => trainer.start(seed),
      batch,
      step: (state, part, rate) => trainer.step(state, part, rate),
      rule,
      stretch: stretchOf(options),
      checkpoint: { path: run.checkpoint, seconds: CHECKPOINT_SECONDS },
      onEvent,
    });
  } finally {
    await trainer.release();
  }
}

/** By torch: the job lies in the run's folder, beside what an interrupted run keeps. It has no steps beyond its epochs. */
export function byJob(
  setting: WeightsSetting,
  training: WeightsTraining,
  launch: LaunchOptions,
): Promise<JobEnd<Measured> | WaitingJob> {
  const { settings, model, method, onEvent } = setting;
  const { trains, trained, optimiser, seed, steps, warmup, batch, measure } = training;
  const all = Array.from({ length: steps }, (_, i) => i + 1);
  const job: JobTraining = {
    ...{ model, trains, trained, seed, optimiser, batch },
    rates: ratesOf({ ...settings, warmup }, steps),
    keep: all.filter((step) => step === steps || isDue(training, setting, step)),
    batch_tokens: settings.batch_tokens,
    recompute: settings.recompute !== 'nothing',
    checkpoint_seconds: CHECKPOINT_SECONDS,
    settings: { method: method.name, ...settings },
  };
  const rule = {
    measure,
    held: ({ held }: Measured) => held,
    failed: (found: Measured | undefined, step: number) =>
      notHeld(setting, training, found?.results ?? [], step, WITHOUT_JOB),
  };
  return trainByJob(job, jobPlaceOf(setting), launch, rule, onEvent);
}
