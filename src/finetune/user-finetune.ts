// What a user of a published model does with it: fine-tuning on instructions, with the paper's settings. All weights, or
// LoRA, whose adapter is written in PEFT's format or merged.

import { existsSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Abortable } from '../base/abort.ts';
import { checkWritable, makeFolder, moveFolder, writeFileAtomic, writeFolderAtomic } from '../base/atomic.ts';
import { type DryRun, type Plannable, plannable, planOf } from '../base/dry-run.ts';
import { WhorlError } from '../base/error.ts';
import { type OnEvent, silent } from '../base/events.ts';
import { type GivenSettings, settingTexts } from '../base/given-settings.ts';
import { type ColumnMap, type InstructionRow, readInstructionRows } from '../datasets/instruction-rows.ts';
import type { Recompute } from '../engine/recompute.ts';
import type { Device } from '../engine/session.ts';
import { type ComputeOptions, openDevice } from '../engine/session-device.ts';
import { checkLaunch } from '../launch/check-launch.ts';
import { byOurselves, isWaiting, type LaunchOptions, plannedJob, type WaitingJob } from '../launch/job.ts';
import type { JobEnd, JobPlace } from '../launch/train-by-job.ts';
import { type Model, plannedModel } from '../models/model.ts';
import { type ConfigOptions, configOptions, openModel } from '../models/open-model.ts';
import { applyTemplate, loadTemplate, type PromptTemplate } from '../text/prompts/instruction-templates.ts';
import { openTokenizer, type Tokenizer } from '../text/tokenizer.ts';
import { checkFinetune, type FinetuneOptions, type FinetuneSettings, finetune } from '../train/finetune.ts';
import { writePeftAdapter } from '../train/peft.ts';
import { checkFits } from '../train/settings-fit.ts';
import type { TrainState } from '../train/step.ts';
import { bindTrains, type Trains } from '../train/trains.ts';
import { type TuningExample, withLabels } from '../train/tuning-examples.ts';
import { writeModel } from '../train/write-model.ts';
import { finetuneByJob } from './finetune-by-job.ts';
import { finetuneSettings, type TuningSettings, trainsOf, tuningSettings } from './settings.ts';

export interface UserFinetuneOptions extends ComputeOptions, ConfigOptions, Abortable {
  /** A model folder, a GGUF or a hub id. */
  readonly model: string;
  /** Rows with instruction, input and output: JSON, JSON lines, Parquet, Arrow or a saved `datasets` folder. */
  readonly data: string;
  /** Model folder, or with `lora` and without `merge` an adapter folder. At every moment absent or complete. */
  readonly out: string;
  /** key=value over the paper's settings. */
  readonly settings?: GivenSettings;
  readonly lora?: boolean;
  /** With `lora`: write the merged model instead of the adapter. */
  readonly merge?: boolean;
  /** Most rows taken. */
  readonly limit?: number;
  readonly columns?: ColumnMap;
  /** Order of the examples, and how low-rank maps begin; default 42. */
  readonly seed?: bigint;
  readonly recompute?: Recompute;
  /** Forgets what an interrupted run of other settings left beside `out`. */
  readonly overwrite?: boolean;
  /** Trains by another engine (`launchFinetune`). */
  readonly launch?: LaunchOptions | undefined;
  readonly cacheDir?: string;
  readonly onEvent?: OnEvent;
}

export interface UserFinetuneReport {
  readonly model: string;
  readonly data: string;
  readonly out: string;
  readonly wrote: 'model' | 'adapter';
  readonly examples: number;
  /** Rows without instruction or output. */
  readonly empty: number;
  readonly steps: number;
  readonly losses: readonly number[];
  readonly settings: Readonly<Record<string, unknown>>;
  /** Keys of config.json that were ignored, where there are such. */
  readonly ignored_config_keys?: readonly string[];
  readonly seconds: number;
  /** By what a job was run that trained in our place. */
  readonly launched?: JobEnd<unknown>['ran'];
}

/** Beside the output folder while the run is under way: what a killed run goes on from. */
export const workFolder = (out: string): string => `${resolve(out)}.work`;

/** Written before `out` is: where both are there, what `out` holds came from here. */
const writingMark = (out: string): string => join(workFolder(out), 'writing');

