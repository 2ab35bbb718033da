// The paired report as a table.

import type { PairedReport } from './paired.ts';
import type { Table } from './table.ts';

/** @param of whose rows they are, where a report has several models */
export const pairedTables = ({ tables, margin }: PairedReport, of?: string): Table[] => [
  {
    title: `${of === undefined ? 'Before' : `${of}: before`} and after, row by row (margin ${margin} points)`,
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
      'p',
      'p (Holm)',
      'non-inferior: p (Holm)',
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
      each.p_value,
      each.holm_p_value,
      each.non_inferiority_p_value,
      each.verdict,
    ]),
  },
];
