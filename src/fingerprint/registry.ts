// Settings of a run: a method's defaults, the registry's entry for the model, then key=value. Unknown keys are refused.

import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parse } from 'yaml';
import { nearest, WhorlError } from '../base/error.ts';
import { packageRoot } from '../base/package-root.ts';
import { defaultsOf, type SettingValue, withOverrides } from '../base/setting.ts';
import { checkTogether } from '../train/settings-fit.ts';
import { adapterMethod } from './methods/adapter.ts';
import { embMethod, loraMethod, sftMethod } from './methods/dialogue.ts';
import type { Method, SettingsOf } from './methods/method.ts';
import { rowsMethod } from './methods/rows.ts';
import { stampMethod } from './methods/stamp.ts';
import { PAPER_WORDS } from './settings.ts';

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
 * What is said of a narrow model before any work; undefined for others. `given` are the user's own settings.
 * @throws WhorlError `unsupported` for a method of which no settings are known for it, unless the user gives some
 */
export function narrowWords(
  { name, narrow }: Method,
  width: number,
  given: Readonly<Record<string, unknown>>,
): string | undefined {
  if (width >= NARROW) return undefined;
  const own = narrow(width);
  if (own === undefined && Object.keys(given).length === 0)
    throw new WhorlError(
      'unsupported',
      `hidden size ${width} is below ${NARROW}, and no settings are known with which ${name} holds there`,
      'take --method sft, or give settings of your own as key=value',
    );
  if (own !== undefined && Object.keys(own).length === 0) return undefined; // it needs none of its own
  const taken = Object.entries<unknown>(own ?? {}).filter(([key]) => !Object.hasOwn(given, key));
  const words = taken.map(([key, value]) => `${key}=${String(value)}`).join(' ');
  const untried = width < TRIED ? `; none narrower than ${TRIED} was tried, and keys may not fire` : '';
  return `hidden size ${width} is below ${NARROW}: ${name} takes ${words || 'your settings'}${untried}`;
}

/** @throws WhorlError `usage` with the nearest method's name */
export function methodNamed(name: string): Method {
  const method = Object.hasOwn(METHODS, name) ? METHODS[name] : undefined;
  if (method) return method;
  const near = nearest(name, Object.keys(METHODS));
  throw new WhorlError(
    'usage',
    `--method ${name} is not known${near ? ` (did you mean ${near}?)` : ''}`,
    `one of ${Object.keys(METHODS).join(', ')}`,
  );
}

const registry = (): Registry =>
  parse(readFileSync(join(packageRoot(), 'assets', 'registry.yaml'), 'utf8')) as Registry;

/**
 * The method's default entry, and over it that of a model, by the id its config carries or its folder's name. Empty for a
 * method that has none.
 */
export function registryEntry(method: string, modelName: string): Entry {
  const of = registry()[method];
  return { ...of?.default, ...of?.models[registeredId(modelName, of.models) ?? ''] };
}

/** The hub id that a registry knows a model by. */
export function registeredId(
  modelName: string,
  models: Readonly<Record<string, unknown>> = everyModel(),
): string | undefined {
  const ids = Object.keys(models);
  return ids.includes(modelName) ? modelName : ids.find((id) => id.split('/')[1] === basename(modelName));
}

const everyModel = (): Readonly<Record<string, unknown>> =>
  Object.assign({}, ...Object.values(registry()).map(({ models }) => models)) as Record<string, unknown>;

/**
 * @param overrides key=value as the user wrote them
 * @param width the model's hidden size, once it is open
 * @throws WhorlError `usage` for an unknown key (with the nearest one) or a value of another type
 */
export function settingsFor<M extends Method>(
  method: M,
  modelName: string,
  overrides: Readonly<Record<string, string>>,
  width?: number,
): SettingsOf<M> {
  const settings: Record<string, SettingValue> = {
    ...defaultsOf(method.schema),
    ...(width !== undefined && width < NARROW && method.narrow(width)),
  };
  for (const [key, value] of Object.entries(registryEntry(method.name, modelName)))
    if (key in settings) settings[key] = typeof settings[key] === 'number' ? Number(value) : value;
  const words = { whose: `method ${method.name}`, meant: Object.keys(PAPER_WORDS) };
  const full = withOverrides(method.schema, overrides, words, settings);
  checkTogether(full);
  return full as SettingsOf<M>;
}
