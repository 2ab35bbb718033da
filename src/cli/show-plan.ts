// What `--dry-run` prints: the plan of a call, for people or as one JSON line.

import type { CostEstimate, DryRun } from '../base/dry-run.ts';
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
  if (estimate) section('by estimate', [["with the method's default settings", ...costCells(estimate)]]);
  if (notes.length > 0) print();
  for (const note of notes) for (const line of wrapped(note)) print(line);
}

function section(title: string, rows: readonly (readonly string[])[]): void {
  if (rows.length === 0) return;
  print(`\n${title}`);
  for (const row of table(rows)) print(row);
}

const settingText = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

const costCells = ({ tokens, seconds, memory, fits }: CostEstimate): string[] => [
  `${countText(tokens)} tokens`,
  `about ${durationText(seconds)}`,
  `about ${bytesText(memory)}${fits ? '' : ', more than this machine has'}`,
];