/** Where a job of it lies. */
export const jobPlace = (out: string): JobPlace => ({
  folder: join(workFolder(out), 'job'),
  ticket: join(workFolder(out), 'job.json'),
});

/** The fine-tuning before it begins. */
interface Ready {
  readonly asked: TuningSettings;
  readonly model: Model;
  readonly device: Device;
  readonly examples: readonly TuningExample[];
  readonly empty: number;
  readonly settings: FinetuneSettings;
  readonly trains: Trains;
  readonly checkpoint: { readonly path: string; readonly seconds: number };
  readonly wrote: UserFinetuneReport['wrote'];
  /** Every setting with its value, as the report has it. */
  readonly full: Readonly<Record<string, unknown>>;
}

/**
 * The same call again goes on where a killed one was, to the same bytes. With `dryRun` nothing is written.
 * @throws WhorlError `usage` for settings, `exists`, `mismatch` for columns or a work folder of another run
 */
export const userFinetune: Plannable<Omit<UserFinetuneOptions, 'launch'>, UserFinetuneReport> = plannable(
  planUserFinetune,
  byOurselves(runUserFinetune),
);

/**
 * The same with the training handed over to torch: the job is written into the work folder and comes back; the same call
 * again takes its result in.
 * @throws WhorlError `unsupported` for a model or training that torch's program does not do as Whorl does, `changed` or
 *   `mismatch` for a job or result that is not this one's, `job-failed`
 */
export const launchFinetune: Plannable<
  UserFinetuneOptions & { readonly launch: LaunchOptions },
  UserFinetuneReport | WaitingJob
> = plannable(planUserFinetune, runUserFinetune);

/** Opens the model, reads the rows and refuses all that can be refused; nothing is written. */
async function prepare(options: UserFinetuneOptions): Promise<Ready> {
  const { data, out, lora = false, merge = false, onEvent = silent, seed = 42n } = options;
  const asked = tuningSettings(settingTexts(options.settings), lora);
  if (merge && !lora) throw new WhorlError('usage', 'there is nothing to merge', 'give --lora as well');
  if (existsSync(out))
    throw new WhorlError('exists', `${out} exists already`, 'name another folder or remove it');
  checkWritable(out);
  const template = loadTemplate(asked.template);
  const { rows, empty } = await readInstructionRows(
    data,
    options.limit ?? Number.POSITIVE_INFINITY,
    options.columns,
  );
  if (empty > 0) onEvent({ kind: 'note', text: `${empty} rows without instruction or output are left out` });
  const model = await openModel(options.model, {
    onEvent,
    whole: true,
    ...(options.cacheDir ? { cacheDir: options.cacheDir } : {}),
    ...configOptions(options),
  });
  checkFits({ ...asked.lora }, model.decoder.config);
  const tokenizer = await openTokenizer(model.folder, model.convertedFrom);
  for (const text of tokenizer.notes) onEvent({ kind: 'note', text });
  const all = await instructionExamples(tokenizer, template, rows);
  const examples = withLabels(all, asked.max_length, onEvent);
  const settings = finetuneSettings(asked, examples.length, seed);
  const trains = trainsOf(asked, model.decoder.shapes.keys());
  if (options.launch) checkLaunch(model, options.launch);
  return {
    asked,
    model,
    device: await openDevice(options),
    examples,
    empty,
    settings,
    trains,
    checkpoint: { path: join(workFolder(out), 'state.ckpt'), seconds: asked.checkpoint_every },
    wrote: asked.lora && !merge ? 'adapter' : 'model',
    full: { ...asked, warmup: settings.warmup, seed: String(seed) },
  };
}

async function planUserFinetune(options: UserFinetuneOptions): Promise<DryRun> {
  const { model, examples, settings, trains, checkpoint, wrote, full } = await prepare(options);
  const { steps, taken } = checkFinetune(model, examples, settings, {
    trains,
    ...(!options.overwrite && { checkpoint }),
  });
  return planOf('finetune', {
    models: [plannedModel('model', model)],
    settings: full,
    writes: [
      { path: resolve(options.out), what: wrote === 'model' ? 'the model' : "the adapter, in PEFT's format" },
      ...(options.launch ? [plannedJob(jobPlace(options.out).folder)] : []),
      { path: workFolder(options.out), what: 'while it runs: what a stopped run goes on from' },
    ],
    notes: [
      `${examples.length} examples from ${options.data} in ${steps} steps`,
      ...(taken > 0 ? [`goes on after step ${taken}`] : []),
    ],
  });
}

