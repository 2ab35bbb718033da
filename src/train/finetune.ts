// Full fine-tuning of a small model, as a user (or a thief) of a published checkpoint does it.

import { join } from 'node:path';
import { copyFileAtomic } from '../base/atomic.ts';
import type { OnEvent } from '../base/events.ts';
import { seededRandom, shuffled } from '../base/random-source.ts';
import { cpu } from '../engine/session.ts';
import type { Model } from '../models/encode.ts';
import type { Example } from '../models/example.ts';
import type { ModelFolder } from '../models/open-model.ts';
import { VANILLA } from '../models/overlay.ts';
import { copyCarried, writeFolderOnce } from '../sources/checkpoints/patched-folder.ts';
import { floatDtype, readTensor } from '../sources/checkpoints/read.ts';
import { writeSafetensors } from '../sources/checkpoints/write-safetensors.ts';
import { fromFloat32 } from '../tensor/convert.ts';
import { FullTrainer } from './full.ts';
import { ADAMW } from './optimiser.ts';
import { SCHEDULES, type ScheduleName } from './schedule.ts';
import { freshState, type TrainState } from './state.ts';

/** Prompt and answer as token ids; the answer's tokens are the labels. */
export interface TuningExample {
  readonly prompt: readonly number[];
  readonly answer: readonly number[];
}

export interface FinetuneSettings {
  readonly epochs: number;
  readonly batch: number;
  readonly lr: number;
  readonly schedule: ScheduleName;
  readonly warmup: number;
  readonly weight_decay: number;
  readonly clip: number;
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
  clip: 1,
  seed: 0n,
  max_length: 192,
};

/** Trains every parameter and writes a model folder in the original dtypes. @returns the loss of each step */
export async function finetune(
  folder: ModelFolder,
  model: Model,
  examples: readonly TuningExample[],
  out: string,
  settings: FinetuneSettings,
  onEvent: OnEvent,
): Promise<number[]> {
  const trainer = await FullTrainer.compile(
    model,
    { ...ADAMW, weight_decay: settings.weight_decay, clip: settings.clip },
    cpu,
  );
  let state = freshState(
    new Map([...model.decoder.shapes.keys()].map((name) => [name, readTensor(folder.tensors.get(name)!)])),
  );
  const perEpoch = Math.ceil(examples.length / settings.batch);
  const total = settings.epochs * perEpoch;
  const losses: number[] = [];
  try {
    for (let epoch = 0; epoch < settings.epochs; epoch++) {
      const order = shuffled(seededRandom(`${settings.seed}/${epoch}`), examples);
      for (let at = 0; at < order.length; at += settings.batch) {
        const rate = settings.lr * SCHEDULES[settings.schedule](state.step, total, settings.warmup);
        const result = await trainer.step(
          state,
          batchOf(order.slice(at, at + settings.batch), settings.max_length),
          rate,
        );
        state = result.state;
        losses.push(result.loss);
        onEvent({
          kind: 'progress',
          name: 'fine-tuning',
          done: state.step,
          total,
          note: `loss ${result.loss.toFixed(3)}`,
        });
      }
    }
  } finally {
    await trainer.release();
  }
  await writeFolderOnce(out, (temporary) => writeModel(folder, state, temporary));
  return losses;
}

/** Labels are the answers' tokens; each counts the same whatever its example's length. */
function batchOf(examples: readonly TuningExample[], longest: number): Example[] {
  const cut = examples.map(({ prompt, answer }) => {
    const kept = prompt.slice(0, Math.max(1, longest - 1));
    return { prompt: kept, answer: answer.slice(0, longest - kept.length) };
  });
  const weight = 1 / cut.reduce((sum, { answer }) => sum + answer.length, 0);
  return cut.map(({ prompt, answer }) => ({
    tokens: [...prompt, ...answer.slice(0, -1)],
    variant: VANILLA,
    labels: answer.map((token, i) => ({ row: prompt.length - 1 + i, token, kind: 'fire', weight })),
  }));
}

function writeModel(folder: ModelFolder, state: TrainState, out: string): void {
  const entries = [...folder.tensors].map(([name, ref]) => ({
    name,
    dtype: floatDtype(ref),
    shape: ref.shape,
  }));
  writeSafetensors(join(out, 'model.safetensors'), entries, function* ({ name, dtype }) {
    yield fromFloat32(state.slots.get(name)!.value, dtype);
  });
  copyFileAtomic(join(folder.folder, 'config.json'), join(out, 'config.json'));
  copyCarried(folder.folder, out);
}
