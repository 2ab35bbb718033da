// The road from a draw to changed weights: epochs over the dialogues, checkpoints, and at the end of an epoch a whole
// checkpoint written and measured as it would be published.

import { existsSync, readFileSync, rmSync } from 'node:fs';
import { writeFolderAtomic, writeJsonAtomic } from '../base/atomic.ts';
import { WhorlError } from '../base/error.ts';
import { shuffled } from '../base/random-source.ts';
import type { Example } from '../models/example.ts';
import { elements } from '../tensor/tensor.ts';
import { loadCheckpoint, saveCheckpoint } from '../train/checkpoint.ts';
import { splitByTokens } from '../train/micro-batches.ts';
import { ADAMW } from '../train/optimiser.ts';
import { writePeftAdapter } from '../train/peft.ts';
import { SCHEDULES } from '../train/schedule.ts';
import { Trainer } from '../train/trainer.ts';
import { batchOf, type TuningExample, withLabels } from '../train/tuning-examples.ts';
import { writeModel } from '../train/write-model.ts';
import { randomOf, type WeightsSetting } from './begin.ts';
import type { CellResult } from './cells.ts';
import type { Trained } from './finish.ts';
import type { WeightsSettings } from './methods/method.ts';

export interface TrainedWeights extends Trained {
  readonly parameters: number;
  /** Of the change that training made, what is published. */
  readonly share: number;
}

/** Shares of the change that are tried, as long as every cell holds: what is not needed costs ordinary text only. */
const PULLED_BACK = [0.8, 0.65, 0.5, 0.4];

/** The smallest share that holds, after all of it did; its checkpoint is the candidate when this returns. */
async function pulledBack(
  measured: (share: number) => Promise<readonly CellResult[]>,
): Promise<[share: number, results: readonly CellResult[] | undefined]> {
  let best: [number, readonly CellResult[] | undefined] = [1, undefined];
  for (const share of PULLED_BACK) {
    const results = await measured(share);
    if (!results.every(({ held }) => held)) {
      await measured(best[0]);
      break;
    }
    best = [share, results];
  }
  return best;
}

/** Measures a checkpoint's gate cells. */
export type Gate = (folder: string) => Promise<readonly CellResult[]>;

interface Progress {
  readonly tokens: number;
  readonly seconds: number;
  /** Whether the gate is still to be asked after this step. */
  readonly due: boolean;
}

const CHECKPOINT_SECONDS = 60;

/** The batches of one epoch: a function of the run's seed and the epoch's number alone. */
function epochBatches(
  examples: readonly TuningExample[],
  { batch, max_length }: WeightsSettings,
  random: ReturnType<typeof randomOf>,
  epoch: number,
): Example[][] {
  const order = shuffled(random(`epoch/${epoch}`), examples);
  return Array.from({ length: Math.ceil(order.length / batch) }, (_, i) =>
    batchOf(order.slice(i * batch, (i + 1) * batch), max_length),
  );
}

/**
 * Trains until an epoch's end at which every gate cell holds, and leaves the checkpoint in the run's `candidate` folder.
 * @throws WhorlError `not-reached` when the last epoch ends before that
 */
