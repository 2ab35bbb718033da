// The batch of one training step as people read it: of a throw-away seed, or of a private run folder.

import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Abortable, abortable } from '../base/abort.ts';
import { WhorlError } from '../base/error.ts';
import { type OnEvent, silent } from '../base/events.ts';
import { type GivenSettings, settingTexts } from '../base/given-settings.ts';
import { sha256Hex } from '../base/sha256.ts';
import type { Claim } from '../claim/claim.ts';
import { keyRoles, openClaim } from '../claim/open.ts';
import { readSecret, type Unlock } from '../claim/secret-file.ts';
import { type ComputeOptions, openDevice } from '../engine/session-device.ts';
import type { Example, LabelKind } from '../models/example.ts';
import { type ConfigOptions, configOptions, openModel } from '../models/open-model.ts';
import type { Variant } from '../models/overlay.ts';
import { RunFolder } from '../runs/run-folder.ts';
import { openTokenizer, type Tokenizer } from '../text/tokenizer.ts';
import { bindTrains } from '../train/trains.ts';
import {
  begin,
  isRowsSetting,
  type RowsSetting,
  randomOf,
  type Setting,
  type WeightsSetting,
} from './begin.ts';
import { buildOf } from './build.ts';
import { type Committed, commit, freeOf } from './commit.ts';
import { drawnContext } from './fingerprint-weights.ts';
import type { Method, TrainContext } from './methods/method.ts';
import { PREFIX_TOKENS } from './prefix-cache.ts';
import { methodNamed, settingsFor } from './registry.ts';
import { withSavedSet } from './saved-set.ts';
import { type RunOptions, readStart, type Start } from './start.ts';
import { weightsBatches } from './train-weights.ts';

export interface ShowBatchOptions extends ComputeOptions, ConfigOptions, Abortable {
  /** What a throw-away batch is made on; of a run its own model by default. */
  readonly model?: string;
  readonly method?: string;
  readonly seed?: string;
  /** Counts from 0. */
  readonly step?: number;
  readonly settings?: GivenSettings;
  /** A private run folder instead of a throw-away seed. */
  readonly run?: string;
  readonly unlock?: Unlock;
  readonly onEvent?: OnEvent;
}

export interface ShownToken {
  readonly id: number;
  readonly text: string;
  /** Whether its embedding row is trained. */
  readonly trained: boolean;
}

export interface ShownLabel {
  /** The token after which the label is asked for. */
  readonly row: number;
  readonly token: number;
  readonly text: string;
  readonly alternative: string | null;
  readonly kind: LabelKind;
  readonly weight: number;
}

export interface ShownExample {
  /** What of the overlay it sees; null where weights train and nothing is laid over them. */
  readonly variant: Variant | null;
  /** Text before the example that is computed once and cached; null where there is none. */
  readonly prefix: { readonly tokens: number; readonly text: string } | null;
  /** What an encoder-decoder reads, where `tokens` are its decoder's; null of a decoder. */
  readonly read: readonly ShownToken[] | null;
  readonly tokens: readonly ShownToken[];
  readonly labels: readonly ShownLabel[];
}

export interface ShownBatch {
  readonly method: string;
  readonly step: number;
  /** `throw-away`: keys of that seed, nobody's; `run`: a run's secret keys and its very batch; `run-keys`: a finished run's keys in contexts drawn anew. */
  readonly source: 'throw-away' | 'run' | 'run-keys';
  readonly examples: readonly ShownExample[];
}

const THROW_AWAY = 'show-batch';

/** A run after its draw, as training would take it up, and where it comes from. */
interface Drawn {
  readonly setting: Setting;
  readonly committed: Pick<Committed, 'secret' | 'free'>;
  readonly source: ShownBatch['source'];
  /** The file of answers that the run keeps; only looked at. */
  readonly keep: string | undefined;
}

/** @throws WhorlError what `fingerprint` throws before it trains; `missing-file` for a folder that holds no run */
export function showBatch(options: ShowBatchOptions): Promise<ShownBatch> {
  return abortable(options, runShowBatch);
}

async function runShowBatch(options: ShowBatchOptions): Promise<ShownBatch> {
  if (options.run === undefined) checkTrains(methodNamed(options.method ?? 'rows'));
  const drawn = options.run === undefined ? await thrownAway(options) : await ofRun(options, options.run);
  const step = options.step ?? 0;
  const { setting, source } = drawn;
  const examples = isRowsSetting(setting)
    ? await rowsExamples(setting, drawn, step)
    : await weightsExamples(setting as WeightsSetting, drawn, step);
  return { method: setting.method.name, step, source, examples };
}

function checkTrains({ kind, name }: Method): void {
  if (kind === 'stamp')
    throw new WhorlError(
      'usage',
      `--method ${name} trains nothing, so it has no batch`,
      'name another method',
    );
}

async function rowsExamples(
  { method, settings, model, tokenizer, start }: RowsSetting,
  { committed: { secret } }: Drawn,
  step: number,
): Promise<ShownExample[]> {
  const contents = secret.reveal();
  const context: TrainContext = {
    model,
    tokenizer,
    plan: contents.plan,
    roles: keyRoles(openClaim(contents.claim as Claim, contents)),
    prefixes: PREFIX_TOKENS,
    random: randomOf(start),
  };
  const trained = new Set(contents.bindings.trainable_rows);
  const examples: ShownExample[] = [];
  for (const example of await method.batch(context, settings, step))
    examples.push({
      variant: example.variant,
      ...(await shown(example, tokenizer, (id) => trained.has(id))),
    });
  return examples;
}

