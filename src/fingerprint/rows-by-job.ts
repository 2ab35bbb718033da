// Rows trained by torch in a job that is handed over: the same batches, noise and loss, fixed ahead of the first step.

import type { WhorlError } from '../base/error.ts';
import type { OnEvent } from '../base/events.ts';
import { isWaiting, type JobTraining, type LaunchOptions, type WaitingJob } from '../launch/job.ts';
import { type JobPlace, trainByJob } from '../launch/train-by-job.ts';
import { ratesOf } from '../train/loop.ts';
import type { Shaking } from '../train/noise.ts';
import type { AdamW } from '../train/optimiser.ts';
import type { LossWeights, Reference } from '../train/rows.ts';
import type { RowsChange } from '../train/rows-change.ts';
import { waveEnd } from '../train/schedule.ts';
import type { TrainState } from '../train/step.ts';
import { WITHOUT_JOB } from './job-place.ts';
import type { RowsMethod, TrainContext } from './methods/method.ts';
import type { TrainSettings } from './settings.ts';
import type { Look, TrainedRows } from './trained-rows.ts';

const CHECKPOINT_SECONDS = 60;
/** So many waves a job goes on for where nothing holds: the time that Whorl's own training has is not known there. */
const WAVES = 3;
/** Most tokens of one forward pass; the parts of a batch sum to the same loss. */
const BATCH_TOKENS = 8192;

/** A training of rows before anybody has taken a step. */
export interface RowsTraining<S extends TrainSettings> {
  readonly method: RowsMethod<S>;
  readonly context: TrainContext;
  readonly settings: S;
  readonly change: RowsChange;
  readonly optimiser: AdamW;
  readonly weights: LossWeights;
  /** Whether training goes on beyond its steps where nothing holds. */
  readonly goesOn: boolean;
  readonly shaking: Shaking;
  /** Whether the state after this many steps is measured. */
  isDue(step: number): boolean;
  notHeld(found: Look, step: number, advice: string): WhorlError;
  readonly onEvent: OnEvent;
}

/** What a job holds of it. */
export function rowsJob<S extends TrainSettings>(
  training: Omit<RowsTraining<S>, 'notHeld' | 'onEvent'>,
  reference: Reference | undefined,
): JobTraining {
  const { method, context, settings, change, optimiser, weights, goesOn, shaking, isDue } = training;
  const { steps } = settings;
  const waves = Array.from({ length: goesOn ? WAVES : 1 }, (_, wave) => wave);
  const ends = waves.map((wave) => waveEnd(wave, steps));
  const all = Array.from({ length: ends.at(-1)! }, (_, i) => i + 1);
  return {
    model: context.model,
    trains: {
      ...{ kind: 'overlay', change, loss: weights, logits: context.model.decoder.logits ?? {} },
      noise: shaking,
      ...(reference && { reference }),
    },
    trained: change,
    seed: 0n, // nothing of it begins at random
    optimiser,
    // As the loop of our own: a wave more, and the schedule is laid out over all of them.
    rates: waves.flatMap((wave) => ratesOf(settings, ends[wave]!).slice(ends[wave - 1] ?? 0)),
    batch: (step) => method.batch(context, settings, step),
    keep: all.filter((step) => ends.includes(step) || isDue(step)),
    keep_below: { loss: settings.check_below, always: ends },
    batch_tokens: BATCH_TOKENS,
    recompute: false,
    checkpoint_seconds: CHECKPOINT_SECONDS,
    settings: { method: method.name, ...settings },
  };
}

/**
 * Nothing that a look finds changes what is trained after it, as it may where Whorl trains: rows that were put back are
 * published where they hold, and the job goes on with its own.
 */
export async function rowsByJob<S extends TrainSettings>(
  { place, launch }: { readonly place: JobPlace; readonly launch: LaunchOptions },
  training: RowsTraining<S>,
  reference: Reference | undefined,
  measure: (state: TrainState) => Promise<Look>,
): Promise<TrainedRows | WaitingJob> {
  const { notHeld, onEvent } = training;
  const end = await trainByJob(
    rowsJob(training, reference),
    place,
    launch,
    {
      measure,
      held: ({ held }) => held,
      failed: (found: Look | undefined, step) => notHeld(found!, step, WITHOUT_JOB), // the last state is always kept
    },
    onEvent,
  );
  if (isWaiting(end)) return end;
  const { rows, results, kl } = end.found;
  const { tokens, seconds, ran } = end;
  return { rows, steps: end.state.step, tokens, seconds, gate: results, kl, launched: ran };
}
