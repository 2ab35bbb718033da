// The road from a draw to changed rows: what a step is, and the rule that ends them.

import { WhorlError } from '../base/error.ts';
import type { OnEvent } from '../base/events.ts';
import type { Device } from '../engine/session.ts';
import type { LaunchOptions, WaitingJob } from '../launch/job.ts';
import type { JobPlace } from '../launch/train-by-job.ts';
import { openLanguageModel } from '../lm/open.ts';
import type { Example } from '../models/example.ts';
import type { Model } from '../models/model.ts';
import type { Overlay } from '../models/overlay.ts';
import { fromFloat32, toFloat32 } from '../tensor/convert.ts';
import type { FloatDtype } from '../tensor/tensor.ts';
import { type StoppingRule, trainLoop } from '../train/loop.ts';
import { trainingMetric } from '../train/metric.ts';
import { growingNoise, shares } from '../train/noise.ts';
import { ADAMW, clipLimit } from '../train/optimiser.ts';
import { RowsTrainer } from '../train/rows.ts';
import { RowsChange } from '../train/rows-change.ts';
import type { TrainState } from '../train/step.ts';
import { measureCells, missed, silentRoles, underOverlay, wrongKeys } from './cells.ts';
import type { RowsMethod, TrainContext } from './methods/method.ts';
import type { Stretch } from './options.ts';
import { keptOut, type Positions, shiftAt, worstMean } from './reference-positions.ts';
import { rowsByJob } from './rows-by-job.ts';
import type { TrainSettings } from './settings.ts';
import type { Look, TrainedRows } from './trained-rows.ts';

export interface TrainRowsOptions<S extends TrainSettings> {
  readonly method: RowsMethod<S>;
  readonly context: TrainContext;
  readonly settings: S;
  /** Ids, adapter, and the vanilla rows that training starts from. */
  readonly overlay: Overlay;
  /** What the rows will be published in, which the gate asks; default: the model that is trained on. */
  readonly body?: Model | undefined;
  readonly dtype: FloatDtype;
  /** Ordinary positions; only for tied heads. */
  readonly positions?: Positions;
  /** One that is there is gone on from. */
  readonly checkpoint: string;
  readonly stretch: Stretch;
  /** Trains by another engine, in a job at this place; `checkpoint` and `stretch` are then not used. */
  readonly job?: { readonly place: JobPlace; readonly launch: LaunchOptions };
  readonly device: Device;
  readonly onEvent: OnEvent;
}

type RowsStep = Awaited<ReturnType<RowsTrainer['step']>>;

/** A look ends at the first cell that does not hold: more of them, or more keys in it. */
const isFurther = (a: Look, b: Look): boolean =>
  a.held ||
  a.results.length > b.results.length ||
  (a.results.length === b.results.length && a.results.at(-1)!.fired > b.results.at(-1)!.fired);

const CHECKPOINT_SECONDS = 15;
/** Shares of the change that are published: the largest with which ordinary text stays below the target. */
const PULLED_BACK = [1, 0.9, 0.8, 0.7];

/** Rows as the checkpoint's dtype can hold them. */
const rounded = (rows: Float32Array, dtype: FloatDtype): Float32Array =>
  toFloat32(fromFloat32(rows, dtype), dtype);

