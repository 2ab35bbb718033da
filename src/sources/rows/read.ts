// Rows from any file or folder: what it is, its first bytes say; its name is asked only where they do not.

import { statSync } from 'node:fs';
import { extname } from 'node:path';
import { WhorlError } from '../../base/error.ts';
import { isThere } from '../../base/system-errors.ts';
import { withReader } from '../bounded-reader.ts';
import { LOOK_BYTES, lookAlike, looksLikeSafetensors } from '../look-alike.ts';
import { webAddress } from '../web-address.ts';
import { ARROW_MAGIC, readArrowRows } from './arrow.ts';
import { readJsonRows } from './json.ts';
import { noJson, noRowsFolder, otherBytes, otherEnding } from './no-rows.ts';
import { PARQUET_MAGIC, readParquetRows } from './parquet.ts';
import type { ReadRowsOptions, Row } from './row.ts';
import { dataFiles, isSavedFolder } from './saved-folder.ts';

type Reader = (path: string, options: ReadRowsOptions) => Iterable<Row> | AsyncIterable<Row>;

/**
 * Rows of a JSON, JSON lines, Parquet or Arrow file, or of a folder saved by `datasets`' `save_to_disk`.
 * Throws WhorlError naming the file and the line or row; nothing is read beyond `limit`.
 */
export async function* readRows(path: string, options: ReadRowsOptions = {}): AsyncGenerator<Row> {
  let left = options.limit ?? Number.POSITIVE_INFINITY;
  const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  if (isFolder && !isSavedFolder(path)) throw noRowsFolder(path);
  const parts = isFolder ? dataFiles(path, options.split) : [path];
  for (const part of parts) {
    if (left <= 0) return;
    for await (const row of readerOf(part)(part, options)) {
      yield row;
      if (--left <= 0) return;
    }
  }
}

function readerOf(path: string): Reader {
  if (!isThere(path)) {
    const address = webAddress(path);
    if (address) throw address;
  }
  const bytes = withReader(path, (reader) => {
    const first = new Uint8Array(Math.min(LOOK_BYTES, reader.size));
    reader.readInto(first, 0);
    return first;
  });
  const start = Buffer.from(bytes).toString('latin1');
  const extension = extname(path).toLowerCase();
  if (start.startsWith(PARQUET_MAGIC)) return readParquetRows;
  if (start.startsWith(ARROW_MAGIC) || start.startsWith('\xff\xff\xff\xff')) return readArrowRows;
  // The length that safetensors begin with may spell another kind's magic.
  if (start.startsWith('GGUF') || looksLikeSafetensors(bytes))
    throw new WhorlError(
      'unsupported',
      `${path} holds weights of a model`,
      'give rows where rows are asked for',
    );
  const other = otherBytes(path, start) ?? lookAlike(bytes, path);
  if (other) throw other;
  if (start.startsWith('FEA1'))
    throw new WhorlError('unsupported', `${path} is Feather version 1`, 'save it as version 2');
  if (extension === '.parquet') return readParquetRows;
  if (['.arrow', '.ipc', '.feather'].includes(extension)) return readArrowRows;
  const text = noJson(path, start);
  if (text) throw text;
  return readJsonOf;
}

/** JSON under any name. What cannot be read from its first row on is what its name says. */
function* readJsonOf(path: string, options: ReadRowsOptions): Generator<Row> {
  let count = 0;
  try {
    for (const row of readJsonRows(path, options)) {
      count++;
      yield row;
    }
  } catch (cause) {
    throw (count === 0 && otherEnding(path, cause)) || cause;
  }
}
