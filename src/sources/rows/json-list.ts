// A JSON list written row by row, byte for byte as Python's `json.dump(rows, indent=…)` writes it: Alpaca's own form.

import { existsSync } from 'node:fs';
import { AtomicFile } from '../../base/atomic.ts';
import { WhorlError } from '../../base/error.ts';

export interface JsonLayout {
  indent: number;
  /** Python's `ensure_ascii`, its default. */
  ascii: boolean;
}

const CHUNK = 1 << 20; // characters written at once

/** Writes all rows or no file; the number of rows. Throws `exists` where something stands at `path`. */
export async function writeJsonList(
  path: string,
  rows: AsyncIterable<object>,
  { indent, ascii }: JsonLayout,
): Promise<number> {
  if (existsSync(path))
    throw new WhorlError('exists', `${path} is there already`, 'remove it or give another name');
  const file = new AtomicFile(path);
  const encoder = new TextEncoder();
  try {
    let text = '[';
    let count = 0;
    const margin = `\n${' '.repeat(indent)}`;
    for await (const row of rows) {
      const json = JSON.stringify(row, null, indent).replaceAll('\n', margin);
      text += (count++ === 0 ? margin : `,${margin}`) + (ascii ? escaped(json) : json);
      if (text.length < CHUNK) continue;
      file.write(encoder.encode(text));
      text = '';
    }
    file.write(encoder.encode(count === 0 ? '[]' : `${text}\n]`));
    file.commit();
    return count;
  } finally {
    file.discard();
  }
}

const escaped = (json: string): string =>
  json.replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
