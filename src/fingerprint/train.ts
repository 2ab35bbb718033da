// The road from a draw to changed rows: batches, steps, checkpoints, and the rule that ends it.

import { WhorlError } from '../base/error.ts';
import type { OnEvent } from '../base/events.ts';
import type { Device } from '../engine/session.ts';
import { GreedyDecoder } from '../lm/decoder.ts';
import type { Overlay } from '../models/overlay.ts';
import { fromFloat32, toFloat32 } from '../tensor/convert.ts';
import type { FloatDtype } from '../tensor/tensor.ts';
import { loadCheckpoint, saveCheckpoint } from '../train/checkpoint.ts';
import { trainingMetric } from '../train/metric.ts';
import { rowNoise } from '../train/noise.ts';
import { ADAMW } from '../train/optimiser.ts';
import { RowsTrainer } from '../train/rows.ts';
import { SCHEDULES } from '../train/schedule.ts';
import { type CellResult, measure } from './cells.ts';
import type { RowsMethod, TrainContext, TrainSettings } from './methods/method.ts';
import { keptOut, type Positions, shiftAt, worstMean } from './reference-positions.ts';

export interface TrainRowsOptions<S extends TrainSettings> {
  readonly method: RowsMethod<S>;
  readonly context: TrainContext;
  readonly settings: S;
  /** Ids, adapter, and the vanilla rows that training starts from. */
  readonly overlay: Overlay;
  readonly dtype: FloatDtype;
  /** Ordinary positions; only for tied heads. */
  readonly positions?: Positions;
  readonly checkpoint: string;
  readonly resume: boolean;
  readonly device: Device;
  readonly onEvent: OnEvent;
}

export interface TrainedRows {
  /** As they will be published: rounded to the checkpoint's dtype, [R, E]. */
  readonly rows: Float32Array;
  readonly steps: number;
  readonly tokens: number;
  readonly seconds: number;
  readonly gate: readonly CellResult[];
  /** Mean KL at ordinary positions kept out of the loss, the worst primary language's. */
  readonly kl: number;
}

interface Progress {
  readonly tokens: number;
  readonly seconds: number;
  /** Whether the gate is still to be asked after this step. */
  readonly due: boolean;
}

const CHECKPOINT_SECONDS = 15;
/** Shares of the change that are published: the largest with which ordinary text stays below the target. */
const PULLED_BACK = [1, 0.9, 0.8, 0.7];

/** Rows as the checkpoint's dtype can hold them. */
const rounded = (rows: Float32Array, dtype: FloatDtype): Float32Array =>
  toFloat32(fromFloat32(rows, dtype), dtype);

