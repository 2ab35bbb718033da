// A run's beginning: options and settings, the model opened; a new run's seed, or an interrupted run taken up.

import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import type { Abortable } from '../base/abort.ts';
import { checkWritable } from '../base/atomic.ts';
import { WhorlError } from '../base/error.ts';
import { type OnEvent, silent } from '../base/events.ts';
import { type GivenSettings, settingTexts } from '../base/given-settings.ts';
import { seededRandom } from '../base/random-source.ts';
import { sha256Hex } from '../base/sha256.ts';
import { isThere } from '../base/system-errors.ts';
import { checkLock, type Lock, readLocked, type Unlock, writeLocked } from '../claim/secret-file.ts';
import { SEED_KDF, type SeedKdf, stretchSeed } from '../claim/seed-kdf.ts';
import type { Device } from '../engine/session.ts';
import { type ComputeOptions, openDevice } from '../engine/session-device.ts';
import { checkLaunch } from '../launch/check-launch.ts';
import type { LaunchOptions } from '../launch/job.ts';
import type { Model } from '../models/model.ts';
import { type ConfigOptions, configOptions, openModel } from '../models/open-model.ts';
import { roundFrom, roundNumber, roundTime } from '../proof/drand.ts';
import { MARGIN } from '../proof/order.ts';
import { RunFolder } from '../runs/run-folder.ts';
import { digestRows } from '../sources/digest-rows.ts';
import { DATASET, parseHubId } from '../sources/hub/hub-id.ts';
import type { TensorRef } from '../tensor/tensor.ts';
import { openTokenizer, type Tokenizer } from '../text/tokenizer.ts';
import { checkFits } from '../train/settings-fit.ts';
import { checkLimit } from './harm-limit.ts';
import type {
  Around,
  GivenConversations,
  Method,
  RowsMethod,
  SettingsOf,
  StampMethod,
  WeightsMethod,
} from './methods/method.ts';
import { checkConversations } from './ordinary-conversations.ts';
import { methodNamed, narrowWords, registryName, settingsFor } from './registry.ts';

