// `eval --dry-run`: which rows would be asked what, after every task's rows were read and put into words.

import { type DryRun, type PlannedFile, planOf } from '../base/dry-run.ts';
import { type Model, plannedModel } from '../models/model.ts';
import { type EvaluateOptions, prepared, samplesFile } from './evaluate.ts';

/** @throws WhorlError what `evaluate` refuses before it asks, and of each row what cannot be asked */
export async function planEvaluation(options: EvaluateOptions, model: Model): Promise<DryRun> {
  const { chosen, out, mode, limit, data, label } = options;
  const writes: PlannedFile[] = [];
  const notes: string[] = [];
  const { places, counted } = await prepared(options);
  for (const { shots, path, done } of places) {
    if (done) {
      notes.push(`${shots} shots: done, in ${path}`);
      continue;
    }
    const { rows, requests } = counted.get(shots)!;
    notes.push(`${shots} shots: ${rows} rows of ${chosen.tasks.length} tasks in ${requests} requests`);
    writes.push(
      { path, what: 'results' },
      ...chosen.tasks.map(({ name }) => ({ path: samplesFile(out, name, shots), what: "each row's" })),
    );
  }
  return planOf('eval', {
    models: [plannedModel('model', model)],
    settings: {
      tasks: label,
      shots: options.shots.join(),
      data: data.name,
      mode: mode.name,
      limit: limit ?? null,
    },
    writes,
    notes,
  });
}
