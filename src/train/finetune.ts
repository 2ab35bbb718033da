// Fine-tuning on prompts with answers, as a user (or a thief) of a published checkpoint does it: any part of a model,
// with a checkpoint of training that a killed run goes on from.

import { createHash } from 'node:crypto';
import { existsSync, rmSync } from 'node:fs';
import { WhorlError } from '../base/error.ts';
import type { OnEvent } from '../base/events.ts';
import { seededRandom, shuffled } from '../base/random-source.ts';
import type { Recompute } from '../engine/recompute.ts';
import { cpu, type Device } from '../engine/session.ts';
import type { Model } from '../models/model.ts';
import { writeFolderOnce } from '../sources/checkpoints/patched-folder.ts';
import { loadCheckpoint, saveCheckpoint } from './checkpoint.ts';
import { partSize, splitByCount, splitByTokens } from './micro-batches.ts';
import { ADAMW, type Decay } from './optimiser.ts';
import { SCHEDULES, type ScheduleName } from './schedule.ts';
import type { TrainState } from './step.ts';
import { Trainer } from './trainer.ts';
import { EVERYTHING, type Precision, type Trains } from './trains.ts';
import { batchOf, type TuningExample, withLabels } from './tuning-examples.ts';
import { writeModel } from './write-model.ts';

export interface FinetuneSettings {
  readonly epochs: number;
  readonly batch: number;
  readonly lr: number;
  readonly schedule: ScheduleName;
  readonly warmup: number;
  readonly weight_decay: number;
  readonly decay: Decay;
  readonly clip: number;
  /** Equal parts a batch is run in, one after another; their gradients add up to the batch's own. */
  readonly accumulate: number;
  /** Instead: parts of at most so many tokens; 0: no limit. */
  readonly batch_tokens: number;
  readonly seed: bigint;
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
  max_length: 192,
};

export interface FinetuneOptions {
  /** Default: everything. */
  readonly trains?: Trains;
  readonly device?: Device;
  readonly recompute?: Recompute;
  readonly precision?: Precision;
  /** Written every so many seconds, gone when the model is written. One that is there is gone on from. */
  readonly checkpoint?: { readonly path: string; readonly seconds: number };
  /** What goes into the folder; default: the model in its original dtypes. */
  readonly write?: (state: TrainState, folder: string) => void;
}

/** What a checkpoint must agree with to be gone on from, and what it brings beside weights and moments. */
interface Saved {
  readonly run: string;
  readonly losses: readonly number[];
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
): Promise<number[]> {
  const { checkpoint, trains = EVERYTHING } = options;
  const examples = withLabels(given, settings.max_length, onEvent);
  const part = partSize(settings.batch, settings.accumulate);
  const trainer = await Trainer.compile(model, {
    ...options,
    device: options.device ?? cpu,
    settings: { ...ADAMW, weight_decay: settings.weight_decay, decay: settings.decay, clip: settings.clip },
    split: (batch) =>
      settings.batch_tokens > 0 ? splitByTokens(batch, settings.batch_tokens) : splitByCount(batch, part),
  });
  const run = runDigest(model, examples, settings, trains);
  let state = trainer.start(settings.seed);
  let losses: number[] = [];
  if (checkpoint && existsSync(checkpoint.path)) {
    const { state: saved, extra } = loadCheckpoint(checkpoint.path);
    if ((extra as Saved).run !== run)
      throw new WhorlError(
        'mismatch',
        `${checkpoint.path} is of a run with other examples or settings`,
        'remove it to start anew',
      );
    [state, losses] = [saved, [...(extra as Saved).losses]];
    onEvent({ kind: 'note', text: `resuming at step ${state.step}` });
  }
  const perEpoch = Math.ceil(examples.length / settings.batch);
  const total = settings.epochs * perEpoch;
  let saved = Date.now();
  try {
    while (state.step < total) {
      const order = shuffled(seededRandom(`${settings.seed}/${Math.floor(state.step / perEpoch)}`), examples);
      const at = (state.step % perEpoch) * settings.batch;
      const rate = settings.lr * SCHEDULES[settings.schedule](state.step, total, settings.warmup);
      const batch = batchOf(order.slice(at, at + settings.batch), settings.max_length);
      const result = await trainer.step(state, batch, rate);
      state = result.state;
      losses.push(result.loss);
      onEvent({
        kind: 'progress',
        name: 'fine-tuning',
        done: state.step,
        total,
        note: `loss ${result.loss.toFixed(3)}`,
      });
      if (checkpoint && Date.now() - saved >= 1000 * checkpoint.seconds) {
        saveCheckpoint(checkpoint.path, state, { run, losses } satisfies Saved);
        saved = Date.now();
      }
    }
  } finally {
    await trainer.release();
  }
  await writeFolderOnce(out, (temporary) =>
    options.write ? options.write(state, temporary) : writeModel(model, trainer, state, temporary),
  );
  if (checkpoint) rmSync(checkpoint.path, { force: true });
  return losses;
}

const runDigest = (
  { source }: Model,
  examples: readonly TuningExample[],
  { seed, ...settings }: FinetuneSettings,
  trains: Trains,
): string =>
  createHash('sha256')
    .update(JSON.stringify([source, examples, settings, String(seed), trains]))
    .digest('hex');
