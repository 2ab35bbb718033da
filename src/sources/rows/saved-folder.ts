// The folder that `datasets`' `save_to_disk` writes: one Arrow stream a split, with state.json and
// dataset_info.json beside it, and dataset_dict.json above where there are several splits. Read and written.

import { createHash } from 'node:crypto';
import { existsSync, lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import * as arrow from '@uwdata/flechette';
import { writeFileAtomic, writeFolderAtomic } from '../../base/atomic.ts';
import { WhorlError } from '../../base/error.ts';
import { nameHint } from '../../base/near-name.ts';
import { readJsonObject } from '../strict-json.ts';
import type { Row } from './row.ts';

/** A column's type, in the words of `datasets`' features. */
type Feature =
  | 'string'
  | 'int64'
  | 'float64'
  | 'bool'
  | { list: Feature }
  | { struct: Record<string, Feature> };

export interface SplitData {
  columns: Record<string, Feature>;
  rows: readonly Row[];
}

const BATCH_ROWS = 1000; // `datasets`' own, so that one record batch stays far below 2 GiB of text
const DATA_FILE = 'data-00000-of-00001.arrow';

/**
 * Writes a DatasetDict that Python's `datasets.load_from_disk` opens, whole or not at all. Missing values are null.
 * Throws `exists` where a non-empty folder stands, `mismatch` naming split, row and column for a value of another type.
 */
export async function saveToDisk(
  folder: string,
  splits: Readonly<Record<string, SplitData>>,
  { isPrivate = false }: { isPrivate?: boolean } = {},
): Promise<void> {
  if (existsSync(folder) && readdirSync(folder).length > 0)
    throw new WhorlError(
      'exists',
      `${folder} is there already and not empty`,
      'remove it or give another name',
    );
  const [folderMode, fileMode] = isPrivate ? [0o700, 0o600] : [0o755, 0o644];
  await writeFolderAtomic(
    folder,
    (temporary) => {
      const write = (name: string, data: string | Uint8Array) =>
        writeFileAtomic(join(temporary, name), data, fileMode);
      for (const [name, split] of Object.entries(splits)) {
        checkName(name, folder, 'split');
        const features = Object.fromEntries(
          Object.entries(split.columns).map(([c, f]) => [c, featureJson(f)]),
        );
        const bytes = encodeSplit(split, features, `${folder}, split ${name}`);
        write(join(name, DATA_FILE), bytes);
        write(join(name, 'state.json'), json(stateOf(name, bytes)));
        write(
          join(name, 'dataset_info.json'),
          json({ citation: '', description: '', features, homepage: '', license: '' }),
        );
      }
      write('dataset_dict.json', JSON.stringify({ splits: Object.keys(splits) }));
    },
    folderMode,
  );
}

/** Does a `save_to_disk` folder stand there? */
export const isSavedFolder = (path: string): boolean =>
  existsSync(join(path, 'dataset_dict.json')) || existsSync(join(path, 'state.json'));

/** The splits of a saved folder in its own order; a folder of one data set without a split's name has none. */
export function listSplits(folder: string): string[] {
  const file = join(folder, 'dataset_dict.json');
  if (!existsSync(file)) return [];
  const { splits } = readJsonObject(file, file);
  if (!Array.isArray(splits) || splits.some((s) => typeof s !== 'string'))
    throw new WhorlError('bad-file', `${file}: "splits" is not a list of names`);
  return (splits as string[]).map((name) => checkName(name, file, 'split'));
}

/** The Arrow files of one split, in order. Throws for files that are missing, are links or lie elsewhere. */
export function dataFiles(folder: string, split?: string): string[] {
  const splits = listSplits(folder);
  const part = splits.length === 0 ? folder : join(folder, pickSplit(folder, splits, split));
  const file = join(part, 'state.json');
  const state = readJsonObject(file, file);
  if (Array.isArray(state._indices_data_files) && state._indices_data_files.length > 0)
    throw new WhorlError(
      'unsupported',
      `${part} keeps its rows' order in a file of its own`,
      'save it again with a current `datasets`',
    );
  if (!Array.isArray(state._data_files))
    throw new WhorlError('bad-file', `${file}: "_data_files" is not a list`);
  return state._data_files.map((entry: unknown) => {
    const name = (entry as Row | null)?.filename;
    if (typeof name !== 'string') throw new WhorlError('bad-file', `${file}: a data file without a name`);
    const path = join(part, checkName(name, file, 'data file'));
    const stats = lstatSync(path, { throwIfNoEntry: false });
    if (stats === undefined)
      throw new WhorlError('missing-file', `${path} does not exist, but ${file} names it`);
    if (!stats.isFile()) throw new WhorlError('bad-file', `${path} is a link or no regular file`);
    return path;
  });
}

function pickSplit(folder: string, splits: readonly string[], wanted?: string): string {
  if (wanted !== undefined && splits.includes(wanted)) return wanted;
  if (wanted === undefined && splits.includes('train')) return 'train';
  if (wanted === undefined && splits.length === 1) return splits[0]!;
  const problem = wanted === undefined ? 'has several splits' : `has no split ${JSON.stringify(wanted)}`;
  throw new WhorlError('usage', `${folder} ${problem}`, nameHint(wanted ?? '', splits));
}

/** A name that can only mean an entry of the folder itself, on any system. */
function checkName(name: string, where: string, what: string): string {
  if (!/^[\w-][\w.+-]{0,199}$/.test(name))
    throw new WhorlError('bad-file', `${where}: ${JSON.stringify(name)} is no name for a ${what}`);
  return name;
}

const json = (value: unknown) => JSON.stringify(value, null, 2);

const stateOf = (split: string, bytes: Uint8Array) => ({
  _data_files: [{ filename: DATA_FILE }],
  _fingerprint: createHash('sha256').update(bytes).digest('hex').slice(0, 16),
  _format_columns: null,
  _format_kwargs: {},
  _format_type: null,
  _output_all_columns: false,
  _split: split,
});

function encodeSplit({ columns, rows }: SplitData, features: object, where: string): Uint8Array {
  const data: [string, unknown[]][] = Object.entries(columns).map(([name, feature]) => [
    name,
    rows.map((row, i) =>
      checked(
        Object.hasOwn(row, name) ? row[name] : null,
        feature,
        () => `${where}, row ${i + 1}, column ${name}`,
      ),
    ),
  ]);
  const types = Object.fromEntries(
    Object.entries(columns).map(([name, feature]) => [name, arrowType(feature)]),
  );
  const table = arrow.tableFromArrays(data, { types, maxBatchRows: BATCH_ROWS });
  table.schema.metadata = new Map([['huggingface', JSON.stringify({ info: { features } })]]);
  const bytes = arrow.tableToIPC(table, { format: 'stream' });
  if (bytes === null) throw new WhorlError('out-of-memory', `${where}: the Arrow bytes could not be made`);
  return bytes;
}

function arrowType(feature: Feature): arrow.DataType {
  if (feature === 'string') return arrow.utf8();
  if (feature === 'int64') return arrow.int64();
  if (feature === 'float64') return arrow.float64();
  if (feature === 'bool') return arrow.bool();
  if ('list' in feature) return arrow.list(arrow.field('item', arrowType(feature.list)));
  return arrow.struct(
    Object.entries(feature.struct).map(([name, inner]) => arrow.field(name, arrowType(inner))),
  );
}

/** A list is written `[feature]`, the one form that every version of `datasets` reads. */
function featureJson(feature: Feature): unknown {
  if (typeof feature === 'string') return { dtype: feature, _type: 'Value' };
  if ('list' in feature) return [featureJson(feature.list)];
  return Object.fromEntries(
    Object.entries(feature.struct).map(([name, inner]) => [name, featureJson(inner)]),
  );
}

function checked(value: unknown, feature: Feature, where: () => string): unknown {
  if (value === null || value === undefined) return null;
  if (typeof feature === 'string') {
    if (typeof value === TYPE_OF[feature] || (feature === 'int64' && typeof value === 'bigint')) {
      if (feature !== 'int64') return value;
      if (typeof value === 'bigint' || Number.isSafeInteger(value)) return BigInt(value as number | bigint);
    }
  } else if ('list' in feature) {
    if (Array.isArray(value)) return value.map((item) => checked(item, feature.list, where));
  } else if (typeof value === 'object' && !Array.isArray(value)) {
    const members = value as Row;
    const get = (name: string) => (Object.hasOwn(members, name) ? members[name] : null);
    return Object.fromEntries(
      Object.entries(feature.struct).map(([name, inner]) => [name, checked(get(name), inner, where)]),
    );
  }
  throw new WhorlError(
    'mismatch',
    `${where()} is not of type ${typeof feature === 'string' ? feature : JSON.stringify(feature)}`,
  );
}

const TYPE_OF = { string: 'string', int64: 'number', float64: 'number', bool: 'boolean' } as const;