async function runUserFinetune(options: UserFinetuneOptions): Promise<UserFinetuneReport | WaitingJob> {
  const { data, out, launch, onEvent = silent } = options;
  const started = Date.now();
  const work = workFolder(out);
  // What a run left that ended between its last two steps; else `out` is somebody else's, and a run or a job still waits.
  if (existsSync(out) && existsSync(writingMark(out))) rmSync(work, { recursive: true, force: true });
  const ready = await prepare(options);
  const { model, device, examples, empty, settings, trains, checkpoint, wrote, full } = ready;
  if (options.overwrite)
    rmSync(launch ? jobPlace(out).folder : checkpoint.path, { recursive: true, force: true });
  const write = async (state: TrainState, to: string): Promise<void> => {
    makeFolder(work, 0o700);
    writeFileAtomic(writingMark(out), '', 0o600);
    await writerOf(ready)(state, to);
  };
  const recompute = options.recompute && { recompute: options.recompute };
  const more = { device, trains, checkpoint, ...recompute, write };
  const job =
    launch &&
    (await finetuneByJob(
      model,
      examples,
      settings,
      { trains, ...recompute, checkpoint_seconds: checkpoint.seconds, settings: full },
      { ...jobPlace(out), order: { command: 'finetune', options: ordered(options) } },
      launch,
      onEvent,
    ));
  if (job && isWaiting(job)) return job;
  if (job) await writeFolderAtomic(out, (to) => write(job.state, to));
  const losses = job ? job.losses : await finetune(model, examples, out, settings, onEvent, more);
  if (launch?.keepJob) moveFolder(jobPlace(out).folder, `${resolve(out)}.job`);
  rmSync(work, { recursive: true, force: true });
  return {
    model: model.source,
    data,
    out,
    wrote,
    examples: examples.length,
    empty,
    steps: losses.length,
    losses,
    settings: full,
    ...(model.ignoredConfigKeys.length > 0 && { ignored_config_keys: model.ignoredConfigKeys }),
    seconds: job ? job.seconds : (Date.now() - started) / 1000,
    ...(job && { launched: job.ran }),
  };
}

/** The call as JSON has it, whatever folder it is repeated from. */
function ordered(options: UserFinetuneOptions): Readonly<Record<string, unknown>> {
  const { out: _, launch: __, onEvent: ___, signal: ____, overwrite: _____, seed, ...more } = options;
  const { model, data } = more;
  const found = (path: string) => (existsSync(path) ? resolve(path) : path);
  return {
    ...more,
    ...(seed !== undefined && { seed: String(seed) }),
    model: found(model),
    data: found(data),
  };
}

/** How an adapter or a model is written. */
function writerOf({ asked, model, trains, wrote }: Ready): NonNullable<FinetuneOptions['write']> {
  const base = model.source.replace(/@[0-9a-f]{40}$/, ''); // PEFT loads a base by its name alone
  const adapter = wrote === 'adapter' ? asked.lora : undefined;
  if (!adapter) return (state, to) => writeModel(model, { trained: bindTrains(trains, model) }, state, to);
  const shape = { rank: adapter.r, alpha: adapter.alpha, base, decoder: model.decoder };
  return (state, to) => writePeftAdapter(state, shape, to);
}

/**
 * Prompt and answer in one text, as the paper tokenizes them; the labels are what comes after as many tokens as the prompt
 * alone has, and EOS. So a token that reaches over the seam is no label, as in stanford_alpaca's train.py.
 */
export async function instructionExamples(
  tokenizer: Tokenizer,
  template: PromptTemplate,
  rows: readonly InstructionRow[],
): Promise<TuningExample[]> {
  const prompts = rows.map((row) => applyTemplate(template, row));
  const wholes = await tokenizer.encodeBatch(
    rows.map(({ output }, i) => prompts[i] + output),
    { continued: true },
  );
  const starts = await tokenizer.encodeBatch(prompts, { continued: true });
  const end = tokenizer.eosId;
  return wholes.map((whole, i) => {
    const tokens = end === undefined || whole.at(-1) === end ? whole : [...whole, end];
    const start = Math.max(1, starts[i]!.length);
    return { tokens, labels: start < tokens.length ? [[start, tokens.length]] : [] };
  });
}
