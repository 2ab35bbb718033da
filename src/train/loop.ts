// The one loop of training: rate, progress, checkpoints, resuming and the rule that ends it. What is trained on what are
// arguments.

import { existsSync } from 'node:fs';
import { WhorlError } from '../base/error.ts';
import type { OnEvent } from '../base/events.ts';
import type { Example } from '../models/example.ts';
import { loadCheckpoint, saveCheckpoint } from './checkpoint.ts';
import { SCHEDULES, type ScheduleName } from './schedule.ts';
import type { TrainState } from './step.ts';

/** What a step gives, whatever it trains. */
export interface Stepped {
  readonly state: TrainState;
  readonly loss: number;
}

/** What was found when a state was measured. */
export interface Judged {
  /** Whether training may end. */
  readonly held: boolean;
  /** What takes the state's place; default: it stays. */
  readonly mended?: TrainState;
}

/** The rule that ends training before the last step. */
export interface StoppingRule<R extends Stepped, V extends Judged> {
  /** Whether the state after this step is measured; that after the last step always is. */
  due(result: R, batch: readonly Example[]): boolean;
  measure(state: TrainState): Promise<V>;
  /** What a run ends with that has taken its last step and does not hold. */
  failed(found: V, state: TrainState): WhorlError;
}

interface Checkpoints {
  /** One that is there is gone on from. */
  readonly path: string;
  readonly seconds: number;
  /** Digest of what the run was asked for; a checkpoint of another one is refused. */
  readonly run?: string;
  /** What a refusal may name. */
  readonly settings?: Readonly<Record<string, unknown>>;
}

export interface LoopOptions<R extends Stepped> {
  /** In progress events. */
  readonly name: string;
  /** Most steps, and what the schedule is laid out over. */
  readonly steps: number;
  readonly rate: { readonly lr: number; readonly schedule: ScheduleName; readonly warmup: number };
  start(): TrainState;
  /** A function of the step's number alone (from 0), so that a resumed run repeats itself. */
  batch(step: number): readonly Example[] | Promise<readonly Example[]>;
  step(state: TrainState, batch: readonly Example[], rate: number): Promise<R>;
  /** What people read of a step; default: its loss. */
  readonly note?: (result: R, batch: readonly Example[]) => string;
  readonly checkpoint?: Checkpoints;
  readonly onEvent: OnEvent;
}

export interface RuledLoop<R extends Stepped, V extends Judged> extends LoopOptions<R> {
  readonly rule: StoppingRule<R, V>;
  /**
   * Where the last step comes and nothing holds: as many again as were taken, the schedule laid out over all of them
   * (`waveEnd`), as long as training has taken less than so many minutes. Default: the run fails.
   */
  readonly stretch?: { readonly minutes: number };
}

export interface LoopEnd<V> {
  readonly state: TrainState;
  /** Of the batches, over all steps. */
  readonly tokens: number;
  /** Of training and measuring, over all its interruptions. */
  readonly seconds: number;
  readonly losses: readonly number[];
  /** What the rule found last, which holds. */
  readonly found: V;
}

/** What a checkpoint has beside weights and moments. */
interface Progress {
  readonly run: string | null;
  readonly settings: Checkpoints['settings'] | null;
  readonly tokens: number;
  readonly seconds: number;
  readonly losses: readonly number[];
  /** Steps that the schedule is laid out over by now. */
  readonly total: number;
  /** Whether the state is still to be measured before the next step. */
  readonly due: boolean;
}

/**
 * Trains until the rule holds; without a rule to the last step. The caller lets go of what it trains with.
 * @throws WhorlError `not-reached` for a loss that is not finite, `mismatch` for a checkpoint of another run, and what
 *   the rule fails with
 */
