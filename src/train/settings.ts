// `key=value` as a user writes it over the defaults of a method or of fine-tuning: types, words and ranges checked by name.

import { nearest, WhorlError } from '../base/error.ts';
import type { Recompute } from '../engine/recompute.ts';
import { SCHEDULES } from './schedule.ts';
import { inRange, rangeWords } from './setting-ranges.ts';

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
