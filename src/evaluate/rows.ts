// A task's rows: DIR/{task}/{split}.jsonl, .json, .parquet or .arrow with the hub's columns; a folder that several tasks
// share may have the data set's name instead.

import { basename, join } from 'node:path';
import { WhorlError } from '../base/error.ts';
import { isThere } from '../base/system-errors.ts';
import { readRows } from '../sources/rows/read.ts';
import type { Row } from '../sources/rows/row.ts';
import { MissingColumn } from './expression.ts';
import type { TaskRow } from './requests.ts';
import type { Task } from './task.ts';
import { ofRow } from './template.ts';

const EXTENSIONS = ['jsonl', 'json', 'parquet', 'arrow'] as const;

/** Folders below the data folder that may hold a task's rows, the first that is there counts. */
const foldersOf = ({ name, dataset_path, dataset_name }: Task): string[] => [
  name,
  ...(dataset_name === null ? [] : [join(basename(dataset_path), dataset_name)]),
  basename(dataset_path),
];

/** @throws WhorlError `missing-file` naming what was looked for */
export function fileOf(data: string, task: Task, split: string): string {
  const found = foldersOf(task)
    .flatMap((folder) => EXTENSIONS.map((extension) => join(data, folder, `${split}.${extension}`)))
    .find(isThere);
  if (found !== undefined) return found;
  throw new WhorlError(
    'missing-file',
    `${task.name} has no rows: there is no ${join(data, task.name, `${split}.jsonl`)} (nor .json, .parquet, .arrow)`,
    `save the split ${split} of ${task.dataset_path}${task.dataset_name === null ? '' : ` (${task.dataset_name})`} there`,
  );
}

/** Whether a row of a data set that several tasks share is the task's. */
const isOf = ({ keeps }: Task, row: Row): boolean =>
  Object.entries(keeps).every(([name, value]) => {
    if (!Object.hasOwn(row, name)) throw new MissingColumn(name);
    return row[name] === value;
  });

/** Prepared rows of a split, in order. @throws WhorlError `bad-file` naming file and row */
export async function rowsOf(data: string, task: Task, split: string, limit?: number): Promise<TaskRow[]> {
  const path = fileOf(data, task, split);
  const isLines = path.endsWith('.jsonl');
  const out: TaskRow[] = [];
  let read = 0;
  for await (const row of readRows(path)) {
    const where = `${path}, ${isLines ? 'line' : 'row'} ${++read}`;
    if (ofRow(where, task.name, () => isOf(task, row)))
      out.push({ where, row: ofRow(where, task.name, () => task.prepare(row)) });
    if (out.length === limit) break;
  }
  if (out.length > 0) return out;
  const [kept] = Object.entries(task.keeps).map(([name, value]) => `${name} ${JSON.stringify(value)}`);
  throw new WhorlError(
    'bad-file',
    `${path} has no rows${kept === undefined || read === 0 ? '' : ` with ${kept}`}`,
    'give at least one',
  );
}
