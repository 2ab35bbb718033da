// What is given where rows are read and holds none that are read: a table, a text, an archive, a folder. Each is named
// as what it is, with what is read instead and how to get there.

import { type Dirent, readdirSync } from 'node:fs';
import { extname, join } from 'node:path';
import { WhorlError } from '../../base/error.ts';
import { LOOKS, starts } from '../look-alike.ts';
import { isSavedFolder } from './saved-folder.ts';

/** What rows come from, in the words of messages. */
export const READ = 'rows are read from JSON, JSON lines, Parquet and Arrow';

const LINES = 'to_json("rows.jsonl", orient="records", lines=True)';
/** Cells as they stand: no number, no NA made of a text. */
const AS_TEXT = 'dtype=str, keep_default_na=False';
const pandas = (call: string): string => `turn it into those, say with pandas: ${call}.${LINES}`;
const ONE_OBJECT = 'write each row as a JSON object on a line of its own, its columns by name';

interface Other {
  readonly what: string;
  readonly mend: string;
}

const TABLE: Other = { what: 'a CSV table', mend: pandas(`read_csv(FILE, ${AS_TEXT})`) };
const TABS: Other = {
  what: 'a table of columns between tabs',
  mend: pandas(String.raw`read_csv(FILE, sep="\t", ${AS_TEXT})`),
};
const SHEET: Other = { what: 'a spreadsheet', mend: pandas(`read_excel(FILE, ${AS_TEXT})`) };
const YAML: Other = {
  what: 'YAML',
  mend: 'turn it into those, in Python: json.dump(yaml.safe_load(open(FILE)), open("rows.json", "w"))',
};
const TEXT: Other = { what: 'plain text', mend: ONE_OBJECT };
const DATABASE: Other = { what: 'an SQLite database', mend: pandas('read_sql("SELECT …", connection)') };
const PICKLE: Other = {
  what: 'a pickle, which can run code and is never opened',
  mend: 'save the rows again where it was made, as JSON lines or Parquet',
};
const NUMPY: Other = { what: "numpy's arrays", mend: ONE_OBJECT };
const SAVE_AGAIN = 'save the rows as JSON lines or Parquet';
const ORC: Other = { what: 'an ORC file', mend: pandas('read_orc(FILE)') };
const AVRO: Other = { what: 'an Avro file', mend: SAVE_AGAIN };
const HDF5: Other = { what: 'an HDF5 file', mend: SAVE_AGAIN };
const PDF: Other = { what: 'a PDF', mend: ONE_OBJECT };
const RECORDS: Other = { what: "TensorFlow's records", mend: SAVE_AGAIN };
const packed = (how: string): Other => ({
  what: how,
  mend: 'unpack it, and give the file or the saved folder in it',
});
const ZIP = packed('a zip archive');

/** Names that a zip of an office document begins with. */
const DOCUMENT = ['[Content_Types].xml', 'docProps/', 'xl/', 'opendocument.spreadsheet'];

/** By the first bytes, one character each; the first that is found counts. */
const BY_START: readonly (readonly [looks: (text: string) => boolean, other: Other])[] = [
  [(text) => LOOKS.zip(text) && DOCUMENT.some((name) => text.includes(name)), SHEET],
  [LOOKS.zip, ZIP],
  [starts('\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1'), SHEET],
  [LOOKS.gzip, packed('compressed (gzip)')],
  [LOOKS.zstd, packed('compressed (zstd)')],
  [LOOKS.xz, packed('compressed (xz)')],
  [LOOKS.bzip2, packed('compressed (bzip2)')],
  [LOOKS.sevenZip, packed('a 7z archive')],
  [starts('Rar!\x1a\x07'), packed('a RAR archive')],
  [LOOKS.tar, packed('a tar archive')],
  [LOOKS.pickle, PICKLE],
  [LOOKS.hdf5, HDF5],
  [starts('SQLite format 3\0'), DATABASE],
  [starts('\x93NUMPY'), NUMPY],
  [starts('%PDF-'), PDF],
  [starts('ORC'), ORC],
  [starts('Obj\x01'), AVRO],
  [starts('\xff\xfe', '\xfe\xff'), { what: 'text in UTF-16', mend: 'save it as UTF-8' }],
];

/** By the ending of the name, for what no first bytes tell. */
const BY_ENDING: Readonly<Record<string, Other>> = {
  '.csv': TABLE,
  '.tsv': TABS,
  '.tab': TABS,
  '.xlsx': SHEET,
  '.xlsm': SHEET,
  '.xls': SHEET,
  '.ods': SHEET,
  '.yaml': YAML,
  '.yml': YAML,
  '.txt': TEXT,
  '.text': TEXT,
  '.md': TEXT,
  '.rst': TEXT,
  '.log': TEXT,
  '.toml': { what: 'TOML', mend: ONE_OBJECT },
  '.ini': { what: 'a file of settings', mend: ONE_OBJECT },
  '.py': { what: 'a program', mend: 'none is run: save the rows that it makes as JSON lines or Parquet' },
  '.db': DATABASE,
  '.sqlite': DATABASE,
  '.pkl': PICKLE,
  '.pickle': PICKLE,
  '.npy': NUMPY,
  '.npz': NUMPY,
  '.h5': HDF5,
  '.hdf5': HDF5,
  '.orc': ORC,
  '.avro': AVRO,
  '.tfrecord': RECORDS,
};
/** Archives whose kind the ending says better than the zip that they are. */
const SAYS_MORE = new Set(['.xlsx', '.xlsm', '.ods', '.npz']);

