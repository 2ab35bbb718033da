// A run's beginning: options and settings, the model opened; a new run's seed, or an interrupted run taken up.

import { randomBytes } from 'node:crypto';
import { WhorlError } from '../base/error.ts';
import { type OnEvent, silent } from '../base/events.ts';
import { seededRandom } from '../base/random-source.ts';
import { type Lock, readLocked, type Unlock, writeLocked } from '../claim/secret-file.ts';
import { SEED_KDF, type SeedKdf, stretchSeed } from '../claim/seed-kdf.ts';
import type { Device } from '../engine/session.ts';
import { type ComputeOptions, openDevice } from '../engine/session-device.ts';
import { type Model, modelName } from '../models/model.ts';
import { openModel } from '../models/open-model.ts';
import { RunFolder } from '../runs/run-folder.ts';
import type { TensorRef } from '../tensor/tensor.ts';
import { openTokenizer, type Tokenizer } from '../text/tokenizer.ts';
import type { Method, RowsMethod, WeightsMethod } from './methods/method.ts';
import { methodNamed, settingsFor } from './registry.ts';

export interface FingerprintOptions extends ComputeOptions {
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
  /**
   * Makes the run repeatable, and its keys known to whoever knows or guesses the seed; stretched by a slow function
   * (claim/seed-kdf.ts). Default: the platform's secure generator.
   */
  readonly seed?: string;
  readonly settings?: Readonly<Record<string, string>>;
  readonly decryption?: string;
  /** A file of ordinary conversations for `sft`, `emb` and `lora`; default: the reference set, answered by the model itself. */
  readonly source?: string;
  /** Text of the kind this model is for, beside the reference set: its positions are guarded like the main languages'. */
  readonly ordinary?: readonly string[];
  /** Encrypts the secret, and what an interrupted run keeps to go on from. */
  readonly lock?: Lock;
  /** Opens what an interrupted run kept; default: the passphrase of `lock`. */
  readonly unlock?: Unlock;
  readonly onEvent?: OnEvent;
  readonly cacheDir?: string;
}

export interface Start {
  /** 256 bits, hex: everything random in the run comes from it. */
  readonly seed: string;
  readonly created: string;
  /** How a seed given as text became `seed`; absent where it is random. */
  readonly from_text?: SeedKdf;
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
    settings,
  ]);
  if (options.keys !== undefined && options.keys !== 'rare' && options.keys !== 'paper')
    throw new WhorlError('usage', `--keys ${options.keys} is not known`, 'rare or paper');
  if (method.kind === 'weights') method.check(settings, model, tokenizer);
  const start =
    state === 'interrupted' ? await resumed(run, asked, options) : await started(run, asked, options);
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

async function started(run: RunFolder, asked: string, { seed, lock }: FingerprintOptions): Promise<Start> {
  const start: Start =
    seed === undefined
      ? { seed: randomBytes(32).toString('hex'), created: new Date().toISOString(), options: asked }
      : {
          seed: await stretchSeed(seed),
          created: new Date(0).toISOString(),
          from_text: SEED_KDF,
          options: asked,
        };
  run.create();
  await writeLocked(run.start, `${JSON.stringify(start)}\n`, lock);
  return start;
}

async function resumed(run: RunFolder, asked: string, { lock, unlock }: FingerprintOptions): Promise<Start> {
  const start = await readStart(run, unlock ?? (lock && 'passphrase' in lock ? lock : undefined));
  if (start.options !== asked)
    throw new WhorlError(
      'mismatch',
      `${run.path} holds an interrupted run that was asked for other settings`,
      'repeat its options to resume it, or name a new folder with --out',
    );
  return start;
}

/** What an interrupted run goes on from. @throws WhorlError `bad-secret` where it is locked and not opened, or damaged */
export async function readStart(run: RunFolder, unlock?: Unlock): Promise<Start> {
  const text = (await readLocked(run.start, unlock)).reveal();
  try {
    return JSON.parse(text) as Start;
  } catch (cause) {
    throw new WhorlError('bad-secret', `${run.start} is damaged`, 'name a new folder with --out', { cause });
  }
}

/** Independent streams out of the run's seed, by purpose. */
export const randomOf = (start: Start) => (purpose: string) => seededRandom(`${start.seed}/${purpose}`);
