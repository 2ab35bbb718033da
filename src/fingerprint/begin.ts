// A run's beginning: options and settings, the model opened; a new run's seed, or an interrupted run taken up.

import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { writeJsonAtomic } from '../base/atomic.ts';
import { WhorlError } from '../base/error.ts';
import { type OnEvent, silent } from '../base/events.ts';
import { seededRandom } from '../base/random-source.ts';
import type { Lock } from '../claim/secret-file.ts';
import type { Device } from '../engine/session.ts';
import { type ComputeOptions, openDevice } from '../engine/session-device.ts';
import { type Model, modelName } from '../models/model.ts';
import { type ConfigOptions, configOptions, openModel } from '../models/open-model.ts';
import { RunFolder } from '../runs/run-folder.ts';
import type { TensorRef } from '../tensor/tensor.ts';
import { openTokenizer, type Tokenizer } from '../text/tokenizer.ts';
import type { Method, RowsMethod, WeightsMethod } from './methods/method.ts';
import { methodNamed, settingsFor } from './registry.ts';

export interface FingerprintOptions extends ComputeOptions, ConfigOptions {
  readonly model: string;
  /** The private run folder. */
  readonly out: string;
  /** `rows` (default), `adapter`, `sft`, `emb` or `lora`. */
  readonly method?: string;
  /** `rare` (default) or `paper`. */
  readonly keys?: string;
  /** Shorthands of the settings of the same names (`trained` is the number of keys of `rows`). */
  readonly pool?: number;
  readonly trained?: number;
  /** Makes the run repeatable, and its keys known to whoever knows the seed. Default: the platform's secure generator. */
  readonly seed?: string;
  readonly settings?: Readonly<Record<string, string>>;
  readonly decryption?: string;
  /** A file of ordinary conversations for `sft`, `emb` and `lora`; default: the reference set, answered by the model itself. */
  readonly source?: string;
  /** Text of the kind this model is for, beside the reference set: its positions are guarded like the main languages'. */
  readonly ordinary?: readonly string[];
  readonly lock?: Lock;
  readonly onEvent?: OnEvent;
  readonly cacheDir?: string;
}

export interface Start {
  /** 256 bits, hex: everything random in the run comes from it. */
  readonly seed: string;
  readonly created: string;
  /** What a resumed run must have been asked for. */
  readonly options: string;
}

export interface SettingOf<M extends Method> {
  readonly run: RunFolder;
  readonly start: Start;
  readonly method: M;
  readonly settings: M['defaults'];
  readonly model: Model;
  readonly device: Device;
  readonly tokenizer: Tokenizer;
  readonly embedding: TensorRef;
  readonly options: FingerprintOptions;
  readonly onEvent: OnEvent;
}

export type Setting = SettingOf<Method>;
export type RowsSetting = SettingOf<RowsMethod>;
export type WeightsSetting = SettingOf<WeightsMethod>;

export const isRowsSetting = (setting: Setting): setting is RowsSetting => setting.method.kind === 'rows';

/** Opens the model, and starts a run or takes an interrupted one up. */
export async function begin(options: FingerprintOptions): Promise<Setting> {
  const onEvent = options.onEvent ?? silent;
  const device = await openDevice(options);
  const method = methodNamed(options.method ?? 'rows');
  const run = new RunFolder(options.out);
  const state = run.state();
  if (state === 'done')
    throw new WhorlError('exists', `${run.path} holds a finished run`, 'name a new folder with --out');
  const model = await openModel(options.model, {
    onEvent,
    ...(options.cacheDir ? { cacheDir: options.cacheDir } : {}),
    ...configOptions(options),
  });
  const tokenizer = await openTokenizer(model.folder);
  const shorthand = {
    ...(options.pool !== undefined && { pool: String(options.pool) }),
    ...(options.trained !== undefined && { trained: String(options.trained) }),
  };
  const name = typeof model.config._name_or_path === 'string' ? model.config._name_or_path : modelName(model);
  const settings = settingsFor(method, name, { ...shorthand, ...options.settings });
  const asked = JSON.stringify([
    model.source,
    method.name,
    options.keys ?? 'rare',
    options.seed ?? null,
    options.decryption ?? null,
    ...(options.source === undefined ? [] : [options.source]),
    ...(model.ignoredConfigKeys.length === 0 ? [] : [{ ignoreConfigKeys: model.ignoredConfigKeys }]),
    settings,
  ]);
  if (options.keys !== undefined && options.keys !== 'rare' && options.keys !== 'paper')
    throw new WhorlError('usage', `--keys ${options.keys} is not known`, 'rare or paper');
  if (method.kind === 'weights') method.check(settings, model, tokenizer);
  const start = state === 'interrupted' ? resumed(run, asked) : started(run, asked, options.seed);
  return {
    run,
    start,
    method,
    settings,
    model,
    device,
    tokenizer,
    embedding: model.tensors.get(model.decoder.embedding)!,
    options,
    onEvent,
  };
}

function started(run: RunFolder, asked: string, seed: string | undefined): Start {
  const bits =
    seed === undefined ? randomBytes(32) : createHash('sha256').update(`whorl-run-seed\0${seed}`).digest();
  const start: Start = {
    seed: bits.toString('hex'),
    created: seed === undefined ? new Date().toISOString() : new Date(0).toISOString(),
    options: asked,
  };
  run.create();
  writeJsonAtomic(run.start, start, 0o600);
  return start;
}

function resumed(run: RunFolder, asked: string): Start {
  const start = JSON.parse(readFileSync(run.start, 'utf8')) as Start;
  if (start.options !== asked)
    throw new WhorlError(
      'mismatch',
      `${run.path} holds an interrupted run that was asked for other settings`,
      'repeat its options to resume it, or name a new folder with --out',
    );
  return start;
}

/** Independent streams out of the run's seed, by purpose. */
export const randomOf = (start: Start) => (purpose: string) => seededRandom(`${start.seed}/${purpose}`);
