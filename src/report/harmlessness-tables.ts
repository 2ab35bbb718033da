// The harmlessness report as tables: one a model, a row a task, and the mean.

import { type HarmlessnessReport, type ModelTable, SHOTS } from './harmlessness.ts';
import type { Table, TableCell } from './table.ts';

const columns = [
  'task',
  'metric',
  ...SHOTS.flatMap((shots) => [`${shots} shot before`, `${shots} shot after`, `${shots} shot difference`]),
];

export const harmlessnessTables = ({ models }: HarmlessnessReport): Table[] =>
  models.map((model) => ({ title: `${model.model} (${model.run})`, columns, rows: rowsOf(model) }));

/** A difference between two versions of the harness carries a star. */
function rowsOf({ tasks, mean }: ModelTable): TableCell[][] {
  const rows = tasks.map(({ task, metric, cells }) => [
    task,
    metric,
    ...cells.flatMap(({ before, after, difference, versions_differ }): TableCell[] => [
      before,
      after,
      versions_differ ? `${difference} *` : difference,
    ]),
  ]);
  const means = mean.flatMap(({ before, after, difference }): TableCell[] => [before, after, difference]);
  return [...rows, ['mean', '-', ...means]];
}
