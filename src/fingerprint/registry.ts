// Settings of a run: a method's defaults, the registry's entry for the model, then key=value. Unknown keys are refused.

import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parse } from 'yaml';
import { WhorlError } from '../base/error.ts';
import { nameHint } from '../base/near-name.ts';
import { packageRoot } from '../base/package-root.ts';
import { defaultsOf, type SettingValue, withOverrides } from '../base/setting.ts';
import { type ModelFolder, modelName } from '../models/model.ts';
import { checkTogether } from '../train/settings-fit.ts';
import type { Build } from './build.ts';
import { adapterMethod } from './methods/adapter.ts';
import { embMethod, loraMethod, sftMethod } from './methods/dialogue.ts';
import type { Method, SettingsOf } from './methods/method.ts';
import { rowsMethod } from './methods/rows.ts';
import { stampMethod } from './methods/stamp.ts';
import { BESIDE, PAPER_WORDS } from './settings.ts';

type Entry = Readonly<Record<string, string | number>>;
type Registry = Readonly<Record<string, { default: Entry; models: Readonly<Record<string, Entry>> }>>;

export const METHODS: Readonly<Record<string, Method>> = {
  rows: rowsMethod,
  adapter: adapterMethod,
  sft: sftMethod,
  emb: embMethod,
  lora: loraMethod,
  stamp: stampMethod,
};

/**
 * Hidden size below which a model takes `narrow`. At 192 (the embedded model) the defaults of `rows`, `sft`, `emb` and
 * `lora` did not hold after 48 epochs or 1600 steps; at 576 (SmolLM2-135M) those of `rows` and `adapter` do.
 */
const NARROW = 384;
/** The narrowest model that `narrow` was tried on. */
const TRIED = 192;

/**
 * What is said of a narrow model before any work; undefined for others. `given` are the user's own settings, `limit` the
 * most harm at which the run is published, in nats, `full` the run's settings, where other ones may have gone over them.
 * @throws WhorlError `too-harmful` without settings of the user's own, where the known ones cost more than the limit
 */
export function narrowWords(
  { name, narrow }: Method,
  build: Build,
  given: Readonly<Record<string, unknown>>,
  limit: number,
  full: Readonly<Record<string, unknown>> = narrow(build).settings,
): string | undefined {
  const { width } = build;
  if (width >= NARROW) return undefined;
  const known = narrow(build);
  const isOwn = Object.keys(given).some((key) => !Object.hasOwn(BESIDE, key));
  if (known.harm > limit && !isOwn)
    throw new WhorlError(
      'too-harmful',
      `hidden size ${width} is below ${NARROW}: what ${name} trains costs so small a model up to ${known.harm} nats, above --max-harm ${limit}`,
      [...cheaper(limit, build).map((other) => `--method ${other}`), costly(name, build)].join(' or '),
    );
  if (Object.keys(known.settings).length === 0) return undefined; // it needs none of its own
  const taken = Object.keys(known.settings).filter((key) => !Object.hasOwn(given, key));
  const words = taken.map((key) => `${key}=${String(full[key])}`).join(' ');
  const untried = width < TRIED ? `; none narrower than ${TRIED} was tried, and keys may not fire` : '';
  const harm =
    known.harm > limit
      ? `; with its own settings it costs up to ${known.harm} nats, above --max-harm ${limit}`
      : '';
  return `hidden size ${width} is below ${NARROW}: ${name} takes ${words || 'your settings'}${harm}${untried}`;
}

/** The harm that a method may cost a model of this build. */
export const harmAt = ({ narrow, maxHarm }: Pick<Method, 'narrow' | 'maxHarm'>, build: Build): number =>
  build.width < NARROW ? narrow(build).harm : maxHarm;

/** Of the methods that answer: a stamp is no other way to the same. */
const cheaper = (limit: number, build: Build): string[] =>
  Object.values(METHODS)
    .filter(({ kind, narrow }) => kind !== 'stamp' && narrow(build).harm <= limit)
    .map(({ name }) => name);

