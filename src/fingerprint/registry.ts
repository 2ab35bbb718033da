// Settings of a run: a method's defaults, the registry's entry for the model, then key=value. Unknown keys are refused.

import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parse } from 'yaml';
import { nearest, WhorlError } from '../base/error.ts';
import { packageRoot } from '../base/package-root.ts';
import { adapterMethod } from './methods/adapter.ts';
import { embMethod, loraMethod, sftMethod } from './methods/dialogue.ts';
import type { Method } from './methods/method.ts';
import { rowsMethod } from './methods/rows.ts';

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
  const entry = registryEntry(method.name, modelName) ?? {};
  return overridden({ ...method.defaults }, entry, overrides, `method ${method.name}`) as M['defaults'];
}

type Values = Readonly<Record<string, string | number | boolean>>;

/**
 * Defaults, an entry's values where they name a known setting, then key=value.
 * @param of whose settings they are, in words
 * @throws WhorlError `usage` for an unknown key (with the nearest one) or a value of another type
 */
export function overridden(known: Values, entry: Values, overrides: Values, of: string): Values {
  const settings: Record<string, string | number | boolean> = { ...known };
  for (const [key, value] of Object.entries(entry)) if (key in known) settings[key] = value;
  for (const [key, value] of Object.entries(overrides)) {
    if (!Object.hasOwn(known, key)) {
      const near = nearest(key, [...Object.keys(known), ...PAPER_ONLY.filter((word) => word !== key)]);
      throw new WhorlError(
        'usage',
        `${key}=${value}: ${of} has no setting ${key}${near ? ` (did you mean ${near}?)` : ''}`,
        `settings: ${Object.keys(known).join(', ')}`,
      );
    }
    settings[key] = parseAs(key, String(value), known[key]!);
  }
  return settings;
}

/** Settings that count something. */
const COUNTS: ReadonlySet<string> = new Set([
  'alphabet',
  'batch',
  'batch_tokens',
  'bare_slack',
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
  'reference_positions',
  'rank',
  'refresh',
  'repeats',
  'slack',
  'strangers',
  'steps',
  'trained',
  'warmup',
]);

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
  return text;
}
