// Every row of every task read and put into words, before any is asked: what a late task lacks ends the call at once, not
// after hours.

import { type OnEvent, silent } from '../base/events.ts';
import type { Framing } from './chat.ts';
import { requestsOf, shotsOf } from './requests.ts';
import { type RowPlace, rowsOf } from './rows.ts';
import { evaluated, pool, type Task } from './task.ts';

interface Asked {
  readonly tasks: readonly Task[];
  readonly shots: readonly number[];
  readonly data: RowPlace;
  readonly limit?: number | undefined;
  readonly framing?: Framing | undefined;
  readonly onEvent?: OnEvent | undefined;
}

export interface Counted {
  rows: number;
  requests: number;
}

/** By number of shots, over all tasks. Each file is read once. @throws WhorlError `bad-file`, `missing-file` naming file and row */
export async function countRequests({
  tasks,
  shots: asked,
  data,
  limit,
  framing,
  onEvent = silent,
}: Asked): Promise<Map<number, Counted>> {
  const sums = new Map<number, Counted>(asked.map((each) => [each, { rows: 0, requests: 0 }]));
  if (asked.length === 0) return sums;
  onEvent({ kind: 'phase', name: 'reading rows', detail: `${asked.join(', ')} shots` });
  for (const task of tasks) {
    const rows = await rowsOf(data, task, evaluated(task), limit);
    const isShown = asked.some((each) => shotsOf(task, each) > 0);
    const examples = isShown ? await rowsOf(data, task, pool(task)) : [];
    for (const [each, sum] of sums) {
      sum.rows += rows.length;
      for (const { requests } of requestsOf(task, rows, examples, shotsOf(task, each), framing))
        sum.requests += requests.length;
    }
  }
  return sums;
}
