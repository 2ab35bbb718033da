// JSON from a file that nobody vouches for: UTF-8 only, and no key twice in one object, because two readers
// that pick a different one of the two would see two different models.

import { WhorlError } from '../base/error.ts';
import { withReader } from './bounded-reader.ts';
import { refuseLookAlike } from './look-alike.ts';
import { parsePythonConfig } from './rows/python-json.ts';

const MAX_JSON = 100_000_000; // bytes; the largest index seen (497,000 tensors) has 60 MB

export interface StrictOptions {
  readonly wholeNumbers?: boolean;
  /** NaN and the infinities are numbers, as Python writes and reads them. */
  readonly python?: boolean;
}

/**
 * Parses UTF-8 JSON. Throws `bad-file` naming `name` for bad UTF-8, bad JSON or a duplicate key, and with
 * `wholeNumbers` for a number written with point, exponent or as -0 (JSON.parse cannot tell 3.0 from 3).
 */
export function parseStrictJson(bytes: Uint8Array, name: string, options: StrictOptions = {}): unknown {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new WhorlError('bad-file', `${name} is not UTF-8`);
  }
  if (text.startsWith('\ufeff'))
    throw new WhorlError('bad-file', `${name} begins with a byte order mark`, 'save it as UTF-8 without one');
  let value: unknown;
  try {
    value = options.python ? parsePythonConfig(text) : JSON.parse(text);
  } catch (cause) {
    throw new WhorlError('bad-file', `${name} is not valid JSON`, undefined, { cause });
  }
  scan(text, name, options.wholeNumbers ?? false);
  return value;
}

/** A JSON object as a record with own keys only. Throws `bad-file` for any other value. */
export function asObject(value: unknown, name: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new WhorlError('bad-file', `${name} is not a JSON object`);
  return value as Record<string, unknown>;
}

export function readJsonObject(path: string, name: string): Record<string, unknown> {
  return withReader(
    path,
    (reader) => {
      if (reader.size > MAX_JSON)
        throw new WhorlError(
          'bad-file',
          `${name} has ${reader.size} bytes, more than the ${MAX_JSON} allowed`,
        );
      refuseLookAlike(reader, { anyKind: true });
      return asObject(parseStrictJson(reader.bytes(reader.size, 'the file'), name, { python: true }), name);
    },
    name,
  );
}

// `text` is valid JSON here, so strings are the only place where a brace may stand for itself.
function scan(text: string, name: string, wholeNumbers: boolean): void {
  const open: (Set<string> | null)[] = []; // an object's keys so far, or null for an array
  let keyNext = false;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === 0x22) {
      const start = i++;
      while (text.charCodeAt(i) !== 0x22) i += text.charCodeAt(i) === 0x5c ? 2 : 1;
      const keys = open.at(-1);
      if (!keyNext || !keys) continue;
      const key = JSON.parse(text.slice(start, i + 1)) as string;
      if (keys.has(key)) throw new WhorlError('bad-file', `${name} has the key ${JSON.stringify(key)} twice`);
      keys.add(key);
      keyNext = false;
    } else if (c === 0x7b) {
      open.push(new Set());
      keyNext = true;
    } else if (c === 0x5b) {
      open.push(null);
      keyNext = false;
    } else if (c === 0x7d || c === 0x5d) {
      open.pop();
      keyNext = false;
    } else if (c === 0x2c) {
      keyNext = open.at(-1) instanceof Set;
    } else if (wholeNumbers && (c === 0x2d || (c >= 0x30 && c <= 0x39))) {
      const number = /[-+.\deE]+/y;
      number.lastIndex = i;
      const [written] = number.exec(text)!;
      if (/[.eE]|^-0/.test(written))
        throw new WhorlError('bad-file', `${name}: ${written.slice(0, 40)} is not a whole number`);
      i += written.length - 1;
    }
  }
}
