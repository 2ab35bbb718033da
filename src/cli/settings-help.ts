// The settings of a command in its help, out of their schema: name and default, then the words, in 80 columns.

import { rangeWords, type Setting, settingsIn } from '../base/setting.ts';
import { wrapped } from './output.ts';

const COLUMNS = 80;
const NAMES = 27;

/** Two columns; a name that is too long for its own has its words below it. */
export function settingLines(schema: Parameters<typeof settingsIn>[0], indent = '  '): string[] {
  return settingsIn(schema).flatMap(([name, setting]) => {
    const written = `${indent}${name}=${setting.default}`;
    const words = wrapped(meaning(setting), ' '.repeat(NAMES), COLUMNS);
    if (written.length > NAMES - 2) return [written, ...words];
    return [written.padEnd(NAMES) + words[0]!.trimStart(), ...words.slice(1)];
  });
}

/** Of numbers the range is left to the message that refuses one, and to docs/settings.md. */
function meaning(setting: Setting): string {
  const words = setting.words.replaceAll('`', '');
  if (setting.kind === 'choice') return `${words}: ${rangeWords(setting)}`;
  return setting.kind === 'number' && setting.unit !== undefined && !words.includes(setting.unit)
    ? `${words} (${setting.unit})`
    : words;
}