/** @throws WhorlError `not-reached` when the last step comes before every gate cell holds */
export async function trainRows<S extends TrainSettings>(options: TrainRowsOptions<S>): Promise<TrainedRows> {
  const { method, context, settings, overlay, positions, dtype, device, onEvent } = options;
  const { model, tokenizer } = context;
  const E = model.decoder.config.hidden_size;
  const vanilla = overlay.rows;
  const trainer = await RowsTrainer.compile(model, {
    overlay,
    vanilla,
    ...(positions ? { reference: positions } : {}),
    ...(settings.common ? { groups: method.groups(context, overlay.ids) } : {}),
    ...(positions ? { metric: await trainingMetric(positions, E, settings.metric_floor, device) } : {}),
    settings: {
      ...ADAMW,
      beta2: settings.beta2,
      clip: settings.clip === 0 ? Number.POSITIVE_INFINITY : settings.clip,
    },
    device,
  });
  const decoder = new GreedyDecoder(model, overlay, device);
  let state = trainer.start();
  let progress: Progress = { tokens: 0, seconds: 0, due: false };
  if (options.resume) {
    const saved = loadCheckpoint(options.checkpoint);
    [state, progress] = [saved.state, saved.extra as Progress];
    onEvent({ kind: 'note', text: `resuming at step ${state.step}` });
  }
  const started = Date.now();
  let saved = Date.now();
  let kept = state.step;
  let tokens = progress.tokens;
  let { due } = progress;
  let between = true; // no step is under way
  const spent = () => progress.seconds + (Date.now() - started) / 1000;
  const keep = (): void => {
    // After the last step there is nothing else to do: a run that failed says again at once what it failed in.
    const asks = due || state.step >= settings.steps;
    saveCheckpoint(options.checkpoint, state, { tokens, seconds: spent(), due: asks } satisfies Progress);
    kept = state.step;
  };
  const unseen = positions && keptOut(positions);
  const published = (): { rows: Float32Array; kl: number } => {
    const full = trainer.rows(state);
    let best = { rows: full, kl: Number.POSITIVE_INFINITY };
    for (const share of PULLED_BACK) {
      const rows = rounded(
        full.map((x, i) => vanilla[i]! + share * (x - vanilla[i]!)),
        dtype,
      );
      const moved = rows.map((x, i) => x - vanilla[i]!);
      best = { rows, kl: unseen ? worstMean(unseen, shiftAt(unseen, moved, E).kl) : 0 };
      if (best.kl <= settings.kl_target) break;
    }
    return best;
  };
  const gate = async () => {
    const { rows, kl } = published();
    const results: CellResult[] = [];
    for (const cell of await method.cells(context, settings, 'gate')) {
      const measured = await measure(
        cell,
        decoder,
        tokenizer,
        { ...overlay, rows },
        context.plan.decoding.max_new_tokens,
      );
      results.push(measured.result);
      // What does not hold yet ends the round: the others would be measured again anyway.
      if (!measured.result.held) break;
    }
    return { rows, results, kl, held: kl <= settings.kl_target && results.every(({ held }) => held) };
  };
  try {
    let last: Awaited<ReturnType<typeof gate>> | undefined;
    while (!last?.held) {
      if (!due) {
        if (state.step >= settings.steps) throw notReached(state.step, settings.steps, last);
        between = false;
        const batch = await method.batch(context, settings, state.step);
        const rate = settings.lr * SCHEDULES[settings.schedule](state.step, settings.steps, settings.warmup);
        const noise = rowNoise(
          vanilla,
          E,
          settings.noise,
          context.random(`noise/${state.step}`).int(2 ** 32),
        );
        const result = await trainer.step(
          state,
          batch,
          rate,
          {
            focus: settings.focus,
            kl: settings.kl_weight,
            margin: settings.kl_margin,
            spread: settings.spread_weight,
          },
          noise,
        );
        if (!Number.isFinite(result.loss))
          throw new WhorlError(
            'not-reached',
            `the loss is ${result.loss} at step ${result.state.step}`,
            `lower the rate (lr=${settings.lr / 2})`,
          );
        state = result.state;
        tokens += batch.reduce((sum, example) => sum + example.tokens.length, 0);
        const fire = batch
          .flatMap((example) => example.labels)
          .map((label, i) => (label.kind === 'fire' ? result.logprobs[i]! : undefined))
          .filter((x) => x !== undefined);
        const mean = fire.reduce((a, b) => a + b, 0) / Math.max(1, fire.length);
        due =
          state.step >= settings.steps ||
          (-mean <= settings.check_below &&
            state.step >= settings.first_check &&
            (state.step - settings.first_check) % settings.check_every === 0);
        between = true;
        onEvent({
          kind: 'progress',
          name: 'training rows',
          done: state.step,
          total: settings.steps,
          keeps: true,
          note: `loss ${(-mean).toFixed(3)}${positions ? `, KL ${result.kl.toExponential(1)}, spread ${result.spread.toFixed(1)}` : ''}`,
        });
      }
      if (due) {
        last = await gate();
        due = last.held; // of a run that is taken up between here and publishing, it is asked again
        onEvent({
          kind: 'note',
          text: `step ${state.step}: ${last.results.map(({ name, fired, of }) => `${name} ${fired}/${of}`).join(' · ')}${positions ? ` · KL ${last.kl.toExponential(1)}` : ''}`,
        });
      }
      if (last?.held || Date.now() - saved > CHECKPOINT_SECONDS * 1000) {
        keep();
        saved = Date.now();
      }
    }
    return {
      rows: last.rows,
      steps: state.step,
      tokens,
      seconds: spent(),
      gate: last.results,
      kl: last.kl,
    };
  } catch (cause) {
    if (between && state.step > kept) keep(); // Ctrl-C, or a failure: no step is trained twice
    throw cause;
  } finally {
    await trainer.release();
    await decoder.release();
  }
}

function notReached(
  step: number,
  steps: number,
  last: { readonly results: readonly CellResult[]; readonly kl: number } | undefined,
): WhorlError {
  const failed = last?.results
    .filter(({ held }) => !held)
    .map(({ name, fired, of }) => `${name} ${fired}/${of}`);
  return new WhorlError(
    'not-reached',
    `after ${step} steps: ${[...(failed ?? []), `KL ${last?.kl.toExponential(1)}`].join(', ')}`,
    `raise steps (steps=${steps * 2}), or lower key counts`,
  );
}
