// What a setting is: kind, range, unit and words, with a default where something has it. `key=value`, YAML, help, JSON
// Schema and docs/settings.md all come from such values.

import { WhorlError } from './error.ts';
import { nameHint, nearestNames } from './near-name.ts';

interface Said {
  /** What it does, in a few words. */
  readonly words: string;
}

export interface NumberKind extends Said {
  readonly kind: 'number';
  readonly least: number;
  readonly most: number;
  readonly whole: boolean;
  /** Whether the bounds themselves are no values. */
  readonly open: 'neither' | 'least' | 'both';
  /** What it is a number of: `steps`, `nats`; a plain number where absent. */
  readonly unit?: string | undefined;
}

export interface FlagKind extends Said {
  readonly kind: 'flag';
}

export interface ChoiceKind<C extends string = string> extends Said {
  readonly kind: 'choice';
  readonly choices: readonly C[];
}

export interface TextKind extends Said {
  readonly kind: 'text';
}

/** A setting without its default, which is another one in each thing that has the setting. */
export type Kind = NumberKind | FlagKind | ChoiceKind | TextKind;
export type Kinds = Readonly<Record<string, Kind>>;
export type SettingValue = number | boolean | string;

type ValueOf<K extends Kind> = K extends NumberKind
  ? number
  : K extends FlagKind
    ? boolean
    : K extends ChoiceKind<infer C>
      ? C
      : string;

/** The values of the settings `N` of a record of kinds, by name: the type of a method's settings. */
export type Values<K extends Kinds, N extends keyof K = keyof K> = { readonly [P in N]: ValueOf<K[P]> };

export type Setting = Kind & { readonly default: SettingValue };

/** Every setting that something has, by name, in the order of its run.json. */
export type Schema<V = Readonly<Record<string, SettingValue>>> = {
  readonly [P in keyof V]: Kind & { readonly default: V[P] };
};

const between = (
  least: number,
  most: number,
  whole: boolean,
  open: NumberKind['open'],
  words: string,
  unit?: string,
): NumberKind => ({ kind: 'number', least, most, whole, open, words, ...(unit !== undefined && { unit }) });

/** A whole number from `least` to `most`. */
export const whole = (least: number, most: number, words: string, unit?: string): NumberKind =>
  between(least, most, true, 'neither', words, unit);
/** A number from `least` to `most`. */
export const number = (least: number, most: number, words: string, unit?: string): NumberKind =>
  between(least, most, false, 'neither', words, unit);
/** A number above `least`, up to `most`. */
export const above = (least: number, most: number, words: string, unit?: string): NumberKind =>
  between(least, most, false, 'least', words, unit);
/** A number between two that are none themselves. */
export const inside = (least: number, most: number, words: string, unit?: string): NumberKind =>
  between(least, most, false, 'both', words, unit);
export const flag = (words: string): FlagKind => ({ kind: 'flag', words });
export const choice = <C extends string>(choices: readonly C[], words: string): ChoiceKind<C> => ({
  kind: 'choice',
  choices,
  words,
});
export const text = (words: string): TextKind => ({ kind: 'text', words });

/** What has these settings: kinds by name, and its own defaults. */
export function schemaOf<K extends Kinds, N extends keyof K & string>(
  kinds: K,
  defaults: Values<K, N>,
): Schema<Values<K, N>> {
  const settings = Object.entries(defaults).map(([name, value]) => [
    name,
    { ...kinds[name], default: value },
  ]);
  return Object.fromEntries(settings) as Schema<Values<K, N>>;
}

/** Name and setting of each, whoever has them. */
export const settingsIn = <V>(schema: Schema<V>): [string, Setting][] =>
  Object.entries(schema as Readonly<Record<string, Setting>>);

export const defaultsOf = <V>(schema: Schema<V>): V =>
  Object.fromEntries(settingsIn(schema).map(([name, setting]) => [name, setting.default])) as V;

/** Which values it may have: "a whole number from 1 to 10000". */
export function rangeWords(kind: Kind): string {
  if (kind.kind === 'flag') return 'true or false';
  if (kind.kind === 'choice') return kind.choices.join(', ');
  if (kind.kind === 'text') return 'text';
  const { least, most, open } = kind;
  const what = kind.whole ? 'a whole number' : 'a number';
  if (open === 'both') return `${what} between ${least} and ${most}`;
  return open === 'least' ? `${what} above ${least}, up to ${most}` : `${what} from ${least} to ${most}`;
}

/** Whether a value is one that a setting of this kind may have. */
export function fits(kind: Kind, value: unknown): boolean {
  if (kind.kind === 'flag') return typeof value === 'boolean';
  if (kind.kind === 'choice') return typeof value === 'string' && kind.choices.includes(value);
  if (kind.kind === 'text') return typeof value === 'string';
  const { least, most, open } = kind;
  if (typeof value !== 'number' || !Number.isFinite(value)) return false;
  if (kind.whole && !Number.isSafeInteger(value)) return false;
  const over = open === 'neither' ? value >= least : value > least;
  return over && (open === 'both' ? value < most : value <= most);
}

/** Decimal notation alone: `0x10`, spaces and the empty string are numbers to JavaScript only. */
const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/**
 * A value as a user wrote it. @param key as the user wrote it, for the message
 * @throws WhorlError `usage` for a value of another kind or out of the range
 */
export function readSetting(key: string, written: string, setting: Setting): SettingValue {
  const bad = (wanted: string): WhorlError =>
    new WhorlError('usage', `${key}=${written} is not ${wanted}`, `give ${key}=${setting.default}, say`);
  if (setting.kind === 'text') return written;
  if (setting.kind === 'flag') {
    if (written !== 'true' && written !== 'false') throw bad('true or false');
    return written === 'true';
  }
  if (setting.kind === 'number') {
    const value = DECIMAL.test(written) ? Number(written) : Number.NaN;
    if (!fits(setting, value)) throw bad(rangeWords(setting));
    return value;
  }
  if (fits(setting, written)) return written;
  throw new WhorlError('usage', `${key}=${written} is not known`, nameHint(written, setting.choices));
}

/** How messages call settings, and what a hint may name. */
export interface SettingsWords {
  /** What has these settings. */
  readonly whose: string;
  /** Further words that a hint for an unknown key may name. */
  readonly meant?: readonly string[];
  /** What stands before each key where the user wrote it (`alpaca.`). */
  readonly prefix?: string;
  /** Where all of them stand, in words: `whorl finetune --help lists them`. */
  readonly list?: string;
}

/**
 * The values of all settings, a user's key=value over `values`.
 * @throws WhorlError `usage` for an unknown key (with the nearest one), a value of another kind or out of its range
 */
export function withOverrides<V>(
  schema: Schema<V>,
  overrides: Readonly<Record<string, string>>,
  { whose, meant = [], prefix = '', list }: SettingsWords,
  values: V = defaultsOf(schema),
): V {
  const known = new Map(settingsIn(schema));
  const settings = new Map(Object.entries(values as Readonly<Record<string, SettingValue>>));
  for (const [key, written] of Object.entries(overrides)) {
    const setting = known.get(key);
    if (setting === undefined) {
      const other = meant.filter((word) => word !== key);
      const names = nearestNames(key, other).length > 0 ? [...known.keys(), ...other] : known.keys();
      throw new WhorlError(
        'usage',
        `${prefix}${key}=${written}: ${whose} has no setting ${key}`,
        nameHint(key, names, { shown: (name) => prefix + name, ...(list !== undefined && { list }) }),
      );
    }
    settings.set(key, readSetting(prefix + key, written, setting));
  }
  return Object.fromEntries(settings) as V;
}
