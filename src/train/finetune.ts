// Fine-tuning on prompts with answers, as a user (or a thief) of a published checkpoint does it: any part of a model,
// with a checkpoint of training that a killed run goes on from.

import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { writeFolderAtomic } from '../base/atomic.ts';
import type { OnEvent } from '../base/events.ts';
import { seededRandom, shuffled } from '../base/random-source.ts';
import { torchPermutation } from '../base/torch-random.ts';
import type { Recompute } from '../engine/recompute.ts';
import { cpu, type Device } from '../engine/session.ts';
import type { Model } from '../models/model.ts';
import { stepsTaken, trainLoop } from './loop.ts';
import { partSize, splitByCount, splitByTokens } from './micro-batches.ts';
import { ADAMW, type AdamW, clipLimit, type Decay } from './optimiser.ts';
import type { ScheduleName } from './schedule.ts';
import type { TrainState } from './step.ts';
import { Trainer } from './trainer.ts';
import { type ActingPrecision, bindTrains, EVERYTHING, type Trains } from './trains.ts';
import { type EpochBatches, epochBatches, type TuningExample, withLabels } from './tuning-examples.ts';
import { writeModel } from './write-model.ts';

type Shuffle = <T>(rows: readonly T[], seed: bigint, epoch: number) => readonly T[];
export type ShuffleName = 'torch' | 'whorl';

/** Each epoch's order. `torch`: that of transformers' Trainer since 4.38, whose sampler is seeded with seed + epoch. */
const SHUFFLES: Readonly<Record<ShuffleName, Shuffle>> = {
  torch: (rows, seed, epoch) =>
    Array.from(torchPermutation(rows.length, seed + BigInt(epoch)), (row) => rows[row]!),
  whorl: (rows, seed, epoch) => shuffled(seededRandom(`${seed}/${epoch}`), rows),
};
export const SHUFFLE_NAMES = Object.keys(SHUFFLES) as ShuffleName[];

export interface FinetuneSettings {
  readonly epochs: number;
  readonly batch: number;
  readonly lr: number;
  readonly schedule: ScheduleName;
  readonly warmup: number;
  readonly weight_decay: number;
  readonly decay: Decay;
  /** Largest norm of the gradient; 0: any. */
  readonly clip: number;
  /** Equal parts a batch is run in, one after another; their gradients add up to the batch's own. */
  readonly accumulate: number;
  /** Instead: parts of at most so many tokens; 0: no limit. */
  readonly batch_tokens: number;
  readonly seed: bigint;
  readonly shuffle: ShuffleName;
  /** Longest example in tokens; longer ones are cut. */
  readonly max_length: number;
}

export const FINETUNE: FinetuneSettings = {
  epochs: 1,
  batch: 16,
  lr: 5e-4,
  schedule: 'cosine',
  warmup: 5,
  weight_decay: 0,
  decay: 'all',
  clip: 1,
  accumulate: 1,
  batch_tokens: 0,
  seed: 0n,
  shuffle: 'whorl',
  max_length: 192,
};

export interface FinetuneOptions {
  /** Default: everything. */
  readonly trains?: Trains;
  readonly device?: Device;
  readonly recompute?: Recompute;
  readonly precision?: ActingPrecision;
  /** Written every so many seconds, gone when the model is written. One that is there is gone on from. */
  readonly checkpoint?: { readonly path: string; readonly seconds: number };
  /** What goes into the folder; default: the model in its original dtypes. */
  readonly write?: (state: TrainState, folder: string) => Promise<void>;
}

/**
 * Trains and writes a model folder in the original dtypes. @returns the loss of each step
 * @throws WhorlError `mismatch` for a checkpoint of another run, `usage` for a batch that cannot be split so or examples
 *   without any label
 */
export async function finetune(
  model: Model,
  given: readonly TuningExample[],
  out: string,
  settings: FinetuneSettings,
  onEvent: OnEvent,
  options: FinetuneOptions = {},
): Promise<readonly number[]> {
  const { checkpoint, trains = EVERYTHING } = options;
  const examples = withLabels(given, settings.max_length, onEvent);
  const part = partSize(settings.batch, settings.accumulate);
  const trainer = await Trainer.compile(model, {
    ...options,
    device: options.device ?? cpu,
    settings: finetuneOptimiser(settings),
    split: (batch) =>
      settings.batch_tokens > 0 ? splitByTokens(batch, settings.batch_tokens) : splitByCount(batch, part),
  });
  const { perEpoch, batch } = await finetuneBatches(model, examples, settings);
  const { state, losses } = await trainLoop({
    name: 'fine-tuning',
    steps: settings.epochs * perEpoch,
    rate: settings,
    start: () => trainer.start(settings.seed),
    batch,
    step: (before, part, rate) => trainer.step(before, part, rate),
    onEvent,
    ...(checkpoint && { checkpoint: { ...checkpoint, ...namedRun(model, examples, settings, trains) } }),
  }).finally(() => trainer.release());
  await writeFolderAtomic(out, (temporary) =>
    options.write ? options.write(state, temporary) : writeModel(model, trainer, state, temporary),
  );
  if (checkpoint) rmSync(checkpoint.path, { force: true });
  return losses;
}

/** Each epoch in its own order. */
export const finetuneBatches = (
  { decoder }: Model,
  examples: readonly TuningExample[],
  settings: FinetuneSettings,
): Promise<EpochBatches> =>
  epochBatches(
    settings,
    (epoch) => SHUFFLES[settings.shuffle](examples, settings.seed, epoch),
    decoder.encoder,
  );

export const finetuneOptimiser = ({ weight_decay, decay, clip }: FinetuneSettings): AdamW => ({
  ...ADAMW,
  weight_decay,
  decay,
  clip: clipLimit(clip),
});

/**
 * What can be refused before anything is compiled. @returns how many steps it will take, and has taken already
 * @throws WhorlError as `finetune` does
 */
export function checkFinetune(
  model: Model,
  examples: readonly TuningExample[],
  settings: FinetuneSettings,
  { checkpoint, trains = EVERYTHING }: Pick<FinetuneOptions, 'trains' | 'checkpoint'>,
): { steps: number; taken: number } {
  partSize(settings.batch, settings.accumulate);
  bindTrains(trains, model);
  const steps = settings.epochs * Math.ceil(examples.length / settings.batch);
  if (!checkpoint) return { steps, taken: 0 };
  return { steps, taken: stepsTaken({ ...checkpoint, ...namedRun(model, examples, settings, trains) }) };
}

/** What a checkpoint says of the run that it is of. */
const namedRun = (
  model: Model,
  examples: readonly TuningExample[],
  settings: FinetuneSettings,
  trains: Trains,
) => ({
  run: runDigest(model, examples, settings, trains),
  settings: { ...settings, seed: String(settings.seed) },
});

const runDigest = (
  { source }: Model,
  examples: readonly TuningExample[],
  { seed, ...settings }: FinetuneSettings,
  trains: Trains,
): string =>
  createHash('sha256')
    .update(JSON.stringify([source, examples, settings, String(seed), trains]))
    .digest('hex');
