// A task's rows: DIR/{task}/{split}.jsonl, .json, .parquet or .arrow with the hub's columns; a folder that several tasks
// share may have the data set's name instead.

import { basename, join } from 'node:path';
import { WhorlError } from '../base/error.ts';
import { isThere } from '../base/system-errors.ts';
import { readRows } from '../sources/rows/read.ts';
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

/** Prepared rows of a split, in order. @throws WhorlError `bad-file` naming file and row */
export async function rowsOf(data: string, task: Task, split: string, limit?: number): Promise<TaskRow[]> {
  const path = fileOf(data, task, split);
  const isLines = path.endsWith('.jsonl');
  const out: TaskRow[] = [];
  for await (const row of readRows(path, limit === undefined ? {} : { limit })) {
    const where = `${path}, ${isLines ? 'line' : 'row'} ${out.length + 1}`;
    out.push({ where, row: ofRow(where, task.name, () => task.prepare(row)) });
  }
  if (out.length === 0) throw new WhorlError('bad-file', `${path} has no rows`, 'give at least one');
  return out;
}
