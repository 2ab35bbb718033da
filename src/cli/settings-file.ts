// `--settings FILE`: a YAML map of settings, under those on the command line.

import { parse } from 'yaml';
import { WhorlError } from '../base/error.ts';
import { BoundedReader } from '../sources/bounded-reader.ts';

const MOST_BYTES = 65_536;

/** @throws WhorlError `bad-file` for what is no map of names to plain values */
export function readSettingsFile(path: string): Record<string, string> {
  const reader = new BoundedReader(path);
  try {
    if (reader.size > MOST_BYTES)
      throw new WhorlError(
        'bad-file',
        `${path} has ${reader.size} bytes, more than the ${MOST_BYTES} allowed`,
      );
    const text = Buffer.from(reader.bytes(reader.size, 'the file')).toString('utf8');
    let value: unknown;
    try {
      value = parse(text, { maxAliasCount: 0 });
    } catch (cause) {
      throw new WhorlError('bad-file', `${path} is not YAML (${(cause as Error).message.split('\n')[0]})`);
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw new WhorlError('bad-file', `${path} is no map of settings`, 'write one `name: value` a line');
    return Object.fromEntries(
      Object.entries(value).map(([key, item]: [string, unknown]) => {
        if (typeof item === 'object' || item === undefined)
          throw new WhorlError(
            'bad-file',
            `${path}: ${key} is no plain value`,
            'write one `name: value` a line',
          );
        return [key, String(item)];
      }),
    );
  } finally {
    reader.close();
  }
}
