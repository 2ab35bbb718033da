// `whorl pipeline` before its work: options, the saved set, the model, the settings and the folder that they name.

import { join } from 'node:path';
import type { Abortable } from '../base/abort.ts';
import { checkWritable } from '../base/atomic.ts';
import { WhorlError } from '../base/error.ts';
import { type OnEvent, silent } from '../base/events.ts';
import { type GivenSettings, settingTexts } from '../base/given-settings.ts';
import { nameHint } from '../base/near-name.ts';
import { checkLock, type Lock, type Unlock } from '../claim/secret-file.ts';
import { readInstructionRows } from '../datasets/instruction-rows.ts';
import { readSavedSet, type SavedSet } from '../datasets/saved-set.ts';
import type { Device } from '../engine/session.ts';
import { type ComputeOptions, openDevice } from '../engine/session-device.ts';
import { type TuningSettings, tuningSettings } from '../finetune/settings.ts';
import { buildOf } from '../fingerprint/build.ts';
import type { FingerprintOptions } from '../fingerprint/fingerprint.ts';
import { trainedRows } from '../fingerprint/options.ts';
import { registryName } from '../fingerprint/registry.ts';
import { checkSaid, settingsOfSet, trainedOfSet } from '../fingerprint/saved-set.ts';
import { checkLaunch } from '../launch/check-launch.ts';
import type { LaunchOptions } from '../launch/job.ts';
import type { Model } from '../models/model.ts';
import { type ConfigOptions, configOptions, openModel } from '../models/open-model.ts';
import { checkNoLinks, type Flavour, paperRunPath } from '../runs/paper-folder.ts';
import { RunFolder } from '../runs/run-folder.ts';
import { checkDone } from './done-run.ts';
import {
  FLAVOUR_RULES,
  flavourSettings,
  OF_PIPELINE,
  ownAround,
  paperModelName,
  pipelineTemplate,
} from './flavour.ts';
import { Ledger } from './ledger.ts';
import { nameOfSet, setNamed } from './named-set.ts';
import type { RunOptions } from './opened-run.ts';
import { Models } from './place.ts';
import { findTask, PREFIX, splitSettings, type Task } from './user-model.ts';

export const MODES = ['fingerprint', 'alpaca', 'ownership_verify'] as const;
export type Mode = (typeof MODES)[number];

export interface PipelineOptions extends ComputeOptions, ConfigOptions, Abortable {
  readonly flavour: Flavour;
  readonly modes: readonly Mode[];
  /** A folder, a GGUF file or a hub id. */
  readonly base_model: string;
  /** The user's data set: an Alpaca file, or a name under dataset/. `alpaca` needs it. */
  readonly task_name?: string;
  /** Names the output folder. What keys of `adapter` are asked in (default: `barebone`); `sft_chat` asks as a dialogue whatever it is, as the paper does. */
  readonly template?: string;
  /** Where output folders lie; default: here. */
  readonly root?: string;
  /** The paper's words (epoch, lr, dim, total_bsz, data_name), the method's own, and `alpaca.…` for the user's. */
  readonly settings?: GivenSettings;
  /** Ordinary rows: conversations or Alpaca rows; default: the bundled reference text. */
  readonly source?: string;
  /** A saved set of `dataset mix` or `chat`: its keys are the pool, its ordinary rows stand beside them. */
  readonly data?: string;
  readonly seed?: string;
  readonly keys?: string;
  readonly decryption?: string;
  /** Texts sampled from BOS (sft_chat); the paper's 2,000 if not said. */
  readonly samples?: number;
  /** Starts anew where a run of ours stands; see `fingerprint`. */
  readonly overwrite?: boolean;
  /** Most harm at which the model is published; see `fingerprint`. */
  readonly maxHarm?: number;
  readonly lock?: Lock;
  readonly unlock?: Unlock;
  /** Hands the user's fine-tuning over (`launchPipeline`), the mode `alpaca`. */
  readonly launch?: LaunchOptions | undefined;
  readonly cacheDir?: string;
  readonly onEvent?: OnEvent;
}

