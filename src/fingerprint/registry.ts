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
import { PAPER_WORDS } from './settings.ts';

type Entry = Readonly<Record<string, string | number>>;
type Registry = Readonly<Record<string, { default: Entry; models: Readonly<Record<string, Entry>> }>>;

export const METHODS: Readonly<Record<string, Method>> = {
  rows: rowsMethod,
  adapter: adapterMethod,
  sft: sftMethod,
  emb: embMethod,
  lora: loraMethod,
};

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

/** The paper's entry for a model, by the id its config carries or its folder's name; undefined for any other. */
export function registryEntry(method: string, modelName: string): Entry | undefined {
  const models = registry()[method]?.models ?? {};
  const named = Object.keys(models).find(
    (id) => id === modelName || id.split('/')[1] === basename(modelName),
  );
  return named === undefined ? undefined : models[named];
}

/**
 * @param overrides key=value as the user wrote them
 * @throws WhorlError `usage` for an unknown key (with the nearest one) or a value of another type
 */
export function settingsFor<M extends Method>(
  method: M,
  modelName: string,
  overrides: Readonly<Record<string, string>>,
): SettingsOf<M> {
  const settings: Record<string, SettingValue> = { ...defaultsOf(method.schema) };
  const entry = registryEntry(method.name, modelName) ?? {};
  for (const [key, value] of Object.entries(entry)) if (key in settings) settings[key] = value;
  const words = { whose: `method ${method.name}`, meant: Object.keys(PAPER_WORDS) };
  const full = withOverrides(method.schema, overrides, words, settings);
  checkTogether(full);
  return full as SettingsOf<M>;
}
