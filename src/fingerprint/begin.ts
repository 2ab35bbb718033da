// A run's beginning: options and settings, the model opened, all that can be refused refused.

import { checkWritable } from '../base/atomic.ts';
import { WhorlError } from '../base/error.ts';
import { type OnEvent, silent } from '../base/events.ts';
import { seededRandom } from '../base/random-source.ts';
import type { Device } from '../engine/session.ts';
import { openDevice } from '../engine/session-device.ts';
import { checkLaunch } from '../launch/check-launch.ts';
import type { Model } from '../models/model.ts';
import { configOptions, openModel } from '../models/open-model.ts';
import { checkBesideModel, RunFolder } from '../runs/run-folder.ts';
import type { TensorRef } from '../tensor/tensor.ts';
import { openTokenizer, type Tokenizer } from '../text/tokenizer.ts';
import { fittingSettings } from './fitting-settings.ts';
import type { Method, RowsMethod, SettingsOf, StampMethod, WeightsMethod } from './methods/method.ts';
import { checkOptions, type FingerprintOptions, givenSettings, limitOf, trainedRows } from './options.ts';
import { checkConversations } from './ordinary-conversations.ts';
import { methodNamed, settingsFor } from './registry.ts';
import { withSavedSet } from './saved-set.ts';
import {
  asCommitted,
  type Beginning,
  beginningOf,
  interruptedStart,
  type RunOptions,
  type Start,
  started,
} from './start.ts';

interface SettingOf<M extends Method> {
  readonly run: RunFolder;
  readonly start: Start;
  readonly method: M;
  readonly settings: SettingsOf<M>;
  readonly model: Model;
  readonly device: Device;
  readonly tokenizer: Tokenizer;
  readonly embedding: TensorRef;
  /** A beacon is a round by now. */
  readonly options: FingerprintOptions & { readonly beacon?: number };
  readonly onEvent: OnEvent;
}

export type Setting = SettingOf<Method>;
export type RowsSetting = SettingOf<RowsMethod>;
export type WeightsSetting = SettingOf<WeightsMethod>;
export type StampSetting = SettingOf<StampMethod>;

export const isRowsSetting = (setting: Setting): setting is RowsSetting => setting.method.kind === 'rows';
export const isStampSetting = (setting: Setting): setting is StampSetting => setting.method.kind === 'stamp';

/** A run before its first byte is written, and how it would begin. */
export interface Ready extends Omit<Setting, 'start'> {
  readonly asked: RunOptions;
  readonly beginning: Beginning;
}

/** Opens the model, and starts a run or takes an interrupted one up. All that can be refused is refused first. */
export async function begin(options: FingerprintOptions): Promise<Setting> {
  const { asked, beginning, ...setting } = await prepare(options);
  return { ...setting, start: await started(setting.run, asked, beginning, options) };
}

/** Opens the model and refuses all that can be refused; nothing is written. */
export async function prepare(given: FingerprintOptions): Promise<Ready> {
  const run = new RunFolder(given.out);
  const before = await interruptedStart(run, given);
  const said = asCommitted(given, before);
  const onEvent = said.onEvent ?? silent;
  const method = methodNamed(said.method ?? 'rows');
  checkOptions(said, method);
  settingsFor(method, '', givenSettings(said)); // unknown keys and impossible values, before anything is read or fetched
  const options = await withSavedSet(said, method);
  const overrides = givenSettings(options);
  const early = settingsFor(method, '', overrides);
  const state = run.state();
  if (state === 'done' && !options.overwrite)
    throw new WhorlError(
      'exists',
      `${run.path} holds a finished run`,
      'name a new folder with --out; --overwrite moves it aside',
    );
  if (state === 'new') checkBesideModel(run.path, options.model);
  checkWritable(run.start);
  const device = await openDevice(options);
  if (method.kind === 'weights' && options.source !== undefined)
    await checkConversations(options.source, Number(early.ordinary));
  const model = await openModel(options.model, {
    onEvent,
    whole: true,
    checkCache: true, // the claim commits to it
    ...(options.cacheDir ? { cacheDir: options.cacheDir } : {}),
    ...configOptions(options),
  });
  const tokenizer = await openTokenizer(model.folder, model.convertedFrom);
  for (const text of tokenizer.notes) onEvent({ kind: 'note', text });
  const { settings, note } = fittingSettings(
    method,
    model,
    tokenizer,
    overrides,
    limitOf({ options, method }),
  );
  if (note !== undefined) onEvent({ kind: 'note', text: note });
  if (options.pooled && options.pooled.length !== Number((settings as { pool?: number }).pool))
    throw new WhorlError(
      'usage',
      `${options.pooled.length} keys are given, the pool is of another size`,
      'set pool to it',
    );
  if (options.launch) checkLaunch(model, options.launch);
  const asked: RunOptions = {
    model: model.source,
    method: method.name,
    keys: options.keys ?? 'rare',
    seed: options.seed ?? null,
    decryption: options.decryption ?? null,
    source: options.source ?? null,
    ...(options.data !== undefined && { data: options.data }),
    rows: trainedRows(options),
    ...(options.looks !== undefined && { looks: options.looks }),
    ...(options.systems !== undefined && { systems: options.systems }),
    ...(options.beacon !== undefined && { beacon: options.beacon }),
    ...(model.ignoredConfigKeys.length > 0 && { ignoreConfigKeys: model.ignoredConfigKeys }),
    settings,
  };
  return {
    run,
    asked,
    beginning: beginningOf(run, state, asked, options, before),
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

/** Independent streams out of the run's seed, by purpose. */
export const randomOf = (start: Start) => (purpose: string) => seededRandom(`${start.seed}/${purpose}`);
