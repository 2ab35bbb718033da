// Reading a config.json strictly: a key that changes the mathematics and is not handled is an error naming it, one that
// nobody here knows an error that says no more than that.

import { WhorlError } from '../base/error.ts';
import { quantisedError } from '../sources/checkpoints/quantised.ts';
import { ACTIVATIONS, type Activation } from './blocks/activations.ts';
import { HARMLESS, isForeign, isIgnored, MATTERS } from './config-keys.ts';
import type { Rope } from './rope.ts';
import { ROPE_KEYS, type RopeOptions, readRope } from './rope-config.ts';

export type ConfigJson = Readonly<Record<string, unknown>>;

type LayerType = 'full_attention' | 'sliding_attention';

export interface ConfigReader {
  size(key: string, fallback?: number): number;
  /** Absent or null: undefined. */
  optionalSize(key: string): number | undefined;
  /** A whole number from 0. */
  count(key: string, fallback: number): number;
  number(key: string, fallback: number): number;
  /** A number from 0, which must be there. */
  amount(key: string): number;
  /** null: undefined; absent: the fallback. */
  optionalNumber(key: string, fallback?: number): number | undefined;
  /** A sliding window in tokens; null: none, absent: the fallback. */
  window(key: string, fallback?: number): number | undefined;
  /** A list with one of `values` for each layer; absent or null: what `otherwise` says of it. */
  perLayer<T extends string | number>(
    key: string,
    layers: number,
    values: readonly T[],
    otherwise: (layer: number) => T,
  ): T[];
  /** `layer_types`. @param slides which layers see a window where it is not given */
  layerTypes(layers: number, slides: (layer: number) => boolean): LayerType[];
  /** A list of whole numbers from 0; absent or null: none. */
  indices(key: string): readonly number[];
  flag(key: string, fallback: boolean): boolean;
  /** One of transformers' names of an activation. */
  activation(key: string, fallback: Activation): Activation;
  /** The entry that a key names. */
  oneOf<T>(key: string, values: Readonly<Record<string, T>>, fallback: string): T;
  /** a / b, both read from config.json; an error naming them where it is no whole number. */
  quotient(key: string, a: number, by: string, b: number): number;
  /** a may not be above b, both read from config.json. */
  atMost(key: string, a: number, by: string, b: number): void;
  rope(options: RopeOptions): Rope;
  /** The key may be absent, null or one of these values; anything else is another architecture. */
  only(key: string, ...values: readonly unknown[]): void;
  /** Keys of the family that change nothing in inference, whatever they say. */
  skip(...keys: readonly string[]): void;
  /** Throws for keys that nobody asked for, unless they are null, harmless in any model, or say "not used". */
  done(): void;
}

/** Of `withValues`: what has been read since it began. */
let values: Map<string, unknown> | undefined;

/** What `read` makes of a config, and every value that it read there by key: what the family takes where a key is absent. */
export function withValues<T>(read: () => T): { made: T; values: ReadonlyMap<string, unknown> } {
  const [before, own] = [values, new Map<string, unknown>()];
  values = own;
  try {
    return { made: read(), values: own };
  } finally {
    values = before;
  }
}

function said<T>(key: string, value: T): T {
  values?.set(key, value);
  return value;
}

