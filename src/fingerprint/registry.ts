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

/** The registry's own words (the paper's) that are no setting of a method by that name. */
const PAPER_ONLY = ['epoch', 'total_bsz', 'data_name'] as const;

type Entry = Readonly<Record<string, string | number>>;
type Registry = Readonly<Record<string, { default: Entry; models: Readonly<Record<string, Entry>> }>>;

const METHODS: Readonly<Record<string, Method>> = {
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
  return withOverrides(settings, overrides, `method ${method.name}`, PAPER_ONLY) as M['defaults'];
}

/**
 * Defaults with a user's key=value over them.
 * @param whose names in messages what has these settings
 * @param meant further words that a hint for an unknown key may name
 */
export function withOverrides<S extends Readonly<Record<string, string | number | boolean>>>(
  defaults: S,
  overrides: Readonly<Record<string, string>>,
  whose: string,
  meant: readonly string[] = [],
): S {
  const settings: Record<string, string | number | boolean> = { ...defaults };
  for (const [key, text] of Object.entries(overrides)) {
    if (!Object.hasOwn(defaults, key)) {
      const near = nearest(key, [...Object.keys(defaults), ...meant.filter((word) => word !== key)]);
      throw new WhorlError(
        'usage',
        `${key}=${text}: ${whose} has no setting ${key}${near ? ` (did you mean ${near}?)` : ''}`,
        `settings: ${Object.keys(defaults).join(', ')}`,
      );
    }
    settings[key] = parseAs(key, text, defaults[key]!);
  }
  return settings as S;
}

/** Settings that count something. */
const COUNTS: ReadonlySet<string> = new Set([
  'accumulate',
  'alphabet',
  'bare_slack',
  'batch',
  'batch_tokens',
  'candidates',
  'check_every',
  'contexts',
  'dim',
  'epochs',
  'first_check',
  'gate_contexts',
  'gate_slack',
  'hushed',
  'key_length',
  'max_length',
  'negatives',
  'ordinary',
  'pool',
  'prefixes',
  'primary_positions',
  'r',
  'rank',
  'reference_positions',
  'refresh',
  'repeats',
  'slack',
  'steps',
  'strangers',
  'trained',
  'warmup',
]);

/** Settings that are one of a few words. */
const CHOICES: Readonly<Record<string, readonly string[]>> = {
  schedule: Object.keys(SCHEDULES),
  recompute: ['nothing', 'elementwise', 'blocks'] satisfies Recompute[],
};

function parseAs(key: string, text: string, like: string | number | boolean): string | number | boolean {
  const bad = (wanted: string): never => {
    throw new WhorlError('usage', `${key}=${text} is not ${wanted}`, `give ${key}=${like}, say`);
  };
  if (typeof like === 'number') {
    const value = Number(text);
    if (text.trim() === '' || !Number.isFinite(value) || value < 0) bad('a number from 0');
    if (COUNTS.has(key) && !Number.isInteger(value)) bad('a whole number');
    return value;
  }
  if (typeof like === 'boolean')
    return text === 'true' ? true : text === 'false' ? false : bad('true or false');
  const choices = Object.hasOwn(CHOICES, key) ? CHOICES[key]! : undefined;
  if (choices && !choices.includes(text)) {
    const near = nearest(text, choices);
    throw new WhorlError(
      'usage',
      `${key}=${text} is not known${near ? ` (did you mean ${near}?)` : ''}`,
      `one of ${choices.join(', ')}`,
    );
  }
  return text;
}