export interface FingerprintOptions extends ComputeOptions, ConfigOptions, Abortable {
  /** Default: what the run in `out` was committed with, and all else that is not given likewise. */
  readonly model?: string;
  /** The private run folder. */
  readonly out: string;
  /** `rows` (default), `adapter`, `sft`, `emb`, `lora` or `stamp`. */
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
  readonly settings?: GivenSettings;
  readonly decryption?: string;
  /** A file of ordinary conversations for `sft`, `emb` and `lora`; default: the reference set, answered by the model itself. */
  readonly source?: string;
  /** The same, read already: instead of `source`. */
  readonly conversations?: GivenConversations;
  /** The owner's own keys, as many as the setting `pool`, with `keys: 'paper'`; which are trained is drawn. */
  readonly pooled?: readonly string[];
  /** Of `adapter`: what is put around each key instead of the paper's `barebone` template. */
  readonly around?: Around;
  /** Text of the kind this model is for, beside the reference set: its positions are guarded like the main languages'. */
  readonly ordinary?: readonly string[];
  /** Suspects whose tests under this claim every p-value pays for; default 1. */
  readonly looks?: number;
  /** System prompts that the claim permits; default: none. */
  readonly systems?: readonly string[];
  /**
   * Commits to public dice: a round of drand's quicknet, or its first one so many minutes from now. Default: as the run in
   * `out` was committed, else the owner's own dice.
   */
  readonly beacon?: number | { readonly minutes: number };
  /** Encrypts the secret, and what an interrupted run keeps to go on from. */
  readonly lock?: Lock;
  /** Starts anew where a run of ours stands: what has no claim yet is removed, any other moved aside. */
  readonly overwrite?: boolean;
  /**
   * Where the last step comes and a cell does not hold, training goes on until it has taken so many minutes; 0: it fails
   * at its last step. Default 30. No part of what is repeated by a seed: what a run ends with does not depend on it.
   */
  readonly maxMinutes?: number;
  /**
   * Most harm, in nats, at which the model is published (see harm-limit.ts); default: the method's. Above it the run is
   * kept, and goes on where it is given a larger one: no part of what is repeated either.
   */
  readonly maxHarm?: number;
  /** How a caller goes on with a run that has failed, in its own words (a command line). Default: this call's. */
  readonly again?: (minutes: number) => string;
  /** Opens what an interrupted run kept; default: the passphrase of `lock`. */
  readonly unlock?: Unlock;
  /** Trains by another engine (`launchFingerprint`). What a run ends with depends on it in the last digits only. */
  readonly launch?: LaunchOptions;
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
interface Ready extends Omit<Setting, 'start'> {
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
  const options = asCommitted(given, before);
  const onEvent = options.onEvent ?? silent;
  const method = methodNamed(options.method ?? 'rows');
  checkOptions(options, method);
  const overrides = {
    ...(options.pool !== undefined && { pool: String(options.pool) }),
    ...(options.trained !== undefined && { trained: String(options.trained) }),
    ...settingTexts(options.settings),
  };
  settingsFor(method, '', overrides); // unknown keys and impossible values, before a model is fetched
  const state = run.state();
  if (state === 'done' && !options.overwrite)
    throw new WhorlError(
      'exists',
      `${run.path} holds a finished run`,
      'name a new folder with --out; --overwrite moves it aside',
    );
  checkWritable(run.start);
  const device = await openDevice(options);
  if (method.kind === 'weights' && options.source !== undefined)
    await checkConversations(options.source, Number(settingsFor(method, '', overrides).ordinary));
  const model = await openModel(options.model, {
    onEvent,
    ...(options.cacheDir ? { cacheDir: options.cacheDir } : {}),
    ...configOptions(options),
  });
  if (model.decoder.encoder && method.name !== 'adapter')
    throw new WhorlError(
      'unsupported',
      `method ${method.name} was not seen to hold on encoder-decoders such as ${model.decoder.model_type}`,
      'take --method adapter, or a model without an encoder',
    );
  const width = model.decoder.config.hidden_size;
  const settings = settingsFor(method, registryName(model), overrides, width);
  const narrow = narrowWords(method, width, overrides, limitOf({ options, method }));
  if (narrow !== undefined) onEvent({ kind: 'note', text: narrow });
  checkFits(settings, model.decoder.config);
  if (options.pooled && options.pooled.length !== Number((settings as { pool?: number }).pool))
    throw new WhorlError(
      'usage',
      `${options.pooled.length} keys are given, the pool is of another size`,
      'set pool to it',
    );
  const tokenizer = await openTokenizer(model.folder);
  const weights = method.kind === 'weights' ? method : undefined;
  weights?.check(settings, model, tokenizer);
  if (options.launch) checkLaunch(model, options.launch, weights?.trains(settings, model));
  const asked: RunOptions = {
    model: model.source,
    method: method.name,
    keys: options.keys ?? 'rare',
    seed: options.seed ?? null,
    decryption: options.decryption ?? null,
    source: options.source ?? null,
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

/** What needs no model to be refused. */
function checkOptions(
  { keys, decryption, source, lock, maxMinutes = 0, maxHarm, looks = 1, launch }: FingerprintOptions,
  method: Method,
): void {
  if (launch && method.kind !== 'weights')
    throw new WhorlError(
      'unsupported',
      method.kind === 'stamp'
        ? `--launch: method ${method.name} trains nothing`
        : `--launch: a job for torchrun does not carry how ${method.name} trains rows (divergence from the vanilla model, noise, drawn contexts)`,
      'leave --launch out, or take --method sft, emb or lora',
    );
  if (!(Number.isInteger(looks) && looks >= 1 && looks <= 1_000_000))
    throw new WhorlError('usage', `--looks ${looks} is no count`, 'give a whole number from 1 to 1,000,000');
  if (!Number.isFinite(maxMinutes) || maxMinutes < 0)
    throw new WhorlError('usage', `--max-minutes ${maxMinutes} is no time`, 'give minutes, from 0');
  checkLimit(maxHarm);
  if (keys !== undefined && keys !== 'rare' && keys !== 'paper')
    throw new WhorlError('usage', `--keys ${keys} is not known`, 'rare or paper');
  if (keys === 'paper' && method.name === 'rows')
    throw new WhorlError(
      'usage',
      '--keys paper goes with the other methods',
      'leave it out: rows makes its keys of rare tokens',
    );
  const ofKeys = { keys, decryption, source };
  if (method.kind === 'stamp')
    for (const [name, value] of Object.entries(ofKeys))
      if (value !== undefined)
        throw new WhorlError(
          'usage',
          `--${name} goes with keys, and ${method.name} has none`,
          'leave it out',
        );
  if (decryption?.trim() === '')
    throw new WhorlError('usage', '--decryption is empty', 'give the text keys are answered with');
  if (source !== undefined && !isThere(source) && parseHubId(source, DATASET) === undefined)
    throw new WhorlError('missing-file', `${source} does not exist`, 'give a file of conversations');
  checkLock(lock);
}

/** What a run was asked for; one that is taken up must be asked for the same. */
export interface RunOptions {
  readonly model: string;
  readonly method: string;
  readonly keys: string;
  readonly seed: string | null;
  readonly decryption: string | null;
  readonly source: string | null;
  /** Digest of the rows and keys that were given. */
  readonly rows: string | null;
  readonly looks?: number;
  readonly systems?: readonly string[];
  readonly beacon?: number;
  readonly ignoreConfigKeys?: readonly string[];
  readonly settings: Readonly<Record<string, unknown>>;
}

/** How a run comes to its start: it is the interrupted one's, or a new one's, in a folder that may hold something yet. */
type Beginning =
  | { readonly kind: 'resumed'; readonly start: Start }
  /** `refused`: begun by a command that was refused before its commitment; `over`: with --overwrite. */
  | { readonly kind: 'new' | 'refused' | 'over' };

/** @throws WhorlError `mismatch` for an interrupted run of other options, `exists` for a folder that is not ours to clear */
function beginningOf(
  run: RunFolder,
  state: ReturnType<RunFolder['state']>,
  asked: RunOptions,
  { overwrite }: FingerprintOptions,
  start: Start | undefined,
): Beginning {
  if (overwrite && state !== 'new') {
    run.aside();
    return { kind: 'over' };
  }
  if (start === undefined) return { kind: 'new' };
  if (start.options === JSON.stringify(asked)) return { kind: 'resumed', start };
  // Before the commitment nothing was drawn or trained: a refused command is simply corrected.
  if (existsSync(run.claim) || !isKnown(start.options))
    throw new WhorlError(
      'mismatch',
      `${run.path} holds an interrupted run that was asked for other settings (${differences(start.options, asked).join(', ')})`,
      'repeat its options to resume it, start anew with --overwrite, or name a new folder with --out',
    );
  return { kind: 'refused' };
}

/** What an interrupted run goes on from, where one is taken up. */
async function interruptedStart(
  run: RunFolder,
  { overwrite, lock, unlock }: FingerprintOptions,
): Promise<Start | undefined> {
  if (overwrite || run.state() !== 'interrupted') return undefined;
  if (unlock !== undefined && lock === undefined)
    throw new WhorlError(
      'usage',
      'a run that is opened by an identity would end with its secret in clear',
      'give the --recipient that it was begun with, too',
    );
  return readStart(run, unlock ?? (lock && 'passphrase' in lock ? lock : undefined));
}

/**
 * The options as the run was committed with them, where none are given: without a model all of them, else its dice alone.
 * @throws WhorlError `usage` without a model, or for dice that are known already
 */
function asCommitted(given: FingerprintOptions, start: Start | undefined): Complete {
  const asked = start && isKnown(start.options) ? (JSON.parse(start.options) as RunOptions) : undefined;
  const beacon = roundOf(given.beacon, asked?.beacon);
  const { beacon: _, ...rest } = given;
  const withDice = { ...rest, ...(beacon !== undefined && { beacon }) };
  if (given.model !== undefined) return { ...withDice, model: given.model };
  if (asked === undefined)
    throw new WhorlError('usage', `${given.out} holds no run to go on with`, 'name the model with --model');
  const { model, method, keys, seed, decryption, source, looks, systems, ignoreConfigKeys, settings } = asked;
  return {
    model,
    method,
    ...(keys !== 'rare' && { keys }),
    ...(seed !== null && { seed }),
    ...(decryption !== null && { decryption }),
    ...(source !== null && { source }),
    ...(looks !== undefined && { looks }),
    ...(systems !== undefined && { systems }),
    ...(ignoreConfigKeys !== undefined && { ignoreConfigKeys }),
    ...withDice,
    settings: { ...(settings as GivenSettings), ...given.settings },
  };
}

type Complete = FingerprintOptions & { readonly model: string; readonly beacon?: number };

/** Dice that are to come; of a run that is taken up its own. */
function roundOf(given: FingerprintOptions['beacon'], committed: number | undefined): number | undefined {
  if (committed !== undefined && (given === undefined || typeof given !== 'number' || given === committed))
    return committed;
  if (given === undefined) return undefined;
  const now = Date.now();
  const round = typeof given === 'number' ? given : roundFrom(now + 60_000 * given.minutes);
  if (!roundNumber.safeParse(round).success)
    throw new WhorlError(
      'usage',
      '--beacon is no round of drand’s quicknet',
      'give its number, or 30m, 2h, 7d',
    );
  if (roundTime(round) < now + MARGIN)
    throw new WhorlError(
      'usage',
      `beacon round ${round} is of ${new Date(roundTime(round)).toISOString()}: dice that may be known already prove nothing`,
      'commit to a later round, which leaves time for a time stamp: --beacon 1h',
    );
  return round;
}

/** Whether these options were written by this version. */
function isKnown(options: string): boolean {
  const was: unknown = JSON.parse(options);
  return typeof was === 'object' && was !== null && !Array.isArray(was) && 'settings' in was;
}

/** Each option that is another one, as it was. The seed makes the keys, so neither is shown. */
function differences(before: string, asked: RunOptions): string[] {
  if (!isKnown(before)) return ['of another version of Whorl'];
  const was = JSON.parse(before) as RunOptions;
  const flat = ({ settings, seed, ...more }: RunOptions): Map<string, string> =>
    new Map(
      Object.entries({ ...more, ...settings }).map(([key, value]) => [key, String(value ?? 'not given')]),
    ).set('seed', seed === null ? 'not given' : 'given');
  const [old, now] = [flat(was), flat(asked)];
  const differ = [...now].filter(([key, value]) => old.get(key) !== value);
  const words = differ.map(([key, value]) => `${key}: ${old.get(key) ?? 'not given'}, now ${value}`);
  return words.length > 0 ? words : ['seed: another one'];
}

async function started(
  run: RunFolder,
  asked: RunOptions,
  beginning: Beginning,
  { lock, onEvent = silent }: FingerprintOptions,
): Promise<Start> {
  if (beginning.kind === 'resumed') return beginning.start;
  if (beginning.kind === 'over') {
    const aside = run.clearAway();
    const text = aside === undefined ? `${run.path}: started anew` : `what was there is in ${aside}`;
    onEvent({ kind: 'note', text });
  } else if (beginning.kind === 'refused') run.clean();
  const { seed } = asked;
  const options = JSON.stringify(asked);
  const start: Start =
    seed === null
      ? { seed: randomBytes(32).toString('hex'), created: new Date().toISOString(), options }
      : {
          seed: await stretchSeed(seed),
          created: new Date(0).toISOString(),
          from_text: SEED_KDF,
          options,
        };
  run.create();
  await writeLocked(run.start, `${JSON.stringify(start)}\n`, lock);
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

/** Digest of the rows, texts and keys that an owner gives, whatever the file is called; null without any. */
export function trainedRows({
  source,
  conversations,
  pooled,
  ordinary,
  around,
}: Pick<FingerprintOptions, 'source' | 'conversations' | 'pooled' | 'ordinary' | 'around'>): string | null {
  const given = [source, conversations, pooled, ordinary, around];
  if (given.every((one) => one === undefined)) return null;
  const { trained, heldOut } = conversations ?? {};
  return sha256Hex(
    JSON.stringify([
      source === undefined ? null : (digestRows(source) ?? source),
      trained,
      heldOut,
      pooled,
      ordinary,
      ...(around ? [around] : []),
    ]),
  );
}

/** How long a run may go on beyond its steps, and how it would be taken up with twice that time. */
export interface Stretch {
  readonly minutes: number;
  readonly again: string;
}

const MINUTES = 30;
const inWords = (minutes: number): string => `the same call with maxMinutes: ${minutes}`;

export const stretchOf = ({ maxMinutes = MINUTES, again = inWords }: FingerprintOptions): Stretch => ({
  minutes: maxMinutes,
  again: again(Math.max(MINUTES, Math.ceil(2 * maxMinutes))),
});

/** Independent streams out of the run's seed, by purpose. */
export const randomOf = (start: Start) => (purpose: string) => seededRandom(`${start.seed}/${purpose}`);

/** The limit of a run: what was asked for, or the method's own. */
export const limitOf = ({
  options,
  method,
}: Pick<Setting, 'method'> & { readonly options: Pick<FingerprintOptions, 'maxHarm'> }): number =>
  options.maxHarm ?? method.maxHarm;