export function readConfig(json: ConfigJson, where: string): ConfigReader {
  const asked = new Set<string>();
  const get = (key: string): unknown => {
    asked.add(key);
    return Object.hasOwn(json, key) ? json[key] : undefined;
  };
  const bad = (key: string, wanted: string): never => {
    throw new WhorlError(
      'bad-file',
      `${where}: ${key} is ${JSON.stringify(json[key] ?? null)}, not ${wanted}`,
      'get the checkpoint again',
    );
  };
  const unsupported = (key: string): never => {
    if (key === 'quantization_config') throw quantised(json[key], where);
    throw new WhorlError(
      'unsupported',
      `${where}: ${shownValue(key, json[key])} changes the model's mathematics and is not handled`,
      'this checkpoint needs a newer whorl',
    );
  };
  const reader: ConfigReader = {
    size(key, fallback) {
      const value = get(key) ?? fallback;
      if (!Number.isSafeInteger(value) || (value as number) < 1 || (value as number) > 2 ** 31 - 1)
        bad(key, 'a positive integer');
      return said(key, value as number);
    },
    optionalSize: (key) => ((get(key) ?? null) === null ? undefined : reader.size(key)),
    count(key, fallback) {
      const value = get(key) ?? fallback;
      if (!Number.isSafeInteger(value) || (value as number) < 0) bad(key, 'a whole number from 0');
      return said(key, value as number);
    },
    optionalNumber(key, fallback) {
      const value = get(key);
      if (value === null || (value === undefined && fallback === undefined)) return said(key, undefined);
      return reader.number(key, fallback ?? 0);
    },
    window(key, fallback) {
      const value = get(key);
      if (value === null || (value === undefined && fallback === undefined)) return said(key, undefined);
      return reader.size(key, fallback);
    },
    perLayer(key, layers, allowed, otherwise) {
      const value = get(key) ?? Array.from({ length: layers }, (_, i) => otherwise(i));
      if (!Array.isArray(value) || value.length !== layers) bad(key, `a list of ${layers} layers`);
      if ((value as unknown[]).some((item) => !(allowed as readonly unknown[]).includes(item)))
        unsupported(key);
      return said(key, value as (typeof allowed)[number][]);
    },
    layerTypes: (layers, slides) =>
      reader.perLayer('layer_types', layers, ['full_attention', 'sliding_attention'] as const, (i) =>
        slides(i) ? 'sliding_attention' : 'full_attention',
      ),
    number(key, fallback) {
      const value = get(key) ?? fallback;
      if (typeof value !== 'number' || !Number.isFinite(value) || value <= 0) bad(key, 'a positive number');
      return said(key, value as number);
    },
    amount(key) {
      const value = get(key);
      if (typeof value !== 'number' || !Number.isFinite(value) || value < 0) bad(key, 'a number from 0');
      return said(key, value as number);
    },
    indices(key) {
      const value = get(key) ?? [];
      if (!Array.isArray(value) || value.some((item) => !Number.isSafeInteger(item) || (item as number) < 0))
        bad(key, 'a list of layers');
      return value as number[];
    },
    flag(key, fallback) {
      const value = get(key) ?? fallback;
      if (typeof value !== 'boolean') bad(key, 'true or false');
      return said(key, value as boolean);
    },
    activation(key, fallback) {
      const value = get(key) ?? fallback;
      if (typeof value !== 'string') bad(key, 'the name of an activation');
      if (!Object.hasOwn(ACTIVATIONS, value as string)) unsupported(key);
      return said(key, value as Activation);
    },
    oneOf(key, values, fallback) {
      const value = get(key) ?? fallback;
      if (typeof value !== 'string' || !Object.hasOwn(values, value)) unsupported(key);
      return values[value as string]!;
    },
    quotient(key, a, by, b) {
      if (a % b !== 0)
        throw new WhorlError(
          'bad-file',
          `${where}: ${key} ${a} is not a multiple of ${by} ${b}`,
          'get the checkpoint again',
        );
      return a / b;
    },
    atMost(key, a, by, b) {
      if (a > b)
        throw new WhorlError(
          'bad-file',
          `${where}: ${key} ${a} is more than ${by} ${b}`,
          'get the checkpoint again',
        );
    },
    rope(options) {
      for (const key of ROPE_KEYS) asked.add(key);
      return readRope(json, where, options);
    },
    only(key, ...values) {
      const actual = get(key) ?? null;
      const text = JSON.stringify(actual);
      if (actual !== null && !values.some((value) => JSON.stringify(value) === text)) unsupported(key);
    },
    skip(...keys) {
      for (const key of keys) asked.add(key);
    },
    done() {
      const left = Object.keys(json).filter(
        (key) => json[key] !== null && !asked.has(key) && !HARMLESS.has(key),
      );
      const unknown = left.filter((key) => {
        const unused = MATTERS.get(key);
        if (unused && !unused(json[key], json) && !isIgnored(key, json)) unsupported(key);
        return unused === undefined && !isForeign(key, json);
      });
      if (unknown.length > 0) throw unknownKeys(unknown, json, where);
    },
  };
  return reader;
}

