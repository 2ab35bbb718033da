// `eval --dry-run`: which rows would be asked what, after every task's rows were read and put into words.

import type { DryRun, PlannedFile } from '../base/dry-run.ts';
import { type Model, plannedModel } from '../models/model.ts';
import { type EvaluateOptions, samplesFile, toWrite } from './evaluate.ts';
import { requestsOf, shotsOf } from './requests.ts';
import { rowsOf } from './rows.ts';
import { evaluated, pool, type Task } from './task.ts';

/** @throws WhorlError what `evaluate` refuses before it asks, and of each row what cannot be asked */
export async function planEvaluation(options: EvaluateOptions, model: Model): Promise<DryRun> {
  const { chosen, out, mode, limit, data, label } = options;
  const writes: PlannedFile[] = [];
  const notes: string[] = [];
  for (const { shots, path, done } of toWrite(options)) {
    if (done) {
      notes.push(`${shots} shots: done, in ${path}`);
      continue;
    }
    const sums = { rows: 0, requests: 0 };
    for (const task of chosen.tasks) {
      const { rows, requests } = await counted(options, task, shots);
      sums.rows += rows;
      sums.requests += requests;
    }
    notes.push(
      `${shots} shots: ${sums.rows} rows of ${chosen.tasks.length} tasks in ${sums.requests} requests`,
    );
    writes.push(
      { path, what: 'results' },
      ...chosen.tasks.map(({ name }) => ({ path: samplesFile(out, name, shots), what: "each row's" })),
    );
  }
  return {
    dry_run: true,
    command: 'eval',
    models: [plannedModel('model', model)],
    method: null,
    settings: { tasks: label, shots: options.shots.join(), data, mode: mode.name, limit: limit ?? null },
    writes,
    notes,
    estimate: null,
  };
}

async function counted(
  { data, limit }: EvaluateOptions,
  task: Task,
  shots: number,
): Promise<{ rows: number; requests: number }> {
  const rows = await rowsOf(data, task, evaluated(task), limit);
  const examples = shotsOf(task, shots) === 0 ? [] : await rowsOf(data, task, pool(task));
  let requests = 0;
  for (const row of requestsOf(task, rows, examples, shotsOf(task, shots))) requests += row.requests.length;
  return { rows: rows.length, requests };
}
