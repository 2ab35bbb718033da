// Every attack by name, and its settings out of key=value. `share=0.2` is meant for each named attack that has a `share`,
// `noise.share=0.2` for one of them.

import { WhorlError } from '../base/error.ts';
import { nameHint } from '../base/near-name.ts';
import { defaultsOf, readSetting } from '../base/setting.ts';
import type { Attack } from './attack.ts';
import { resetLargest, resetSmallest } from './find-rows.ts';
import { noise } from './noise.ts';
import { resetFresh, resetMean, resetVanilla } from './reset-rows.ts';

export const ATTACKS = {
  noise,
  'reset-mean': resetMean,
  'reset-vanilla': resetVanilla,
  'reset-fresh': resetFresh,
  'reset-largest': resetLargest,
  'reset-smallest': resetSmallest,
} satisfies Readonly<Record<string, Attack>>;

export type AttackName = keyof typeof ATTACKS;

const isAttack = (name: string): name is AttackName => Object.hasOwn(ATTACKS, name);

export type Chosen = {
  readonly attack: readonly [AttackName, Attack];
  readonly settings: Readonly<Record<string, number>>;
};

const LIST = 'whorl attack --help lists them';

/** @throws WhorlError `usage` for an unknown or repeated name, a setting that none of them has, a value out of range */
export function chooseAttacks(
  names: readonly string[],
  given: Readonly<Record<string, string>> = {},
): readonly Chosen[] {
  if (names.length === 0) throw new WhorlError('usage', 'no attack is named', `give --attack NAME: ${LIST}`);
  const chosen = names.map((name, i) => {
    if (!isAttack(name)) throw unknownAttack(name);
    if (names.indexOf(name) !== i)
      throw new WhorlError('usage', `--attack ${name} is given twice`, 'give it once');
    const attack: Attack = ATTACKS[name];
    return { attack: [name, attack] as const, settings: { ...defaultsOf(attack.settings) } };
  });
  // Those meant for one attack come last, so that they hold over those meant for all.
  for (const [key, text] of Object.entries(given).sort(([a], [b]) => dots(a) - dots(b))) {
    const [setting, name] = key.split('.').reverse() as [string, string | undefined];
    const meant = chosen.filter(
      ({ attack }) =>
        dots(key) < 2 &&
        (name === undefined || name === attack[0]) &&
        Object.hasOwn(attack[1].settings, setting),
    );
    if (meant.length === 0) throw unknownSetting(key, chosen);
    for (const { attack, settings } of meant)
      settings[setting] = readSetting(key, text, attack[1].settings[setting]!) as number;
  }
  return chosen;
}

const dots = (key: string): number => key.split('.').length - 1;

function unknownAttack(name: string): WhorlError {
  const hint = nameHint(name, Object.keys(ATTACKS), { list: LIST });
  return new WhorlError('usage', `--attack ${name}: there is no such attack`, hint);
}

function unknownSetting(key: string, chosen: readonly Chosen[]): WhorlError {
  const known = chosen.flatMap(({ attack: [name, { settings }] }) =>
    Object.keys(settings).flatMap((setting) => [setting, `${name}.${setting}`]),
  );
  return new WhorlError(
    'usage',
    `${key}: no named attack has this setting`,
    known.length === 0 ? 'they have none' : nameHint(key, known, { list: LIST }),
  );
}