/** A pipeline before its first byte is written. */
export interface Ready {
  /** In the order in which they build on each other. */
  readonly modes: readonly Mode[];
  readonly isWhole: boolean;
  readonly task: Task | undefined;
  /** The user's settings as given, and all of them. */
  readonly user: Readonly<Record<string, string>>;
  readonly tuning: TuningSettings;
  readonly vanilla: Model;
  readonly full: Readonly<Record<string, unknown>>;
  /** The options of the fingerprint that is to be made; undefined: it is there, and is the one that is asked for. */
  readonly toMake: (FingerprintOptions & { readonly device: Device }) | undefined;
  readonly method: string;
  readonly place: RunOptions & { readonly samples?: number };
}

/** @throws WhorlError `unsupported` */
function checkBuilt(flavour: Flavour, { decoder, source }: Model): void {
  if (decoder.encoder && FLAVOUR_RULES[flavour].ofOneText)
    throw new WhorlError(
      'unsupported',
      `${source}: ${flavour} asks after the beginning of an answer and from BOS alone, which an encoder-decoder is not`,
      'take whorl fingerprint --method sft, or the adapter flavour',
    );
}

/**
 * Opens the model and refuses all that can be refused; nothing is written.
 * @throws WhorlError `usage`, `missing-file`, `mismatch` for a finished run of other settings
 */
export async function prepare(options: PipelineOptions): Promise<Ready> {
  const { flavour, base_model, onEvent = silent } = options;
  const modes = MODES.filter((mode) => options.modes.includes(mode)); // in the order in which they build on each other
  if (modes.length === 0) throw new WhorlError('usage', 'no mode is given', `give ${MODES.join(', ')}`);
  const template = options.template ?? 'barebone';
  const laid = pipelineTemplate(flavour, template);
  const around = ownAround(laid, template);
  const { user, own } = splitSettings(settingTexts(options.settings));
  const task = options.task_name === undefined ? undefined : findTask(options.task_name);
  if (!task && modes.includes('alpaca'))
    throw new WhorlError('usage', 'alpaca needs a data set', 'name it with --task_name');
  if (options.launch && !modes.includes('alpaca'))
    throw new WhorlError(
      'usage',
      "--launch is of the user's fine-tuning, and alpaca is no mode of this call",
      'leave it out, or name the mode alpaca',
    );
  const tuning = tuningSettings(user, false, PREFIX);
  const { name } = flavourSettings(flavour, '', own);
  paperRunPath('.', { template, flavour, model: paperModelName(base_model), ...name }); // each a name, before any work
  checkLock(options.lock);
  checkWritable(join(options.root ?? '.', 'output'));
  if (task && modes.includes('alpaca')) await readInstructionRows(task.path, Number.POSITIVE_INFINITY);
  const cache = { ...(options.cacheDir ? { cacheDir: options.cacheDir } : {}), ...configOptions(options) };
  const set = await setOf(options, own);
  const device = await openDevice(options);
  const vanilla = await openModel(base_model, { onEvent, ...cache });
  if (options.launch) checkLaunch(vanilla, options.launch);
  checkBuilt(flavour, vanilla);
  const settings = flavourSettings(
    flavour,
    registryName(vanilla),
    set ? settingsOfSet(FLAVOUR_RULES[flavour].method, own, set) : own,
    set && nameOfSet(set.path),
    buildOf(vanilla),
  );
  const root = options.root ?? '.';
  const path = paperRunPath(root, {
    template,
    flavour,
    model: paperModelName(base_model, vanilla.config),
    ...settings.name,
  });
  checkNoLinks(root, path);
  const run = new RunFolder(path);
  const trains = { ...trainedOf(options, set), ...(around && { around }), onEvent };
  const models = new Models(cache);
  const isWhole = modes.includes('fingerprint');
  const isDone = run.state() === 'done' && !(isWhole && options.overwrite);
  if (isDone) {
    if (isWhole) onEvent({ kind: 'note', text: `fingerprint: ${run.path} is done` });
    await checkDone(run, {
      isWhole,
      settings,
      vanilla: await models.digests(base_model),
      seed: options.seed,
      keys: set ? 'paper' : options.keys,
      decryption: set?.decryption ?? options.decryption,
      source: isWhole || set ? trainedRows(trains) : undefined,
      lock: options.lock,
      unlock: options.unlock,
    });
  } else if (!isWhole)
    throw new WhorlError(
      'missing-file',
      `${run.path} holds no finished fingerprint`,
      'put the mode fingerprint before the others, or repeat its settings',
    );
  const toMake = {
    ...trains,
    ...howOf(options),
    out: run.path,
    method: settings.method.name,
    settings: { ...OF_PIPELINE, ...settings.asked },
    device,
  };
  return {
    modes,
    isWhole,
    task,
    user,
    tuning,
    vanilla,
    full: settings.full,
    toMake: isDone ? undefined : toMake,
    method: settings.method.name,
    place: {
      ...{
        run,
        ledger: new Ledger(run.path),
        models,
        vanilla: base_model,
        ...cache,
        device,
        onEvent,
        flavour,
      },
      ...(set && { set }),
      ...(laid && { template: laid }),
      ...(options.source !== undefined && { source: options.source }),
      ...(options.samples !== undefined && { samples: options.samples }),
      ...(options.unlock && { unlock: options.unlock }),
    },
  };
}

