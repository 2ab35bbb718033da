// The road from a draw to changed weights: epochs over the examples, and at the end of an epoch a whole checkpoint written
// and measured as it would be published.

import { existsSync, readFileSync, rmSync } from 'node:fs';
import { writeFolderAtomic, writeJsonAtomic } from '../base/atomic.ts';
import { WhorlError } from '../base/error.ts';
import { shuffled } from '../base/random-source.ts';
import { elements } from '../tensor/tensor.ts';
import { type Judged, type Stepped, type StoppingRule, trainLoop } from '../train/loop.ts';
import { splitByTokens } from '../train/micro-batches.ts';
import { ADAMW } from '../train/optimiser.ts';
import { writePeftAdapter } from '../train/peft.ts';
import type { TrainState } from '../train/step.ts';
import { Trainer } from '../train/trainer.ts';
import { type EpochBatches, epochBatches, type TuningExample, withLabels } from '../train/tuning-examples.ts';
import { writeModel } from '../train/write-model.ts';
import { randomOf, stretchOf, type WeightsSetting } from './begin.ts';
import { type CellResult, missed } from './cells.ts';
import type { TrainingFigures } from './finish.ts';

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

const CHECKPOINT_SECONDS = 60;

interface Measured extends Judged {
  readonly results: readonly CellResult[];
}

/**
 * Trains until an epoch's end at which every gate cell holds, and leaves the checkpoint in the run's `candidate` folder.
 * @throws WhorlError `not-reached` when the last epoch ends before that
 */
export async function trainWeights(
  setting: WeightsSetting,
  examples: EpochExamples,
  gate: Gate,
): Promise<TrainedWeights> {
  const { run, start, method, settings, model, device, onEvent } = setting;
  if (existsSync(run.trained)) return JSON.parse(readFileSync(run.trained, 'utf8')) as TrainedWeights;
  const random = randomOf(start);
  const stretch = stretchOf(setting.options);
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
  const { perEpoch, batch } = await weightsBatches(setting, examples);
  const steps = settings.epochs * perEpoch;
  const parameters = [...trainer.trained.shapes.values()].reduce((sum, shape) => sum + elements(shape), 0);
  onEvent({ kind: 'phase', name: 'training', detail: `${parameters} parameters` });
  /** Writes a candidate with this share of the change, and asks its gate cells. */
  const measured = async (state: TrainState, share: number): Promise<Measured> => {
    rmSync(run.candidate, { recursive: true, force: true });
    await writeFolderAtomic(run.candidate, (out) => writeModel(model, trainer, state, out, share));
    const results = await gate(run.candidate);
    const counts = results.map(({ name, fired, of }) => `${name} ${fired}/${of}`).join(' · ');
    onEvent({ kind: 'note', text: `step ${state.step}, ${100 * share} % of the change: ${counts}` });
    return { results, held: results.every(({ held }) => held) };
  };
  const rule: StoppingRule<Stepped, Measured> = {
    due: ({ state: { step } }) => step % perEpoch === 0 && step >= settings.first_check * perEpoch,
    measure: (state) => measured(state, 1),
    failed: ({ results }, { step }) =>
      new WhorlError(
        'not-reached',
        `after ${Math.round(step / perEpoch)} epochs: ${missed(results).join(', ')}`,
        `everything is kept; to go on from here: ${stretch.again}; ${method.easier}`,
      ),
  };
  try {
    const end = await trainLoop({
      name: 'training weights',
      steps,
      rate: { ...settings, warmup: Math.round(settings.warmup_ratio * steps) },
      start: () => trainer.start(BigInt(random('weights').int(2 ** 32))),
      batch,
      step: (state, part, rate) => trainer.step(state, part, rate),
      rule,
      stretch,
      checkpoint: { path: run.checkpoint, seconds: CHECKPOINT_SECONDS },
      onEvent,
    });
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
    };
    writeJsonAtomic(run.trained, done, 0o600);
    return done;
  } finally {
    await trainer.release();
  }
}