const SHOWN = 5;

/** Nobody here can say what these do: they may change what is computed or be a tool's note. */
function unknownKeys(
  keys: readonly string[],
  json: Readonly<Record<string, unknown>>,
  where: string,
): WhorlError {
  const list = keys.slice(0, SHOWN).map((key) => shownValue(key, json[key]));
  const more = keys.length > SHOWN ? ` and ${keys.length - SHOWN} more` : '';
  return new WhorlError(
    'unsupported',
    `${where}: Whorl does not know ${list.join(', ')}${more}, so it cannot tell whether the model computes something else`,
    `if not, say so: ${keys
      .slice(0, SHOWN)
      .map((key) => `--ignore-config-key ${shownKey(key)}`)
      .join(' ')}`,
  );
}

/** Of a config that says so: its quantization_config. */
export function quantised(value: unknown, where: string): WhorlError {
  const { quant_method, load_in_4bit, load_in_8bit } = (value ?? {}) as Readonly<Record<string, unknown>>;
  // transformers takes one that names no method for bitsandbytes' where it says so.
  const method = quant_method ?? (load_in_4bit || load_in_8bit ? 'bitsandbytes' : undefined);
  const by = typeof method === 'string' ? `: ${shownKey(method)}` : '';
  return quantisedError(where, `quantization_config${by}`);
}

const shownValue = (key: string, value: unknown): string =>
  `${shownKey(key)} = ${(JSON.stringify(value) ?? 'nothing').slice(0, 80)}`;

/** A key of the file, safe and short enough for a message. */
const shownKey = (key: string): string =>
  /^[\w.-]{1,80}$/.test(key) ? key : JSON.stringify(key.slice(0, 80));

/**
 * A config in which a size stands under the family's own key, whichever of two names the file has for it; transformers
 * takes either (`attribute_map`). @throws WhorlError `bad-file` where both are there and differ
 */
export function withOwnKeys(
  json: ConfigJson,
  where: string,
  others: Readonly<Record<string, string>>,
): ConfigJson {
  let own = json;
  for (const [other, key] of Object.entries(others)) {
    const { [other]: value, ...rest } = own;
    if ((value ?? null) === null) continue;
    if ((rest[key] ?? value) !== value)
      throw new WhorlError(
        'bad-file',
        `${where}: ${shownValue(key, rest[key])}, but ${shownValue(other, value)}`,
        'they are two names of one size: keep the right one',
      );
    own = { ...rest, [key]: value };
  }
  return own;
}

/** A config without the keys that its user has said to ignore (`a`, or `a.b` within an object), and which of them it had. */
export function withoutKeys(
  config: Readonly<Record<string, unknown>>,
  keys: readonly string[],
): { config: Readonly<Record<string, unknown>>; ignored: readonly string[] } {
  let left: Record<string, unknown> = { ...config };
  const ignored: string[] = [];
  for (const key of new Set(keys)) {
    if (Object.hasOwn(left, key)) {
      const { [key]: _, ...rest } = left;
      left = rest;
      ignored.push(key);
      continue;
    }
    const [outer, inner] = [key.slice(0, key.indexOf('.')), key.slice(key.indexOf('.') + 1)];
    const object = Object.hasOwn(left, outer) ? left[outer] : undefined;
    if (typeof object !== 'object' || object === null || !Object.hasOwn(object, inner)) continue;
    const { [inner]: _, ...rest } = object as Record<string, unknown>;
    left = { ...left, [outer]: rest };
    ignored.push(key);
  }
  return { config: left, ignored };
}
