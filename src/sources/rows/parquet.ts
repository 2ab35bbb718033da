// Rows from Parquet, one row group at a time, by hyparquet; the file's own claims are checked first, because a
// decoder believes the sizes it is told.

import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import {
  type AsyncBuffer,
  type Compressors,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
  type RowGroup,
} from 'hyparquet';
import { compressors, decompressZstd } from 'hyparquet-compressors';
import { WhorlError } from '../../base/error.ts';
import { BoundedReader } from '../bounded-reader.ts';
import { parsePythonJson } from './python-json.ts';
import {
  damaged,
  exactInteger,
  pickColumns,
  type ReadRowsOptions,
  type Row,
  refuseTwins,
  rowOf,
} from './row.ts';

export const PARQUET_MAGIC = 'PAR1';
const MAX_DEPTH = 32;
const MAX_FOOTER = 128 * 1024 * 1024;
const MAX_GROUP = 2 ** 31; // bytes of one row group unpacked; writers aim at 128 MB to 1 GB
const MAX_PAGE = 512 * 1024 * 1024;
const MAX_VALUES = 2 ** 26; // in one column of one row group

/** Throws `bad-file` naming the file and the row group where it does not hold together. */
export async function* readParquetRows(path: string, options: ReadRowsOptions): AsyncGenerator<Row> {
  const reader = new BoundedReader(path);
  try {
    const file = bufferOf(reader);
    const metadata = await readFooter(reader, file);
    const leaves = guarded(`${reader.name}, footer`, () => leafPaths(metadata, reader.name));
    const columns = pickColumns(reader.name, [...new Set(leaves.map((path) => path[0]!))], options.columns);
    let rowStart = 0;
    for (const [i, group] of metadata.row_groups.entries()) {
      const where = `${reader.name}, row group ${i + 1} (rows from ${rowStart + 1})`;
      guarded(where, () => checkGroup(group, leaves, reader.size, where));
      const rowEnd = rowStart + Number(group.num_rows);
      for (const row of await decodeGroup({ file, metadata, rowStart, rowEnd, columns, where })) yield row;
      rowStart = rowEnd;
    }
  } finally {
    reader.close();
  }
}

/** A column of JSON, as Python reads it. */
const jsonFromBytes = (bytes: Uint8Array | undefined): unknown =>
  bytes && parsePythonJson(Buffer.from(bytes).toString('utf8'));

interface GroupRequest {
  file: AsyncBuffer;
  metadata: FileMetaData;
  rowStart: number;
  rowEnd: number;
  columns: readonly string[];
  where: string;
}

async function decodeGroup({
  file,
  metadata,
  rowStart,
  rowEnd,
  columns,
  where,
}: GroupRequest): Promise<Row[]> {
  if (rowEnd === rowStart) return [];
  try {
    const options = {
      file,
      metadata,
      rowStart,
      rowEnd,
      columns: [...columns],
      compressors: bounded,
      parsers: { jsonFromBytes },
      utf8: false,
    };
    const rows = await parquetReadObjects(options);
    if (rows.length !== rowEnd - rowStart)
      throw new RangeError(`${rows.length} rows where ${rowEnd - rowStart} are promised`);
    return rows.map((row) => rowOf(columns.map((name) => [name, plain(row[name])] as const)));
  } catch (cause) {
    if (cause instanceof WhorlError) throw cause;
    throw damaged(where, (cause as Error).message, cause);
  }
}

async function readFooter(reader: BoundedReader, file: AsyncBuffer): Promise<FileMetaData> {
  const ends = new Uint8Array(12);
  if (reader.size < 12) throw damaged(reader.name, 'too short for Parquet');
  reader.readInto(ends.subarray(0, 4), 0);
  reader.readInto(ends.subarray(4), reader.size - 8);
  const text = Buffer.from(ends).toString('latin1');
  const length = new DataView(ends.buffer).getUint32(4, true);
  if (text.slice(0, 4) !== PARQUET_MAGIC || text.slice(8) !== PARQUET_MAGIC)
    throw damaged(reader.name, 'not Parquet from end to end');
  if (length > Math.min(MAX_FOOTER, reader.size - 12))
    throw damaged(reader.name, `a footer of ${length} bytes`);
  try {
    return await parquetMetadataAsync(file, { geoparquet: false });
  } catch (cause) {
    throw damaged(reader.name, `its footer cannot be read (${(cause as Error).message})`, cause);
  }
}

