// Settings of a run: a method's defaults, the registry's entry for the model, then key=value. Unknown keys are refused.

import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parse } from 'yaml';
import { nearest, WhorlError } from '../base/error.ts';
import { packageRoot } from '../base/package-root.ts';
import type { Recompute } from '../engine/recompute.ts';
import { SCHEDULES } from '../train/schedule.ts';
import { adapterMethod } from './methods/adapter.ts';
import { embMethod, loraMethod, sftMethod } from './methods/dialogue.ts';
import type { Method } from './methods/method.ts';
import { rowsMethod } from './methods/rows.ts';
import { checkTogether, inRange, rangeWords } from './setting-ranges.ts';

/** The registry's own words (the paper's) that are no setting of a method by that name. */
const PAPER_ONLY = ['epoch', 'total_bsz', 'data_name'] as const;

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
): M['defaults'] {
  const settings: Record<string, string | number | boolean> = { ...method.defaults };
  const entry = registryEntry(method.name, modelName) ?? {};
  for (const [key, value] of Object.entries(entry)) if (key in settings) settings[key] = value;
  const full = withOverrides(settings, overrides, {
    whose: `method ${method.name}`,
    meant: PAPER_ONLY,
    isClaim: true,
  });
  checkTogether(full);
  return full as M['defaults'];
}

/** How messages call settings, and what a hint may name. */
export interface SettingsWords {
  /** What has these settings. */
  readonly whose: string;
  /** Further words that a hint for an unknown key may name. */
  readonly meant?: readonly string[];
  /** What stands before each key where the user wrote it (`alpaca.`). */
  readonly prefix?: string;
  /** Whether `alpha` is the level of a claim. */
  readonly isClaim?: boolean;
}

/**
 * Defaults with a user's key=value over them.
 * @throws WhorlError `usage` for an unknown key (with the nearest one), a value of another type or out of its range
 */
export function withOverrides<S extends Readonly<Record<string, string | number | boolean>>>(
  defaults: S,
  overrides: Readonly<Record<string, string>>,
  { whose, meant = [], prefix = '', isClaim = false }: SettingsWords,
): S {
  const settings: Record<string, string | number | boolean> = { ...defaults };
  for (const [key, text] of Object.entries(overrides)) {
    if (!Object.hasOwn(defaults, key)) {
      const near = nearest(key, [...Object.keys(defaults), ...meant.filter((word) => word !== key)]);
      throw new WhorlError(
        'usage',
        `${prefix}${key}=${text}: ${whose} has no setting ${key}${near ? ` (did you mean ${prefix}${near}?)` : ''}`,
        `settings: ${Object.keys(defaults).join(', ')}`,
      );
    }
    settings[key] = parseAs(key, text, defaults[key]!, prefix, isClaim);
  }
  return settings as S;
}

/** Settings that are one of a few words. */
const CHOICES: Readonly<Record<string, readonly string[]>> = {
  schedule: Object.keys(SCHEDULES),
  recompute: ['nothing', 'elementwise', 'blocks'] satisfies Recompute[],
};

function parseAs(
  key: string,
  text: string,
  like: string | number | boolean,
  prefix: string,
  isClaim: boolean,
): string | number | boolean {
  const bad = (wanted: string): never => {
    throw new WhorlError(
      'usage',
      `${prefix}${key}=${text} is not ${wanted}`,
      `give ${prefix}${key}=${like}, say`,
    );
  };
  if (typeof like === 'number') {
    const value = Number(text);
    if (text.trim() === '' || !Number.isFinite(value)) bad('a number');
    if (!inRange(key, value, isClaim)) bad(rangeWords(key, isClaim));
    return value;
  }
  if (typeof like === 'boolean')
    return text === 'true' ? true : text === 'false' ? false : bad('true or false');
  const choices = Object.hasOwn(CHOICES, key) ? CHOICES[key]! : undefined;
  if (choices && !choices.includes(text)) {
    const near = nearest(text, choices);
    throw new WhorlError(
      'usage',
      `${prefix}${key}=${text} is not known${near ? ` (did you mean ${near}?)` : ''}`,
      `one of ${choices.join(', ')}`,
    );
  }
  return text;
}
