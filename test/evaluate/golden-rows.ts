// The rows of goldens/evaluate as a task gets them.

import { readFileSync } from 'node:fs';
import type { TaskRow } from '../../src/evaluate/requests.ts';
import { evaluated, pool, type Task } from '../../src/evaluate/task.ts';
import type { Row } from '../../src/sources/rows/row.ts';

const ROWS = JSON.parse(
  readFileSync(new URL('../../goldens/evaluate/rows.json', import.meta.url), 'utf8'),
) as Record<string, Record<string, Row[]>>;

export const splitsOf = (task: Task): Record<string, Row[]> =>
  ROWS[`${task.dataset_path} ${task.dataset_name ?? '-'}`]!;

export function goldenRows(task: Task): { rows: TaskRow[]; examples: TaskRow[] } {
  const of = (split: string): TaskRow[] =>
    splitsOf(task)
      [split]!.filter((row) => Object.entries(task.keeps).every(([name, value]) => row[name] === value))
      .map((row, i) => ({ row: task.prepare(row), where: `${split} ${i + 1}` }));
  return { rows: of(evaluated(task)), examples: of(pool(task)) };
}
