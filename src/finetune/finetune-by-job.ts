// A user's fine-tuning by another engine: all its steps in one job, whose last state is taken in.

import type { OnEvent } from '../base/events.ts';
import type { Recompute } from '../engine/recompute.ts';
import type { LaunchOptions, WaitingJob } from '../launch/job.ts';
import { type JobEnd, type JobPlace, NO_GATE, trainByJob } from '../launch/train-by-job.ts';
import type { Model } from '../models/model.ts';
import { type FinetuneSettings, finetuneBatches, finetuneOptimiser } from '../train/finetune.ts';
import { ratesOf } from '../train/loop.ts';
import { bindTrains, type Trains } from '../train/trains.ts';
import type { TuningExample } from '../train/tuning-examples.ts';

/** @throws WhorlError as `trainByJob` does */
export async function finetuneByJob(
  model: Model,
  examples: readonly TuningExample[],
  settings: FinetuneSettings,
  {
    trains,
    recompute = 'nothing',
    checkpoint_seconds,
    settings: named,
  }: {
    readonly trains: Trains;
    readonly checkpoint_seconds: number;
    readonly recompute?: Recompute;
    readonly settings: Readonly<Record<string, unknown>>;
  },
  place: JobPlace,
  launch: LaunchOptions,
  onEvent: OnEvent,
): Promise<JobEnd<true> | WaitingJob> {
  const { perEpoch, batch } = await finetuneBatches(model, examples, settings);
  const steps = settings.epochs * perEpoch;
  const training = {
    ...{ model, trains, batch },
    trained: bindTrains(trains, model),
    seed: settings.seed,
    optimiser: finetuneOptimiser(settings),
    rates: ratesOf(settings, steps),
    keep: [steps],
    batch_tokens: settings.batch_tokens,
    recompute: recompute !== 'nothing',
    checkpoint_seconds,
    settings: named,
  };
  return trainByJob(training, place, launch, NO_GATE, onEvent);
}