export async function trainLoop<R extends Stepped>(options: LoopOptions<R>): Promise<LoopEnd<undefined>>;
export async function trainLoop<R extends Stepped, V extends Judged>(
  options: RuledLoop<R, V>,
): Promise<LoopEnd<V>>;
export async function trainLoop<R extends Stepped, V extends Judged>(
  options: LoopOptions<R> & Partial<RuledLoop<R, V>>,
): Promise<LoopEnd<V | undefined>> {
  const { name, steps, rate, checkpoint, rule, stretch, onEvent } = options;
  const resumed = checkpoint && existsSync(checkpoint.path) ? resume(checkpoint, steps) : undefined;
  let state = resumed?.state ?? options.start();
  if (resumed) onEvent({ kind: 'note', text: `resuming at step ${state.step}` });
  const losses = [...(resumed?.progress.losses ?? [])];
  let { tokens, total, due } = resumed?.progress ?? { tokens: 0, total: steps, due: false };
  let found: V | undefined;
  let isBetween = true; // no step is under way, which may have changed half of the values in place
  let kept = state.step;
  let keptAt = Date.now();
  const started = Date.now();
  const spent = () => (resumed?.progress.seconds ?? 0) + (Date.now() - started) / 1000;
  const keep = (): void => {
    if (!checkpoint) return;
    const { run = null, settings = null } = checkpoint;
    const progress: Progress = { run, settings, tokens, seconds: spent(), losses, total, due };
    saveCheckpoint(checkpoint.path, state, progress);
    [kept, keptAt] = [state.step, Date.now()];
  };
  try {
    while (due || state.step < total) {
      if (!due) {
        const batch = await options.batch(state.step);
        const factor = SCHEDULES[rate.schedule](state.step, total, rate.warmup);
        isBetween = false;
        const result = await options.step(state, batch, rate.lr * factor);
        if (!Number.isFinite(result.loss)) throw notFinite(result, rate.lr);
        state = result.state;
        losses.push(result.loss);
        tokens += batch.reduce((sum, example) => sum + example.tokens.length, 0);
        due = rule !== undefined && (state.step >= total || rule.due(result, batch));
        isBetween = true;
        const note = options.note?.(result, batch) ?? `loss ${result.loss.toFixed(3)}`;
        onEvent({ kind: 'progress', name, done: state.step, total, note, keeps: true });
      }
      if (rule && due) {
        found = await rule.measure(state);
        if (found.held) {
          state = found.mended ?? state;
          keep(); // what comes after training may be killed as well, and is then begun from here
          break;
        }
        if (state.step >= total) {
          if (stretch === undefined || spent() >= 60 * stretch.minutes) throw rule.failed(found, state);
          total *= 2;
          onEvent({ kind: 'note', text: `nothing holds at step ${state.step}: going on to ${total}` });
        }
        due = false; // only now: who takes up a run that failed here measures again what was measured
        state = found.mended ?? state;
      }
      if (checkpoint && Date.now() - keptAt >= 1000 * checkpoint.seconds) keep();
    }
  } catch (cause) {
    if (isBetween && state.step > kept) keep(); // stopped, or failed: no step is trained twice
    throw cause;
  }
  return { state, tokens, seconds: spent(), losses, found };
}

/** The rate of each step, where nothing is gone on with beyond them. */
export const ratesOf = ({ lr, schedule, warmup }: LoopOptions<Stepped>['rate'], steps: number): number[] =>
  Array.from({ length: steps }, (_, step) => lr * SCHEDULES[schedule](step, steps, warmup));

/** Steps that a checkpoint has taken; 0 without one. @throws WhorlError `mismatch` for a checkpoint of another run */
export const stepsTaken = (checkpoint: Checkpoints): number =>
  existsSync(checkpoint.path) ? resume(checkpoint, 0).state.step : 0;

function resume(
  { path, run, settings = {} }: Checkpoints,
  steps: number,
): { state: TrainState; progress: Progress } {
  const { state, extra } = loadCheckpoint(path);
  const saved = extra as Partial<Progress> & { readonly finished?: boolean };
  if (run !== undefined && saved.run !== run)
    throw new WhorlError(
      'mismatch',
      `${path} is of a run with other examples or settings (${differences(saved.settings ?? {}, settings)})`,
      'repeat its command to go on, or start anew with --overwrite',
    );
  const { tokens = 0, seconds = 0, losses = [], total = steps } = saved;
  const due = saved.due ?? saved.finished ?? false; // `finished`: of rows, as written before there was one loop
  return { state, progress: { run: run ?? null, settings, tokens, seconds, losses, total, due } };
}

const notFinite = ({ loss, state }: Stepped, lr: number): WhorlError =>
  new WhorlError('not-reached', `the loss is ${loss} at step ${state.step}`, `lower the rate (lr=${lr / 2})`);

function differences(
  before: Readonly<Record<string, unknown>>,
  now: Readonly<Record<string, unknown>>,
): string {
  const differ = Object.keys(now).filter((key) => before[key] !== now[key]);
  return (
    differ.map((key) => `${key}: ${before[key]}, now ${now[key]}`).join(', ') ||
    'model, examples or what trains'
  );
}
