// A task's rows: DIR/{task}/{split}.jsonl, .json, .parquet or .arrow with the hub's columns; a folder that several tasks
// share may have the data set's name instead. Or the hub's own files (hub-rows.ts).

import { basename, join } from 'node:path';
import { WhorlError } from '../base/error.ts';
import { isThere } from '../base/system-errors.ts';
import { digestFile } from '../sources/checkpoints/digest.ts';
import { readRows } from '../sources/rows/read.ts';
import type { Row } from '../sources/rows/row.ts';
import { MissingColumn } from './expression.ts';
import type { TaskRow } from './requests.ts';
import type { Task } from './task.ts';
import { ofRow } from './template.ts';

/** A file of rows on this machine. */
export interface PlacedFile {
  /** What messages call it. */
  readonly name: string;
  readonly path: string;
}

/** Where rows are: a split's files, in order. */
export interface RowPlace {
  readonly name: string;
  /** @throws WhorlError `missing-file` naming what was looked for */
  files(task: Task, split: string): readonly PlacedFile[];
}

const EXTENSIONS = ['jsonl', 'json', 'parquet', 'arrow'] as const;

/** Folders below the data folder that may hold a task's rows, the first that is there counts. */
const foldersOf = ({ name, dataset_path, dataset_name }: Task): string[] => [
  name,
  ...(dataset_name === null ? [] : [join(basename(dataset_path), dataset_name)]),
  basename(dataset_path),
];

/** Rows of a folder. */
export const folderRows = (data: string): RowPlace => ({
  name: data,
  files(task, split) {
    const path = foldersOf(task)
      .flatMap((folder) => EXTENSIONS.map((extension) => join(data, folder, `${split}.${extension}`)))
      .find(isThere);
    if (path !== undefined) return [{ name: path, path }];
    throw new WhorlError(
      'missing-file',
      `${task.name} has no rows: there is no ${join(data, task.name, `${split}.jsonl`)} (nor .json, .parquet, .arrow)`,
      `save the split ${split} of ${task.dataset_path}${task.dataset_name === null ? '' : ` (${task.dataset_name})`} there, or leave out --data: rows come from the hub then`,
    );
  },
});

/** sha256, hex, of each file of a split, in order. A file that several tasks share is read once. */
export function digestsOf(place: RowPlace): (task: Task, split: string) => string[] {
  const known = new Map<string, string>();
  const digestOf = ({ path }: PlacedFile): string => {
    const digest = known.get(path) ?? digestFile(path);
    known.set(path, digest);
    return digest;
  };
  return (task, split) => place.files(task, split).map(digestOf);
}

/** Whether a row of a data set that several tasks share is the task's. */
const isOf = ({ keeps }: Task, row: Row): boolean =>
  Object.entries(keeps).every(([name, value]) => {
    if (!Object.hasOwn(row, name)) throw new MissingColumn(name);
    return row[name] === value;
  });

/** Prepared rows of a split, in order. @throws WhorlError `bad-file` naming file and row */
export async function rowsOf(
  place: RowPlace,
  task: Task,
  split: string,
  limit = Number.POSITIVE_INFINITY,
): Promise<TaskRow[]> {
  const out: TaskRow[] = [];
  const files = place.files(task, split);
  let all = 0;
  for (const { name, path } of files) {
    const what = name.endsWith('.jsonl') ? 'line' : 'row';
    let read = 0;
    for await (const row of out.length < limit ? readRows(path) : []) {
      const where = `${name}, ${what} ${++read}`;
      if (ofRow(where, task.name, () => isOf(task, row)))
        out.push({ where, row: ofRow(where, task.name, () => task.prepare(row)) });
      if (out.length >= limit) break;
    }
    all += read;
  }
  if (out.length > 0) return out;
  const [kept] = Object.entries(task.keeps).map(([name, value]) => `${name} ${JSON.stringify(value)}`);
  throw new WhorlError(
    'bad-file',
    `${files.map(({ name }) => name).join(', ')} has no rows${kept === undefined || all === 0 ? '' : ` with ${kept}`}`,
    'give at least one',
  );
}
