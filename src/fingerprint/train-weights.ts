// The road from a draw to changed weights: epochs over the examples, and at the end of an epoch a whole checkpoint written
// and measured as it would be published.

import { existsSync, readFileSync, rmSync } from 'node:fs';
import { writeFolderAtomic, writeJsonAtomic } from '../base/atomic.ts';
import { shuffled } from '../base/random-source.ts';
import type { DrawnStamp } from '../claim/stamp.ts';
import { isWaiting, type WaitingJob } from '../launch/job.ts';
import { elements } from '../tensor/tensor.ts';
import { ADAMW, clipLimit } from '../train/optimiser.ts';
import { writePeftAdapter } from '../train/peft.ts';
import type { TrainState } from '../train/step.ts';
import { bindTrains } from '../train/trains.ts';
import { type EpochBatches, epochBatches, type TuningExample, withLabels } from '../train/tuning-examples.ts';
import { writeModel } from '../train/write-model.ts';
import { randomOf, type WeightsSetting } from './begin.ts';
import type { CellResult } from './cells.ts';
import type { TrainingFigures } from './finish.ts';
import { stampEdit } from './stamped.ts';
import { byJob, byOwnEngine, type Measured, type WeightsTraining } from './weights-engines.ts';

export interface TrainedWeights extends TrainingFigures {
  readonly parameters: number;
  /** Of the change that training made, what is published. */
  readonly share: number;
}

/** Shares of the change that are tried, as long as every cell holds: what is not needed costs ordinary text only. */
const PULLED_BACK = [0.8, 0.65, 0.5, 0.4];

/** The smallest share that holds, after all of it did; its checkpoint is the candidate when this returns. */
async function pulledBack(
  whole: Measured,
  measured: (share: number) => Promise<Measured>,
): Promise<[share: number, found: Measured]> {
  let best: [number, Measured] = [1, whole];
  for (const share of PULLED_BACK) {
    const found = await measured(share);
    if (!found.held) {
      await measured(best[0]);
      break;
    }
    best = [share, found];
  }
  return best;
}

/** What an epoch (from 0) holds. */
type EpochExamples = (epoch: number) => Promise<readonly TuningExample[]>;

/** Batches of a run: functions of its seed and the step's number alone. */
export const weightsBatches = (
  { start, settings, model, onEvent }: Pick<WeightsSetting, 'start' | 'settings' | 'model' | 'onEvent'>,
  examples: EpochExamples,
): Promise<EpochBatches> =>
  epochBatches(
    settings,
    async (epoch) =>
      shuffled(
        randomOf(start)(`epoch/${epoch}`),
        withLabels(await examples(epoch), settings.max_length, onEvent),
      ),
    model.decoder.encoder,
  );

/** Measures a checkpoint's gate cells. */
export type Gate = (folder: string) => Promise<readonly CellResult[]>;

/**
 * Trains until an epoch's end at which every gate cell holds, and leaves the checkpoint in the run's `candidate` folder; a
 * job that was handed over and is not done comes back instead.
 * @param stamp goes into each checkpoint that is measured, as it will be published
 * @throws WhorlError `not-reached` when the last epoch ends before that
 */
export async function trainWeights(
  setting: WeightsSetting,
  examples: EpochExamples,
  gate: Gate,
  stamp?: DrawnStamp,
): Promise<TrainedWeights | WaitingJob> {
  const { run, start, method, settings, model, options, onEvent } = setting;
  if (existsSync(run.trained)) return JSON.parse(readFileSync(run.trained, 'utf8')) as TrainedWeights;
  const trains = method.trains(settings, model);
  const trained = bindTrains(trains, model);
  const batches = await weightsBatches(setting, examples);
  const steps = settings.epochs * batches.perEpoch;
  const parameters = [...trained.shapes.values()].reduce((sum, shape) => sum + elements(shape), 0);
  const edit = stamp && stampEdit(stamp, model.decoder);
  onEvent({ kind: 'phase', name: 'training', detail: `${parameters} parameters` });
  /** Writes a candidate with this share of the change, and asks its gate cells. */
  const measured = async (state: TrainState, share: number): Promise<Measured> => {
    rmSync(run.candidate, { recursive: true, force: true });
    await writeFolderAtomic(run.candidate, (out) => writeModel(model, { trained }, state, out, share, edit));
    const results = await gate(run.candidate);
    const counts = results.map(({ name, fired, of }) => `${name} ${fired}/${of}`).join(' · ');
    onEvent({ kind: 'note', text: `step ${state.step}, ${100 * share} % of the change: ${counts}` });
    return { results, held: results.every(({ held }) => held) };
  };
  const training: WeightsTraining = {
    ...{ ...batches, trains, trained, steps },
    warmup: Math.round(settings.warmup_ratio * steps),
    optimiser: {
      ...ADAMW,
      weight_decay: settings.weight_decay,
      clip: clipLimit(settings.clip),
    },
    seed: BigInt(randomOf(start)('weights').int(2 ** 32)),
    measure: (state) => measured(state, 1),
  };
  const end = await (options.launch
    ? byJob(setting, training, options.launch)
    : byOwnEngine(setting, training));
  if (isWaiting(end)) return end;
  const { state, tokens } = end;
  const ended = Date.now();
  const [share, found] = settings.pull_back
    ? await pulledBack(end.found, (tried) => measured(state, tried))
    : [1, end.found];
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
    tokens,
    seconds: end.seconds + (Date.now() - ended) / 1000,
    gate: found.results,
    share,
    parameters,
    ...('ran' in end && { launched: end.ran }),
  };
  writeJsonAtomic(run.trained, done, 0o600);
  return done;
}
