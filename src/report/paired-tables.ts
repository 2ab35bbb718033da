// The paired report as a table.

import type { PairedReport } from './paired.ts';
import type { Table } from './table.ts';

export const pairedTables = ({ tables, margin }: PairedReport): Table[] => [
  {
    title: `Before and after, row by row (margin ${margin} points)`,
    columns: [
      'task',
      'shots',
      'metric',
      'rows',
      'before',
      'after',
      'difference',
      'low',
      'high',
      'right→wrong',
      'wrong→right',
      'p (Holm)',
      'verdict',
    ],
    rows: tables.map((each) => [
      each.task,
      each.shots,
      each.metric,
      each.rows,
      each.before,
      each.after,
      each.difference,
      each.low,
      each.high,
      each.fell,
      each.rose,
      each.holm_p_value,
      each.verdict,
    ]),
  },
];