/** hyparquet types the footer as it should be, not as it is: a changed byte puts another type anywhere. */
function guarded<T>(where: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof WhorlError) throw cause;
    throw damaged(where, (cause as Error).message, cause);
  }
}

/** The path of every leaf, in the file's order. */
function leafPaths({ schema }: FileMetaData, name: string): string[][] {
  const paths: string[][] = [];
  let at = 1;
  const walk = (above: readonly string[]): void => {
    const element = schema[at++];
    if (typeof element?.name !== 'string' || above.length > MAX_DEPTH)
      throw new RangeError('a schema that does not add up');
    const path = [...above, element.name];
    if (!element.num_children) paths.push(path);
    for (let i = 0; i < (element.num_children ?? 0); i++) walk(path);
  };
  for (let i = 0; i < (schema[0]?.num_children ?? 0); i++) walk([]);
  if (at !== schema.length) throw new RangeError('a schema that does not add up');
  refuseTwins(
    paths.map((path) => path.join('.')),
    name,
  );
  return paths;
}

function checkGroup(group: RowGroup, leaves: string[][], size: number, where: string): void {
  let unpacked = 0n;
  const fits = (offset: bigint | undefined) =>
    offset === undefined || (offset >= 0n && offset < BigInt(size));
  if (group.num_rows < 0n || group.num_rows > BigInt(MAX_VALUES))
    throw damaged(where, `${group.num_rows} rows in one group`);
  // One chunk a leaf, in order: hyparquet loses sight of any other, and its failure would end the process.
  if (group.columns.length !== leaves.length)
    throw damaged(where, `${group.columns.length} columns of ${leaves.length}`);
  for (const [i, { meta_data: meta }] of group.columns.entries()) {
    if (meta === undefined)
      throw new WhorlError(
        'unsupported',
        `${where}: encrypted or external columns`,
        'save it as plain Parquet',
      );
    const path = leaves[i]!.join('.');
    if (meta.path_in_schema.join('.') !== path)
      throw damaged(where, `another column where ${path} should be`);
    const start = meta.dictionary_page_offset ?? meta.data_page_offset;
    const end = start + meta.total_compressed_size;
    if (!fits(meta.data_page_offset) || !fits(start) || meta.total_compressed_size < 0n || end > BigInt(size))
      throw damaged(where, `column ${path} lies outside the file`);
    if (meta.num_values < 0n || meta.num_values > BigInt(MAX_VALUES))
      throw damaged(where, `${meta.num_values} values in one column`);
    unpacked += meta.total_uncompressed_size;
  }
  if (unpacked > BigInt(MAX_GROUP))
    throw new WhorlError(
      'unsupported',
      `${where} unpacks to ${unpacked} bytes`,
      'save it with smaller row groups',
    );
}

type Decoder = (input: Uint8Array, length: number) => Uint8Array;

// A page of a few hundred bytes can claim to be gigabytes: each decoder stops at the length the page promises.
const DECODERS: Compressors = {
  ...compressors,
  GZIP: (input, length) => gunzipSync(input, { maxOutputLength: Math.max(1, length) }),
  BROTLI: (input, length) => brotliDecompressSync(input, { maxOutputLength: Math.max(1, length) }),
  ZSTD: (input, length) => decompressZstd(input, new Uint8Array(length)),
};

const bounded: Compressors = Object.fromEntries(
  Object.entries(DECODERS as Record<string, Decoder>).map(([codec, decode]) => [
    codec,
    (input: Uint8Array, length: number) => {
      if (!(length >= 0 && length <= MAX_PAGE)) throw new RangeError(`a page of ${length} bytes`);
      const out = decode(input, length);
      if (out.length !== length)
        throw new RangeError(`a page of ${out.length} bytes where ${length} are promised`);
      return out;
    },
  ]),
);

function bufferOf(reader: BoundedReader): AsyncBuffer {
  return {
    byteLength: reader.size,
    async slice(start, end = reader.size) {
      const bytes = new Uint8Array(Math.max(0, Math.min(end, reader.size) - start));
      reader.readInto(bytes, start);
      return bytes.buffer;
    },
  };
}

/** Integers as numbers where exact; a copy of nested values with own keys only. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return exactInteger(value);
  if (value === undefined) return null;
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value) || value instanceof Date)
    return value;
  return rowOf(Object.entries(value).map(([key, inner]) => [key, plain(inner)] as const));
}