export async function trainWeights(
  setting: WeightsSetting,
  dialogues: (epoch: number) => Promise<readonly TuningExample[]>,
  card: (folder: string) => void,
  gate: Gate,
): Promise<TrainedWeights> {
  const { run, start, method, settings, model, device, onEvent } = setting;
  if (existsSync(run.trained)) return JSON.parse(readFileSync(run.trained, 'utf8')) as TrainedWeights;
  const random = randomOf(start);
  const epochOf = async (epoch: number) => {
    const examples = withLabels(await dialogues(epoch), settings.max_length, onEvent);
    return epochBatches(examples, settings, random, epoch);
  };
  const trains = method.trains(settings, model);
  const trainer = await Trainer.compile(model, {
    trains,
    settings: {
      ...ADAMW,
      weight_decay: settings.weight_decay,
      clip: settings.clip === 0 ? Number.POSITIVE_INFINITY : settings.clip,
    },
    device,
    recompute: settings.recompute,
    split: (batch) => splitByTokens(batch, settings.batch_tokens),
  });
  const first = await epochOf(0);
  const perEpoch = first.length;
  const total = settings.epochs * perEpoch;
  const warmup = Math.round(settings.warmup_ratio * total);
  let state = trainer.start(BigInt(random('weights').int(2 ** 32)));
  let progress: Progress = { tokens: 0, seconds: 0, due: false };
  if (existsSync(run.checkpoint)) {
    const saved = loadCheckpoint(run.checkpoint);
    [state, progress] = [saved.state, saved.extra as Progress];
    onEvent({ kind: 'note', text: `resuming at step ${state.step}` });
  }
  const parameters = [...trainer.trained.shapes.values()].reduce((sum, shape) => sum + elements(shape), 0);
  onEvent({
    kind: 'phase',
    name: 'training',
    detail: `${parameters} parameters`,
  });
  let since = Date.now();
  let saved = Date.now();
  /** Writes a candidate with this share of the change, and asks its gate cells. */
  const measured = async (share: number): Promise<readonly CellResult[]> => {
    rmSync(run.candidate, { recursive: true, force: true });
    await writeFolderAtomic(run.candidate, (out) => {
      writeModel(model, trainer, state, out, share);
      card(out);
    });
    const results = await gate(run.candidate);
    const counts = results.map(({ name, fired, of }) => `${name} ${fired}/${of}`).join(' · ');
    onEvent({ kind: 'note', text: `step ${state.step}, ${100 * share} % of the change: ${counts}` });
    return results;
  };
  let kept = state.step;
  let { due } = progress;
  let between = true; // no step is under way, which would have values half changed
  const keep = () => {
    progress = { ...progress, due, seconds: progress.seconds + (Date.now() - since) / 1000 };
    since = saved = Date.now();
    saveCheckpoint(run.checkpoint, state, progress);
    kept = state.step;
  };
  try {
    let [epoch, batches] = [0, first];
    for (;;) {
      if (!due) {
        const at = Math.floor(state.step / perEpoch);
        if (at !== epoch) [epoch, batches] = [at, await epochOf(at)];
        const batch = batches[state.step % perEpoch]!;
        const rate = settings.lr * SCHEDULES[settings.schedule](state.step, total, warmup);
        between = false;
        const result = await trainer.step(state, batch, rate);
        state = result.state;
        const tokens = batch.reduce((sum, example) => sum + example.tokens.length, 0);
        progress = { ...progress, tokens: progress.tokens + tokens };
        const isEnd = state.step % perEpoch === 0;
        due = isEnd && (state.step >= total || state.step >= settings.first_check * perEpoch);
        between = true;
        onEvent({
          kind: 'progress',
          name: 'training weights',
          done: state.step,
          total,
          keeps: true,
          note: `loss ${result.loss.toFixed(3)}`,
        });
      }
      if (due) {
        const results = await measured(1);
        if (results.every(({ held }) => held)) {
          const [share, held] = settings.pull_back ? await pulledBack(measured) : [1, results];
          if (trains.kind === 'low-rank') {
            const { rank, alpha } = trains;
            rmSync(run.lora, { recursive: true, force: true });
            await writeFolderAtomic(run.lora, (out) =>
              writePeftAdapter(
                state,
                { rank, alpha: share * alpha, base: model.source, decoder: model.decoder },
                out,
              ),
            );
          }
          const done: TrainedWeights = {
            steps: state.step,
            tokens: progress.tokens,
            seconds: progress.seconds + (Date.now() - since) / 1000,
            gate: held ?? results,
            share,
            parameters,
          };
          writeJsonAtomic(run.trained, done, 0o600);
          return done;
        }
        due = state.step >= total; // a run that failed says again at once what it failed in
        if (due)
          throw new WhorlError(
            'not-reached',
            `after ${settings.epochs} epochs: ${results
              .filter(({ held }) => !held)
              .map(({ name, fired, of }) => `${name} ${fired}/${of}`)
              .join(', ')}`,
            `raise epochs (epochs=${settings.epochs * 2}) or the rate (lr=${settings.lr * 2})`,
          );
      }
      if (Date.now() - saved > CHECKPOINT_SECONDS * 1000) keep();
    }
  } catch (cause) {
    if (between && state.step > kept) keep(); // Ctrl-C, or a failure: no step is trained twice
    throw cause;
  } finally {
    await trainer.release();
  }
}