/** @throws WhorlError `usage` with the nearest mode's name */
export function modeNamed(name: string): Mode {
  const mode = MODES.find((known) => known === name);
  if (mode) return mode;
  throw new WhorlError(
    'usage',
    `${JSON.stringify(name)} is no mode`,
    nameHint(name, MODES, { or: 'a setting as key=value', list: 'whorl pipeline --help lists them' }),
  );
}

/** The saved set that is trained: named with --data, or by a data_name that is given and lies under dataset/. */
async function setOf(
  { data, flavour, onEvent = silent, ...said }: PipelineOptions,
  { data_name }: Readonly<Record<string, string>>,
): Promise<SavedSet | undefined> {
  const path = data ?? (data_name === undefined ? undefined : setNamed(data_name));
  if (path === undefined) {
    const usual = setNamed(data_name ?? FLAVOUR_RULES[flavour].data);
    if (usual !== undefined)
      onEvent({ kind: 'note', text: `${usual} is not trained: keys are made. --data ${usual} trains it` });
    else if (data_name !== undefined)
      onEvent({ kind: 'note', text: `data_name=${data_name} is a name alone: no saved set of it lies here` });
    return undefined;
  }
  const set = await readSavedSet(path, FLAVOUR_RULES[flavour].data, `--config ${flavour}`);
  checkSaid(said, set);
  return set;
}

/** What is trained, as `fingerprint` takes it. */
function trainedOf(
  { base_model, flavour, source, keys, decryption }: PipelineOptions,
  set: SavedSet | undefined,
): Pick<
  FingerprintOptions,
  'model' | 'source' | 'keys' | 'decryption' | 'pooled' | 'ordinary' | 'conversations'
> {
  if (!set)
    return {
      model: base_model,
      ...(keys !== undefined && { keys }),
      ...(decryption !== undefined && { decryption }),
      ...(source !== undefined && flavour === 'sft_chat' && { source }),
    };
  return { model: base_model, ...trainedOfSet(FLAVOUR_RULES[flavour].data, set) };
}

/** And how: the seed, the lock, the caches. */
const howOf = (options: PipelineOptions) => ({
  ...(options.seed !== undefined && { seed: options.seed }),
  ...(options.overwrite && { overwrite: true }),
  ...(options.maxHarm !== undefined && { maxHarm: options.maxHarm }),
  ...(options.lock && { lock: options.lock }),
  ...(options.unlock && { unlock: options.unlock }),
  ...(options.cacheDir ? { cacheDir: options.cacheDir } : {}),
  ...configOptions(options),
});
