// Rows from JSON (an array, {"data": [...]}, or printed objects one after another) and JSON lines. Which of them a file is,
// its first line says: a value that is complete by its end of line begins JSON lines, unless it holds all rows.

import { WhorlError } from '../../base/error.ts';
import { BoundedReader } from '../bounded-reader.ts';
import { READ } from './no-rows.ts';
import { parseJsonSequence, parsePythonJson } from './python-json.ts';
import { damaged, type ReadRowsOptions, type Row, rowOf } from './row.ts';

const MAX_LINE = 64 * 1024 * 1024; // one row; the longest conversation in the public sets has 3 MB
const MAX_WHOLE = 500_000_000; // V8 holds at most 2^29 - 24 characters in one string
const NEWLINE = 0x0a;

/** Throws `bad-file` naming file and line (or row) for what is not UTF-8, not JSON or not an object. */
export function* readJsonRows(path: string, options: ReadRowsOptions): Generator<Row> {
  const reader = new BoundedReader(path);
  try {
    const values = firstLineStandsAlone(reader) ? lines(reader) : whole(reader);
    for (const [where, value] of values) {
      if (typeof value !== 'object' || value === null || Array.isArray(value))
        throw new WhorlError(
          'bad-file',
          `${where}: a row must be an object of columns, here is ${kind(value)}`,
        );
      yield project(value as Row, options.columns);
    }
  } finally {
    reader.close();
  }
}

function project(row: Row, columns?: readonly string[]): Row {
  if (columns === undefined) return row;
  return rowOf(columns.filter((c) => Object.hasOwn(row, c)).map((c) => [c, row[c]] as const));
}

function firstLineStandsAlone(reader: BoundedReader): boolean {
  let first: unknown;
  let found = false;
  for (const [number, bytes] of splitLines(reader)) {
    const text = decode(bytes, `${reader.name}, line ${number}`).trim();
    if (text === '') continue;
    if (found) return true; // what could hold all rows does not: there are more
    try {
      first = parsePythonJson(text);
    } catch {
      // Of JSON lines its first is to blame, unless it is several rows, or the beginning of one that goes on.
      return /\.(jsonl|ndjson)$/i.test(reader.path) && /^\{./.test(text) && sequenceIn(text) === undefined;
    }
    if (!holdsRows(first)) return true;
    found = true;
  }
  return false;
}

/** An array, or an object that has nothing but an array `data`. */
const holdsRows = (value: unknown): boolean =>
  Array.isArray(value) ||
  (typeof value === 'object' &&
    value !== null &&
    Array.isArray((value as Row).data) &&
    Object.keys(value).length === 1);

/** Several values one after another; undefined where a text is not that. */
function sequenceIn(text: string): readonly unknown[] | undefined {
  try {
    const values = parseJsonSequence(text);
    return values.length > 1 ? values : undefined;
  } catch {
    return undefined;
  }
}

function* lines(reader: BoundedReader): Generator<[string, unknown]> {
  for (const [number, bytes] of splitLines(reader)) {
    const where = `${reader.name}, line ${number}`;
    const text = decode(bytes, where);
    if (text.trim() === '') continue;
    yield [where, parse(text, () => where)];
  }
}

function* whole(reader: BoundedReader): Generator<[string, unknown]> {
  if (reader.size > MAX_WHOLE)
    throw new WhorlError(
      'unsupported',
      `${reader.name} is one JSON value of ${reader.size} bytes, more than the ${MAX_WHOLE} that fit`,
      'save it as JSON lines',
    );
  reader.position = 0;
  const text = decode(reader.bytes(reader.size, 'the file'), reader.name);
  if (text.trim() === '') throw damaged(reader.name, 'the file is empty');
  const rows = rowsIn(text, (at) =>
    at === undefined ? reader.name : `${reader.name}, line ${lineAt(text, at)}`,
  );
  for (let i = 0; i < rows.length; i++) yield [`${reader.name}, row ${i + 1}`, rows[i]];
}

/** The rows that a value holds; any other value is one, and of several values each. */
function rowsIn(text: string, where: (at?: number) => string): readonly unknown[] {
  let value: unknown;
  try {
    value = parse(text, where);
  } catch (error) {
    const values = sequenceIn(text);
    if (values === undefined) throw error;
    return values;
  }
  if (Array.isArray(value)) return value;
  const { data } = (value ?? {}) as Row;
  return Array.isArray(data) ? data : [value];
}

/** Line numbers from 1, without the line's end. A line split over chunks is joined once. */
function* splitLines(reader: BoundedReader): Generator<[number, Uint8Array]> {
  let parts: Uint8Array[] = [];
  let held = 0;
  let number = 1;
  const take = (last: Uint8Array): Uint8Array => {
    const line = parts.length === 0 ? last.slice() : Buffer.concat([...parts, last]);
    parts = [];
    held = 0;
    return line;
  };
  for (const chunk of reader.chunks(0, reader.size)) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      yield [number++, take(chunk.subarray(start, end))];
      start = end + 1;
    }
    held += chunk.length - start;
    if (held > MAX_LINE && reader.size > MAX_WHOLE)
      throw new WhorlError('bad-file', `${reader.name}, line ${number} is longer than ${MAX_LINE} bytes`);
    parts.push(chunk.slice(start));
  }
  if (held > 0) yield [number, take(new Uint8Array(0))];
}

function decode(bytes: Uint8Array, where: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new WhorlError('bad-file', `${where} is not UTF-8`, 'save it as UTF-8', { cause });
  }
}

function parse(text: string, where: (at?: number) => string): unknown {
  try {
    return parsePythonJson(text);
  } catch (cause) {
    const at = faultAt((cause as Error).message, text);
    throw new WhorlError('bad-file', `${where(at)}: not valid JSON`, READ, {
      cause,
    });
  }
}

/** Where V8 found the fault: it names a position, or the text there, or the end. Undefined where that is unclear. */
function faultAt(message: string, text: string): number | undefined {
  const position = /position (\d+)/.exec(message)?.[1];
  if (position !== undefined) return Number(position);
  const quoted = /, (?:\.\.\.)?"([\s\S]*?)"(?:\.\.\.)? is not valid JSON$/.exec(message)?.[1];
  if (quoted === undefined) return text.length;
  const at = text.indexOf(quoted);
  return at === text.lastIndexOf(quoted) ? at : undefined;
}

const lineAt = (text: string, at: number) => text.slice(0, at).split('\n').length;

const kind = (value: unknown) =>
  value === null ? 'null' : Array.isArray(value) ? 'an array' : `a ${typeof value}`;