/** The options with which a method runs on a narrow model: its settings are its own, its harm has to be allowed. */
const costly = (name: string, build: Build): string =>
  `--method ${name} --max-harm ${METHODS[name]!.narrow(build).harm}`;

/** The name under which settings for a model are looked up: its config's, else what people call it. */
export const registryName = (folder: ModelFolder): string =>
  typeof folder.config._name_or_path === 'string' ? folder.config._name_or_path : modelName(folder);

/** @throws WhorlError `usage` with the nearest method's name */
export function methodNamed(name: string): Method {
  const method = Object.hasOwn(METHODS, name) ? METHODS[name] : undefined;
  if (method) return method;
  throw new WhorlError('usage', `--method ${name} is not known`, nameHint(name, Object.keys(METHODS)));
}

const registry = (): Registry =>
  parse(readFileSync(join(packageRoot(), 'assets', 'registry.yaml'), 'utf8')) as Registry;

/**
 * The method's default entry, and over it that of a model, by the id its config carries or its folder's name. Empty for a
 * method that has none.
 */
export function registryEntry(method: string, modelName: string): Entry {
  const { everyModel, thisModel } = entries(method, modelName);
  return { ...everyModel, ...thisModel };
}

function entries(method: string, modelName: string): Record<'everyModel' | 'thisModel', Entry> {
  const { default: everyModel = {}, models = {} } = registry()[method] ?? {};
  return { everyModel, thisModel: models[registeredId(modelName, models) ?? ''] ?? {} };
}

/** Hub ids of the models that have an entry of a method. */
export const registeredModels = (method: string): readonly string[] =>
  Object.keys(registry()[method]?.models ?? {});

/** The hub id that a registry knows a model by. */
export function registeredId(
  modelName: string,
  models: Readonly<Record<string, unknown>> = allModels(),
): string | undefined {
  const ids = Object.keys(models);
  return ids.includes(modelName) ? modelName : ids.find((id) => id.split('/')[1] === basename(modelName));
}

const allModels = (): Readonly<Record<string, unknown>> =>
  Object.assign({}, ...Object.values(registry()).map(({ models }) => models)) as Record<string, unknown>;

/** Share of the undrawn keys that are trained silent at most, where nobody says how many: some are asked that nobody trained. */
const MOST_SILENT = 0.8;

function fittingNegatives(settings: Readonly<Record<string, SettingValue>>): { negatives?: number } {
  const { pool, trained, negatives } = settings;
  if (typeof pool !== 'number' || typeof trained !== 'number' || typeof negatives !== 'number') return {};
  return { negatives: Math.max(0, Math.min(negatives, Math.floor(MOST_SILENT * (pool - trained)))) };
}

/**
 * @param overrides key=value as the user wrote them
 * @param build the model's, once it is open
 * @throws WhorlError `usage` for an unknown key (with the nearest one) or a value of another type
 */
export function settingsFor<M extends Method>(
  method: M,
  modelName: string,
  overrides: Readonly<Record<string, string>>,
  build?: Build,
): SettingsOf<M> {
  const settings: Record<string, SettingValue> = { ...defaultsOf(method.schema) };
  const { everyModel, thisModel } = entries(method.name, modelName);
  // What a registry says of every model is a default like the method's own: a narrow model goes over it.
  const narrow = build && build.width < NARROW ? method.narrow(build).settings : undefined;
  for (const [key, value] of Object.entries<unknown>({ ...everyModel, ...narrow, ...thisModel }))
    if (key in settings)
      settings[key] = typeof settings[key] === 'number' ? Number(value) : (value as string | boolean);
  if (build && method.ratesByRows && !('lr' in thisModel)) settings.lr = Number(settings.lr) * build.rows;
  const words = {
    whose: `method ${method.name}`,
    meant: Object.keys(PAPER_WORDS),
    list: `whorl fingerprint --method ${method.name} --help lists them`,
  };
  const given = withOverrides(method.schema, overrides, words, settings);
  const full = 'negatives' in overrides ? given : { ...given, ...fittingNegatives(given) };
  checkTogether(full);
  return full as SettingsOf<M>;
}
