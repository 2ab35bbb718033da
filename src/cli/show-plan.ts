// What `--dry-run` prints: the plan of a call, for people or as one JSON line.

import type { CostEstimate, DryRun, Range } from '../base/dry-run.ts';
import {
  bytesText,
  countText,
  durationText,
  paint,
  print,
  printJson,
  shownText,
  table,
  wrapped,
} from './output.ts';

export function showPlan(plan: DryRun, json: boolean | undefined): void {
  if (json) {
    printJson(plan);
    return;
  }
  const { command, models, method, settings, writes, notes, estimate } = plan;
  print(`${paint.bold(`${command}: nothing was done.`)} Every check before the work has passed.`);
  section('models', [
    ...models.map(({ role, source, family }) => [role, shownText(source), family]),
    ...(method === null ? [] : [['method', method]]),
  ]);
  section(
    'settings',
    Object.entries(settings).map(([name, value]) => [name, shownText(settingText(value))]),
  );
  section(
    'would be written',
    writes.map(({ path, what }) => [path, paint.dim(what)]),
  );
  if (estimate)
    section('training, by estimate', [
      [...costCells(estimate), estimate.fits ? '' : 'more than this machine has'],
    ]);
  if (notes.length > 0) print();
  for (const note of notes) for (const line of wrapped(note)) print(line);
}

function section(title: string, rows: readonly (readonly string[])[]): void {
  if (rows.length === 0) return;
  print(`\n${title}`);
  for (const row of table(rows)) print(row);
}

const settingText = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

export const costCells = ({ steps, tokens, seconds, memory }: Omit<CostEstimate, 'fits'>): string[] => [
  `${rangeText(steps, countText)} steps`,
  `${rangeText(tokens, (count) => countText(Number(count.toPrecision(2))))} tokens`,
  `about ${rangeText(seconds, durationText)}`,
  `about ${bytesText(memory)}`,
];

const rangeText = ({ least, most }: Range, text: (value: number) => string): string =>
  text(least) === text(most) ? text(most) : `${text(least)} to ${text(most)}`;