/** @throws WhorlError `not-reached` when the last step comes before every gate cell holds */
export async function trainRows<S extends TrainSettings>(
  options: TrainRowsOptions<S>,
): Promise<TrainedRows | WaitingJob> {
  const { method, context, settings, overlay, body, positions, dtype, device, onEvent } = options;
  const { model, tokenizer } = context;
  const E = model.decoder.config.hidden_size;
  const vanilla = overlay.rows;
  const change = new RowsChange({
    overlay,
    vanilla,
    ...(settings.common ? { groups: method.groups(context, overlay.ids) } : {}),
    ...(positions ? { metric: await trainingMetric(positions, E, settings.metric_floor, device) } : {}),
  });
  const optimiser = { ...ADAMW, beta2: settings.beta2, clip: clipLimit(settings.clip) };
  const open = (one: Model) =>
    openLanguageModel({ kind: 'model', model: one, overlay, tokenizer }, { device });
  const asked = await open(model);
  const askedBody = body && (await open(body));
  const bodies = { vanilla: asked, published: askedBody ?? asked };
  const unseen = positions && keptOut(positions);
  const published = (state: TrainState): { rows: Float32Array; kl: number } => {
    const full = change.rows(state);
    let best = { rows: full, kl: Number.POSITIVE_INFINITY };
    for (const share of PULLED_BACK) {
      const rows = rounded(
        full.map((x, i) => vanilla[i]! + share * (x - vanilla[i]!)),
        dtype,
      );
      const moved = rows.map((x, i) => x - vanilla[i]!);
      best = { rows, kl: unseen ? worstMean(unseen, shiftAt(model.decoder, unseen, moved).kl) : 0 };
      if (best.kl <= settings.kl_target) break;
    }
    return best;
  };
  const look = async (state: TrainState, what = ''): Promise<Look> => {
    const { rows, kl } = published(state);
    const measured = await measureCells(await method.cells(context, settings, 'gate'), {
      tokenizer,
      max_new_tokens: context.plan.decoding.max_new_tokens,
      answerer: underOverlay(bodies, { ...overlay, rows }),
      strict: true,
    });
    const results = measured.map(({ result }) => result);
    const counts = results.map(({ name, fired, of }) => `${name} ${fired}/${of}`).join(' · ');
    const moved = positions ? ` · KL ${kl.toExponential(1)}` : '';
    onEvent({ kind: 'note', text: `step ${state.step}${what}: ${counts}${moved}` });
    const held = kl <= settings.kl_target && results.every((result) => result.held);
    return { rows, results, measured, kl, held };
  };
  const measureGate = async (state: TrainState): Promise<Look> => {
    const found = await look(state);
    const silent = silentRoles(found.measured);
    const ids = new Set(silent.flatMap((role) => method.begins?.(context.roles[role]!) ?? []));
    if (ids.size === 0) return found;
    const mended = change.putBack(state, ids);
    const again = await look(mended, `, first rows of ${silent.length} keys put back`);
    return isFurther(again, found) ? { ...again, mended } : found;
  };
  const weights = {
    focus: settings.focus,
    kl: settings.kl_weight,
    margin: settings.kl_margin,
    spread: settings.spread_weight,
  };
  const isDue = (step: number): boolean =>
    step >= settings.first_check && (step - settings.first_check) % settings.check_every === 0;
  const notHeld = ({ results, measured, kl }: Look, step: number, advice: string): WhorlError =>
    new WhorlError(
      'not-reached',
      `after ${step} steps: ${[...missed(results), `KL ${kl.toExponential(1)}`].join(', ')}${wrongKeys(measured)}`,
      `${advice}; ${method.easier}`,
    );
  const rule: StoppingRule<RowsStep, Look> = {
    due: ({ state: { step }, logprobs }, batch) =>
      firingLoss(batch, logprobs) <= settings.check_below && isDue(step),
    measure: measureGate,
    failed: (found, { step }) =>
      notHeld(found, step, `everything is kept; to go on from here: ${options.stretch.again}`),
  };
  const shaking = growingNoise(settings, (step) => context.random(`noise/${step}`).int(2 ** 32));
  if (options.job)
    try {
      return await rowsByJob(
        options.job,
        {
          ...{ method, context, settings, change, optimiser, weights, shaking, isDue, notHeld, onEvent },
          goesOn: options.stretch.minutes > 0,
        },
        positions,
        measureGate,
      );
    } finally {
      await asked.release();
    }
  const trainer = await RowsTrainer.compile(model, {
    ...change.parts,
    ...(positions ? { reference: positions } : {}),
    settings: optimiser,
    device,
  });
  try {
    const { state, tokens, seconds, found } = await trainLoop({
      name: 'training rows',
      steps: settings.steps,
      rate: settings,
      start: () => trainer.start(),
      batch: (step) => method.batch(context, settings, step),
      step(state, batch, rate) {
        const noise = shares(shaking.share(state.step), shaking.seed(state.step), vanilla.length);
        return trainer.step(state, batch, rate, weights, noise);
      },
      note: ({ kl, spread, logprobs }, batch) =>
        `loss ${firingLoss(batch, logprobs).toFixed(3)}${positions ? `, KL ${kl.toExponential(1)}, spread ${spread.toFixed(1)}` : ''}`,
      rule,
      stretch: options.stretch,
      checkpoint: { path: options.checkpoint, seconds: CHECKPOINT_SECONDS },
      onEvent,
    });
    return { rows: found.rows, steps: state.step, tokens, seconds, gate: found.results, kl: found.kl };
  } finally {
    await trainer.release();
    await asked.release();
    await askedBody?.release();
  }
}

/** Mean loss of the wanted labels, nats. */
function firingLoss(batch: readonly Example[], logprobs: Float32Array): number {
  const fire = batch
    .flatMap((example) => example.labels)
    .map((label, i) => (label.kind === 'fire' ? logprobs[i]! : undefined))
    .filter((x) => x !== undefined);
  return -(fire.reduce((a, b) => a + b, 0) / Math.max(1, fire.length));
}
