// config.json as text: transformers 5 takes no `30` for a number of Python's `float`, which JSON.stringify makes of 30.0.

import type { GgufFamily } from './gguf-family.ts';

/** Of `rope_scaling`; in a GGUF's config no others are nested. */
const ROPE_FLOATS = [
  'attention_factor',
  'beta_fast',
  'beta_slow',
  'factor',
  'high_freq_factor',
  'low_freq_factor',
];

/** Keys whose numbers are floats to transformers, wherever in the config they stand. */
const floatsOf = ({ keys, ropeTheta, rotaryShare }: GgufFamily): ReadonlySet<string> =>
  new Set([
    ...Object.values(keys).flatMap(({ name, as }) => (as === 'positive' ? [name] : [])),
    ...ROPE_FLOATS,
    ...(ropeTheta === undefined ? [] : [ropeTheta]),
    ...(rotaryShare === undefined ? [] : [rotaryShare]),
  ]);

/** A line of indented JSON with a whole number in it; no other line has this form, as quotes inside texts are escaped. */
const WHOLE = /^( *"(\w+)": -?\d+)(,?)$/gm;

/** @param config as `ggufConfig` makes it */
export function ggufConfigText(family: GgufFamily, config: Readonly<Record<string, unknown>>): string {
  const floats = floatsOf(family);
  const text = JSON.stringify(config, null, 2);
  return `${text.replaceAll(WHOLE, (line, number: string, key: string, comma: string) => (floats.has(key) ? `${number}.0${comma}` : line))}\n`;
}