async function weightsExamples(
  setting: WeightsSetting,
  { committed, keep }: Drawn,
  step: number,
): Promise<ShownExample[]> {
  const { method, settings, model, tokenizer } = setting;
  const context = await method.context({ ...drawnContext(setting, committed), keep }, settings);
  const { batch } = await weightsBatches(setting, (epoch) => method.examples(context, settings, epoch));
  const { changed } = bindTrains(method.trains(settings, model), model);
  const isTrained = changed.has(model.decoder.embedding);
  const examples: ShownExample[] = [];
  for (const example of await batch(step))
    examples.push({ variant: null, ...(await shown(example, tokenizer, () => isTrained)) });
  return examples;
}

/** Keys and draw as a run of this seed would have them, in a folder that is removed again. */
async function thrownAway(options: ShowBatchOptions): Promise<Drawn> {
  if (options.model === undefined)
    throw new WhorlError('usage', 'neither a model nor a run is given', 'give --model or --run');
  const folder = mkdtempSync(join(tmpdir(), 'whorl-show-batch-'));
  try {
    const setting = await begin({
      model: options.model,
      out: join(folder, 'run'),
      seed: options.seed ?? THROW_AWAY,
      ...(options.method !== undefined && { method: options.method }),
      ...(options.settings && { settings: options.settings }),
      ...(options.onEvent && { onEvent: options.onEvent }),
      device: await openDevice(options),
      ...configOptions(options),
    });
    return { setting, committed: await commit(setting), source: 'throw-away', keep: undefined };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A run's keys out of its secret. Its seed, which the contexts depend on, is there only until the run is done. */
async function ofRun(options: ShowBatchOptions, path: string): Promise<Drawn> {
  const { onEvent = silent } = options;
  const run = new RunFolder(path);
  if (!existsSync(run.secret))
    throw new WhorlError('missing-file', `${run.secret} does not exist`, 'give a private run folder');
  const secret = await readSecret(run.secret, options.unlock);
  const { method: name, created } = secret.reveal();
  const method = methodNamed(name);
  checkTrains(method);
  const going = existsSync(run.start);
  const start = going
    ? await readStart(run, options.unlock)
    : { seed: sha256Hex(options.seed ?? THROW_AWAY), created, options: '' };
  const { settings, ignored, ...asked } = going ? askedFor(start) : finished(run);
  const model = await openModel(options.model ?? asked.model, {
    onEvent,
    ignoreConfigKeys: [...ignored, ...(options.ignoreConfigKeys ?? [])],
  });
  const setting: Setting = {
    run,
    start,
    method,
    settings: {
      ...settingsFor(method, asked.model, settingTexts(options.settings), buildOf(model)),
      ...settings,
    },
    model,
    device: await openDevice(options),
    tokenizer: await openTokenizer(model.folder, model.convertedFrom),
    embedding: model.tensors.get(model.decoder.embedding)!,
    options: await withSavedSet({ ...asked, out: path }, method),
    onEvent,
  };
  const free = method.kind === 'weights' && asked.keys !== 'paper' ? await freeOf(setting) : [];
  const keep = going && existsSync(run.conversations) ? run.conversations : undefined;
  return { setting, committed: { secret, free }, source: going ? 'run' : 'run-keys', keep };
}

/** What of a run's options its batches depend on. */
interface AskedFor {
  readonly model: string;
  readonly keys: string;
  /** The owner's conversations, or a saved set; a finished run does not say. */
  readonly source?: string;
  readonly data?: string;
  readonly ignored: readonly string[];
  readonly settings: Partial<Setting['settings']>;
}

/** Of an interrupted run, as begin.ts wrote them. */
function askedFor({ options }: Start): AskedFor {
  const {
    model,
    keys,
    source,
    data,
    settings,
    ignoreConfigKeys: ignored = [],
  } = JSON.parse(options) as RunOptions;
  return {
    ...{ model, keys, settings, ignored },
    ...(source !== null && { source }),
    ...(data !== undefined && { data }),
  };
}

function finished(run: RunFolder): AskedFor {
  const record = JSON.parse(readFileSync(run.run, 'utf8')) as {
    model: { source: string; ignored_config_keys?: readonly string[] };
    keys: string;
    settings: Partial<Setting['settings']>;
  };
  const { source, ignored_config_keys: ignored = [] } = record.model;
  return { model: source, keys: record.keys, settings: record.settings, ignored };
}

async function shown(
  { source, tokens, labels, prefix }: Example,
  tokenizer: Tokenizer,
  isTrained: (id: number) => boolean,
): Promise<Omit<ShownExample, 'variant'>> {
  const textOf = (id: number) => tokenizer.decode([id], { skipSpecialTokens: false });
  const shownTokens = (ids: readonly number[]): Promise<ShownToken[]> =>
    Promise.all(ids.map(async (id) => ({ id, text: await textOf(id), trained: isTrained(id) })));
  const before = prefix?.tokens;
  return {
    prefix: before
      ? { tokens: before.length, text: await tokenizer.decode(before, { skipSpecialTokens: false }) }
      : null,
    read: source ? await shownTokens(source) : null,
    tokens: await shownTokens(tokens),
    labels: await Promise.all(
      labels.map(async ({ row, token, alternative, kind, weight }) => ({
        row,
        token,
        text: await textOf(token),
        alternative: alternative === undefined ? null : await textOf(alternative),
        kind,
        weight,
      })),
    ),
  };
}
