// `whorl pipeline`: the paper's three modes over its own folder, which is a private run folder. Every model and every
// file is whole or absent, and is skipped where it is there already.

import { existsSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type Abortable, abortable } from '../base/abort.ts';
import { checkWritable } from '../base/atomic.ts';
import { nearest, WhorlError } from '../base/error.ts';
import { type OnEvent, silent } from '../base/events.ts';
import { type GivenSettings, settingTexts } from '../base/given-settings.ts';
import { checkLock, type Lock, type Unlock } from '../claim/secret-file.ts';
import { readInstructionRows } from '../datasets/instruction-rows.ts';
import { type ComputeOptions, openDevice } from '../engine/session-device.ts';
import { tuningSettings } from '../finetune/settings.ts';
import { fingerprint } from '../fingerprint/fingerprint.ts';
import { type ModelFolder, modelName } from '../models/model.ts';
import { type ConfigOptions, configOptions, openModel } from '../models/open-model.ts';
import { type Flavour, paperRunPath, tunedFolder } from '../runs/paper-folder.ts';
import { RunFolder } from '../runs/run-folder.ts';
import { parseHubId } from '../sources/hub/hub-id.ts';
import { FLAVOUR_RULES, type FlavourSettings, flavourSettings } from './flavour.ts';
import { Ledger } from './ledger.ts';
import { type OwnershipFile, type OwnershipVerdict, verifyOwnership } from './ownership.ts';
import { findTask, makeUserModel, PREFIX, splitSettings } from './user-model.ts';

export const MODES = ['fingerprint', 'alpaca', 'ownership_verify'] as const;
export type Mode = (typeof MODES)[number];

export interface PipelineOptions extends ComputeOptions, ConfigOptions, Abortable {
  readonly flavour: Flavour;
  readonly modes: readonly Mode[];
  /** A folder, a GGUF file or a hub id. */
  readonly base_model: string;
  /** The user's data set: an Alpaca file, or a name under dataset/. `alpaca` needs it. */
  readonly task_name?: string;
  /** Names the output folder; both flavours are asked in `barebone`. */
  readonly template?: string;
  /** Where output folders lie; default: here. */
  readonly root?: string;
  /** The paper's words (epoch, lr, dim, total_bsz, data_name), the method's own, and `alpaca.…` for the user's. */
  readonly settings?: GivenSettings;
  /** Ordinary rows: conversations or Alpaca rows; default: the bundled reference text. */
  readonly source?: string;
  readonly seed?: string;
  readonly keys?: string;
  readonly decryption?: string;
  /** Texts sampled from BOS (sft_chat); the paper's 2,000 if not said. */
  readonly samples?: number;
  /** Starts anew where a run of ours stands; see `fingerprint`. */
  readonly overwrite?: boolean;
  readonly lock?: Lock;
  readonly unlock?: Unlock;
  readonly cacheDir?: string;
  readonly onEvent?: OnEvent;
}

export interface PipelineReport {
  readonly run: string;
  readonly flavour: Flavour;
  readonly modes: readonly Mode[];
  readonly published: string;
  readonly user: string | null;
  readonly files: readonly OwnershipFile[];
  readonly verdicts: readonly OwnershipVerdict[];
  readonly seconds: number;
}

/** @throws WhorlError `usage`, `mismatch` for a folder of other settings, and what fingerprint, finetune and verify throw */
export function pipeline(options: PipelineOptions): Promise<PipelineReport> {
  return abortable(options, runPipeline);
}

