// What `whorl dataset … --dry-run` says of a set that was made and not saved.

import { type DryRun, planOf } from '../base/dry-run.ts';

/** Options of a set that a plan tells; what makes the keys is not among them. */
interface Told {
  readonly out: string;
  readonly source?: string;
  readonly keys?: string;
  readonly order?: string;
  readonly count?: number;
  readonly regularisation?: number;
}

/** @param splits rows of each split, as they would be saved; undefined: they are read while they are written */
export function plannedSet(
  name: string,
  { out, source, keys, order, count, regularisation }: Told,
  splits?: Readonly<Record<string, readonly unknown[]>>,
): DryRun {
  const counts = Object.entries(splits ?? {}).map(([split, rows]) => `${split} ${rows.length}`);
  const given = { source, keys, order, count, regularisation };
  return planOf(`dataset ${name}`, {
    settings: Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
    writes: [
      { path: out, what: splits ? `a saved data set, rows: ${counts.join(', ')}` : 'rows as Alpaca JSON' },
    ],
    notes: splits
      ? []
      : ['the first row was read; the others are read, and refused if they do not fit, as they are written'],
  });
}
