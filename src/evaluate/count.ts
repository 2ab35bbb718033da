// Every row of every task read and put into words, before any is asked: what a late task lacks ends the call at once, not
// after hours.

import { type OnEvent, silent } from '../base/events.ts';
import { requestsOf, shotsOf } from './requests.ts';
import { rowsOf } from './rows.ts';
import { evaluated, pool, type Task } from './task.ts';

interface Counted {
  readonly tasks: readonly Task[];
  readonly shots: number;
  readonly data: string;
  readonly limit: number | undefined;
  readonly onEvent?: OnEvent | undefined;
}

/** @throws WhorlError `bad-file`, `missing-file` naming file and row */
export async function countRequests({
  tasks,
  shots: asked,
  data,
  limit,
  onEvent = silent,
}: Counted): Promise<{ rows: number; requests: number }> {
  onEvent({ kind: 'phase', name: 'reading rows', detail: `${asked} shots` });
  const sums = { rows: 0, requests: 0 };
  for (const task of tasks) {
    const shots = shotsOf(task, asked);
    const rows = await rowsOf(data, task, evaluated(task), limit);
    const examples = shots === 0 ? [] : await rowsOf(data, task, pool(task));
    sums.rows += rows.length;
    for (const { requests } of requestsOf(task, rows, examples, shots)) sums.requests += requests.length;
  }
  return sums;
}