async function runPipeline(options: PipelineOptions): Promise<PipelineReport> {
  const started = Date.now();
  const { flavour, base_model, onEvent = silent } = options;
  const modes = MODES.filter((mode) => options.modes.includes(mode)); // in the order in which they build on each other
  if (modes.length === 0) throw new WhorlError('usage', 'no mode is given', `give ${MODES.join(', ')}`);
  const template = options.template ?? 'barebone';
  if (template !== 'barebone')
    throw new WhorlError(
      'usage',
      `-t ${template}: keys are asked in barebone`,
      'use -t barebone; template=vicuna or template=chat is how sft_chat lays out conversations',
    );
  const { user, own } = splitSettings(settingTexts(options.settings));
  const task = options.task_name === undefined ? undefined : findTask(options.task_name);
  if (!task && modes.includes('alpaca'))
    throw new WhorlError('usage', 'alpaca needs a data set', 'name it with --task_name');
  tuningSettings(user, false, PREFIX);
  flavourSettings(flavour, '', own);
  checkLock(options.lock);
  checkWritable(join(options.root ?? '.', 'output'));
  if (task && modes.includes('alpaca')) await readInstructionRows(task.path, Number.POSITIVE_INFINITY);
  const cache = { ...(options.cacheDir ? { cacheDir: options.cacheDir } : {}), ...configOptions(options) };
  const device = await openDevice(options);
  const vanilla = await openModel(base_model, { onEvent, ...cache });
  const settings = flavourSettings(flavour, registryName(vanilla), own);
  const path = paperRunPath(options.root ?? '.', {
    template,
    flavour,
    model: folderName(base_model),
    ...settings.name,
  });
  const run = new RunFolder(path);
  if (modes.includes('fingerprint'))
    await fingerprintMode(run, vanilla, settings, { ...options, device }, onEvent);
  else if (run.state() !== 'done')
    throw new WhorlError(
      'missing-file',
      `${run.path} holds no finished fingerprint`,
      'put the mode fingerprint before the others, or repeat its settings',
    );
  const ledger = new Ledger(run.path);
  if (task && modes.includes('alpaca'))
    await makeUserModel(run, ledger, task, user, onEvent, { ...cache, device });
  const tuned = task && tunedFolder(run.path, task.name);
  const isVerified = modes.includes('ownership_verify');
  const checked = isVerified
    ? await verifyOwnership({
        run,
        ledger,
        flavour,
        vanilla: base_model,
        ...(task && { task: task.name }),
        ...(options.source !== undefined && { source: options.source }),
        ...(options.samples !== undefined && { samples: options.samples }),
        ...(options.unlock && { unlock: options.unlock }),
        ...cache,
        device,
        onEvent,
      })
    : { files: [], verdicts: [] };
  tidy(run);
  return {
    run: run.path,
    flavour,
    modes,
    published: run.published,
    user: tuned && existsSync(tuned) ? tuned : null,
    ...checked,
    seconds: (Date.now() - started) / 1000,
  };
}

/** @throws WhorlError `usage` with the nearest mode's name */
export function modeNamed(name: string): Mode {
  const mode = MODES.find((known) => known === name);
  if (mode) return mode;
  const near = nearest(name, MODES);
  throw new WhorlError(
    'usage',
    `${JSON.stringify(name)} is no mode${near ? ` (did you mean ${near}?)` : ''}`,
    `modes are ${MODES.join(', ')}; settings are key=value`,
  );
}

/** As the registry of settings knows it. */
const registryName = (folder: ModelFolder): string =>
  typeof folder.config._name_or_path === 'string' ? folder.config._name_or_path : modelName(folder);

/** The paper's {model}: a hub id as it is, else the last part of the path. */
function folderName(model: string): string {
  if (existsSync(model)) return basename(model).replace(/\.gguf$/i, '');
  return parseHubId(model) ? model.replace(/[@:].*$/, '') : basename(model);
}

async function fingerprintMode(
  run: RunFolder,
  vanilla: ModelFolder,
  { asked, full, method }: FlavourSettings,
  options: PipelineOptions,
  onEvent: OnEvent,
): Promise<void> {
  const { base_model, flavour, seed, keys, decryption, source, lock, unlock, cacheDir, device } = options;
  if (run.state() === 'done' && !options.overwrite) {
    onEvent({ kind: 'note', text: `fingerprint: ${run.path} is done` });
    const done = JSON.parse(readFileSync(run.run, 'utf8')) as Record<string, unknown>;
    const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
    const model = (done.model as { source?: string } | undefined)?.source;
    if (!same(done.settings, full) || done.method !== method.name || model !== vanilla.source)
      throw new WhorlError(
        'mismatch',
        `${run.path} holds a run of other settings or another model`,
        'repeat its settings, name other ones in the folder (data_name=…), or choose another --root',
      );
  } else
    await fingerprint({
      model: base_model,
      out: run.path,
      method: FLAVOUR_RULES[flavour].method,
      settings: asked,
      onEvent,
      ...(seed !== undefined && { seed }),
      ...(keys !== undefined && { keys }),
      ...(decryption !== undefined && { decryption }),
      ...(source !== undefined && flavour === 'sft_chat' && { source }),
      ...(options.overwrite && { overwrite: true }),
      ...(lock && { lock }),
      ...(unlock && { unlock }),
      ...(cacheDir ? { cacheDir } : {}),
      ...configOptions(options),
      ...(device && { device }),
    });
  // Its own answer files hold its cells, not the paper's rows: those are ownership_verify's to write.
  const ledger = new Ledger(run.path);
  for (const file of ['vanilla', 'publish', 'publish_w_adapter'] as const)
    if (!ledger.isNamed(`${file}.jsonl`)) rmSync(run.answers(file), { force: true });
}

/** Takes away the folder of unfinished work, unless something in it is unfinished. */
function tidy(run: RunFolder): void {
  try {
    rmdirSync(join(run.path, 'work'));
  } catch {
    // not there, or another task's checkpoint is in it
  }
}