const errorOf = (path: string, { what, mend }: Other, cause?: unknown): WhorlError =>
  new WhorlError('unsupported', `${path} is ${what}; ${READ}`, mend, { cause });

/** By its first bytes (one character each) a file of a kind that holds rows for others, and none for us. */
export function otherBytes(path: string, start: string): WhorlError | undefined {
  const found = BY_START.find(([looks]) => looks(start))?.[1];
  const ending = extname(path).toLowerCase();
  return found && errorOf(path, found === ZIP && SAYS_MORE.has(ending) ? BY_ENDING[ending]! : found);
}

/** By its ending a file of another kind, if that is one; `cause`: why it is no JSON either. */
export function otherEnding(path: string, cause?: unknown): WhorlError | undefined {
  const other = BY_ENDING[extname(path).toLowerCase()];
  return other && errorOf(path, other, cause);
}

const JSON_ENDINGS = new Set(['.json', '.jsonl', '.ndjson']);
const BOM = '\xef\xbb\xbf';
const SHOWN = 40;

/**
 * A file whose beginning no JSON has. A table is told by its ending, or by a first line of names between commas or tabs.
 * @param start the first bytes, one character each
 */
export function noJson(path: string, start: string): WhorlError | undefined {
  const text = (start.startsWith(BOM) ? start.slice(BOM.length) : start).trimStart();
  const isNamed = JSON_ENDINGS.has(extname(path).toLowerCase());
  // A file named JSON may begin with any value: its reader says better what is wrong there.
  const begins = isNamed ? /^([[{"\d-]|(true|false|null|NaN|Infinity)\b|$)/ : /^([[{]|$)/;
  if (begins.test(text)) return undefined;
  const ended = otherEnding(path);
  if (ended) return ended;
  const line = /^[^\r\n]*/.exec(text)![0];
  if ([...start].some((c) => c < ' ' && !'\t\n\v\f\r'.includes(c)))
    return new WhorlError(
      'bad-file',
      `${path} holds bytes of no kind that is known; ${READ}`,
      'give such a file',
    );
  if (/^"?\w+"?(,"?\w+"?)+$/.test(line)) return errorOf(path, TABLE);
  if (/^\w+(\t\w+)+$/.test(line)) return errorOf(path, TABS);
  const shown = Buffer.from(line.slice(0, SHOWN), 'latin1')
    .toString('utf8')
    .replace(/[\p{Cc}\p{Cf}\ufffd]/gu, '?');
  return new WhorlError(
    'bad-file',
    `${path} is no JSON: it begins with ${JSON.stringify(shown)}; ${READ}`,
    ONE_OBJECT,
  );
}

/** Endings of files that rows are read from. */
const ROWS = /\.(json|jsonl|ndjson|parquet|arrow|ipc|feather)$/i;
const MOST_NAMED = 3;

/** A folder that no data set was saved in: what stands there instead, and what of it may be given. */
export function noRowsFolder(folder: string): WhorlError {
  const entries = readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  const saying = (what: string, mend: string) => new WhorlError('missing-file', `${folder} ${what}`, mend);
  if (entries.length === 0)
    return saying('is an empty folder', `${READ}, and from folders saved by save_to_disk`);
  const names = new Set(entries.map(({ name }) => name));
  if (names.has('config.json') && entries.some(({ name }) => /\.(safetensors|bin|gguf)$/.test(name)))
    return saying('is the folder of a model', 'give rows where rows are asked for');
  const saved = entries.filter((entry) => entry.isDirectory() && isSavedFolder(join(folder, entry.name)));
  if (saved.length > 0) return saying('holds saved data sets, and is none', giveOf(folder, saved));
  const none = 'has neither dataset_dict.json nor state.json, so no data set was saved in it';
  const files = entries.filter(
    (entry) => entry.isFile() && ROWS.test(entry.name) && !NO_ROWS.has(entry.name),
  );
  if (files.length > 0) return saying(none, giveOf(folder, files));
  const inner = entries.find(
    (entry) => entry.isDirectory() && readdirSync(join(folder, entry.name)).some((name) => ROWS.test(name)),
  );
  if (inner) return saying(none, `its rows may lie in ${join(folder, inner.name)}: give a file there`);
  return saying(none, `${READ}, and from folders saved by save_to_disk`);
}

/** JSON files of a data set's folder that describe it. */
const NO_ROWS = new Set(['dataset_info.json', 'dataset_infos.json', 'config.json', 'package.json']);

function giveOf(folder: string, entries: readonly Dirent[]): string {
  const named = entries
    .slice(0, MOST_NAMED)
    .map(({ name }) => join(folder, name).replace(/[\p{Cc}\p{Cf}]/gu, '?'));
  const more = entries.length > MOST_NAMED ? ` or another of its ${entries.length}` : '';
  return `give one of them: ${named.join(', ')}${more}`;
}
